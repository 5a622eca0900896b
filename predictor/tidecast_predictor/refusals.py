"""
What a request may ask for, and which gRPC status an error becomes, the same in every service.
"""

import logging

from grpc import StatusCode

from tidecast_contract.errors import ContractMismatch
from tidecast_contract.rpc.limits import MAX_HORIZON_STEPS, MAX_STEP_SECONDS, MIN_STEP_SECONDS
from tidecast_contract.snapshot import Snapshot
from tidecast_contract.wire import VersionMismatch
from tidecast_predictor.engine import NotLoaded

logger = logging.getLogger(__name__)


class UnknownModel(Exception):
    """
    A request names a model, or a version of it, that is not served here.
    """


_STATUS: tuple[tuple[type[Exception], StatusCode], ...] = (
    (VersionMismatch, StatusCode.FAILED_PRECONDITION),
    (ContractMismatch, StatusCode.INVALID_ARGUMENT),
    (UnknownModel, StatusCode.NOT_FOUND),
    (NotLoaded, StatusCode.UNAVAILABLE),
)


def check_sizes(snapshot: Snapshot, *, max_steps: int, horizon_steps: int = 1) -> None:
    """
    Refuse what is valid and yet no work to begin: a few bytes can ask for days of it.

    Args:
        snapshot: What was sent.
        max_steps: How many steps it may have.
        horizon_steps: How many steps ahead are asked for; left out where none are.

    Raises:
        ContractMismatch: If a number is beyond its limit; names the tensor or parameter and what to send instead.
    """
    if not MIN_STEP_SECONDS <= snapshot.step_seconds <= MAX_STEP_SECONDS:
        raise ContractMismatch(
            f"parameter 'step_seconds' is {snapshot.step_seconds}; send steps of {MIN_STEP_SECONDS} to "
            f"{MAX_STEP_SECONDS} seconds"
        )
    if snapshot.steps > max_steps:
        raise ContractMismatch(f"tensor 'values' has {snapshot.steps} steps; send {max_steps} at most")
    if horizon_steps > MAX_HORIZON_STEPS:
        raise ContractMismatch(f"parameter 'horizon_steps' is {horizon_steps}; ask for {MAX_HORIZON_STEPS} at most")


def refusal_of(error: Exception) -> tuple[StatusCode, str]:
    """The status and the text that tell a caller of *error*; what nobody expected is INTERNAL and goes to the log."""
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return status, str(error)
    logger.error("a request failed in a way that nobody expected", exc_info=error)
    return StatusCode.INTERNAL, f"{type(error).__name__}: {error}"
