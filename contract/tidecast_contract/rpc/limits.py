"""
How large a message may be and what it may ask for, the same for both sides.
"""

MAX_MESSAGE_BYTES = 256 * 1024 * 1024
"""
Ten thousand services with a window of 60 steps are 17 MB and their forecast for 30 steps 22 MB; gRPC's own limit is 4 MiB.
"""

HISTORY_CHUNK_BYTES = 16 * 1024 * 1024
"""History travels in chunks of about this size, so that neither side holds weeks of it at once."""

MAX_HISTORY_CHUNK_STEPS = 100_000
"""The operator sends six hours in one chunk, 4,320 steps at most; without services any number of steps has no bytes."""

MAX_WINDOW_STEPS = 1440
"""As in a Forecaster's spec."""

MAX_HORIZON_STEPS = 1440
"""Four times what a Forecaster's spec allows."""

MIN_STEP_SECONDS, MAX_STEP_SECONDS = 5, 3600
"""As in a Forecaster's spec."""

MESSAGE_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
)
"""For both ends of a channel."""
