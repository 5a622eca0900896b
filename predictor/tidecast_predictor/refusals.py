"""
Which gRPC status an error becomes, the same in every service.
"""

import logging

from grpc import StatusCode

from tidecast_contract.errors import ContractMismatch
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


def refusal_of(error: Exception) -> tuple[StatusCode, str]:
    """The status and the text that tell a caller of *error*; what nobody expected is INTERNAL and goes to the log."""
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return status, str(error)
    logger.error("a request failed in a way that nobody expected", exc_info=error)
    return StatusCode.INTERNAL, f"{type(error).__name__}: {error}"
