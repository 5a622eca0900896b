"""
How large a message may be, the same for both sides.
"""

MAX_MESSAGE_BYTES = 256 * 1024 * 1024
"""
Ten thousand services with a window of 60 steps are 17 MB and their forecast for 30 steps 22 MB; gRPC's own limit is 4 MiB.
"""

HISTORY_CHUNK_BYTES = 16 * 1024 * 1024
"""History travels in chunks of about this size, so that neither side holds weeks of it at once."""

MESSAGE_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
)
"""For both ends of a channel."""
