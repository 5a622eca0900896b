"""
Snapshots and forecasts as named tensors with parameters, and back; what does not fit is refused, naming both sides.

Knows nothing of gRPC: `rpc.messages` puts a `Message` on the wire. Each message says for which contract version, which
features and which quantiles it was written, so that two releases that disagree find out before they misread a number.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.errors import ContractMismatch
from tidecast_contract.features import FEATURES, FORECAST_FEATURES, Feature
from tidecast_contract.forecast import QUANTILES, Forecast, ModelInfo, ModelKind
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot

CONTRACT_VERSION = 2
"""Rises whenever a message changes its meaning: two sides with different versions do not talk."""

MODEL_NAME = "tidecast"

VARIES = -1
"""In a `TensorSpec`: a size that differs from message to message."""

Parameter = str | int | float | bool
Value = TypeVar("Value")


class VersionMismatch(ContractMismatch):
    """
    The other side was written for another contract version: one of the two has to be upgraded.
    """


@dataclass(frozen=True, slots=True)
class Message:
    """
    What travels.

    Attributes:
        tensors: By name; texts are of dtype object and hold bytes.
        parameters: By name, single values.
    """

    tensors: Mapping[str, NDArray[np.generic]]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """
    How one tensor of a message has to look.

    Attributes:
        name: Its key in `Message.tensors`.
        dtype: Its type; object for texts.
        shape: Its sizes, `VARIES` where they are not fixed.
    """

    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]

    def of(self, message: Message) -> NDArray[np.generic]:
        """The tensor of *message*; raises ContractMismatch when it is missing or does not look as agreed."""
        tensor = message.tensors.get(self.name)
        if tensor is None:
            raise ContractMismatch(f"tensor {self.name!r} is missing; the message has {_list(message.tensors)}")
        fits = len(tensor.shape) == len(self.shape) and all(
            want in (VARIES, have) for want, have in zip(self.shape, tensor.shape, strict=True)
        )
        if tensor.dtype != self.dtype or not fits:
            raise ContractMismatch(
                f"tensor {self.name!r} is {tensor.dtype} of shape {list(tensor.shape)}; "
                f"agreed is {self.dtype} of shape {list(self.shape)}, where {VARIES} is any size"
            )
        return tensor


_TEXT, _FLOAT, _INTEGER = np.dtype(object), np.dtype(np.float32), np.dtype(np.int64)

SERVICES = TensorSpec("services", _TEXT, (VARIES,))
"""namespace/kind/name of each service, UTF-8."""

SNAPSHOT_TENSORS = (
    SERVICES,
    TensorSpec("values", _FLOAT, (VARIES, VARIES, len(FEATURES))),
    TensorSpec("calls", _INTEGER, (2, VARIES)),
    TensorSpec("rates", _FLOAT, (VARIES,)),
)
FORECAST_TENSORS = (
    SERVICES,
    TensorSpec("values", _FLOAT, (VARIES, len(FORECAST_FEATURES), VARIES, len(QUANTILES))),
    TensorSpec("kinds", _TEXT, (VARIES,)),
    TensorSpec("seasonal", _FLOAT, (VARIES, len(FORECAST_FEATURES), VARIES)),
)


def names_of(features: tuple[Feature, ...]) -> str:
    """Features as a parameter: their names in order, separated by commas."""
    return ",".join(feature.name for feature in features)


def text_of(quantiles: tuple[float, ...]) -> str:
    """Quantiles as a parameter: exact decimals, separated by commas."""
    return ",".join(repr(float(quantile)) for quantile in quantiles)


def encode_snapshot(snapshot: Snapshot, *, horizon_steps: int | None = None) -> Message:
    """A snapshot as a message: for history, or with *horizon_steps* as the question for a forecast."""
    parameters: dict[str, Parameter] = {
        "contract_version": CONTRACT_VERSION,
        "features": names_of(FEATURES),
        "end_time": int(snapshot.end_time),
        "step_seconds": int(snapshot.step_seconds),
    }
    if horizon_steps is not None:
        parameters["horizon_steps"] = horizon_steps
    tensors = {
        "services": _texts(snapshot.services),
        "values": snapshot.values,
        "calls": snapshot.calls,
        "rates": snapshot.rates,
    }
    return Message(tensors, parameters)


def decode_snapshot(message: Message) -> Snapshot:
    """The inverse of `encode_snapshot`; raises ContractMismatch when *message* is no valid snapshot."""
    check_version(message.parameters.get("contract_version"))
    _check_agreed(message, "features", names_of(FEATURES))
    services, values, calls, rates = (spec.of(message) for spec in SNAPSHOT_TENSORS)
    fields = {
        "end_time": _integer(message, "end_time"),
        "step_seconds": _integer(message, "step_seconds"),
        "services": _parsed("services", services, ServiceId.parse),
        "values": values,
        "calls": calls,
        "rates": rates,
    }
    return _built("snapshot", lambda: Snapshot(**fields))  # type: ignore[arg-type]


def horizon_of(message: Message) -> int:
    """How many steps ahead *message* asks for; raises ContractMismatch when it does not say, or not a positive number."""
    horizon_steps = _integer(message, "horizon_steps")
    if horizon_steps < 1:
        raise ContractMismatch(f"parameter 'horizon_steps' is {horizon_steps}; it must be positive")
    return horizon_steps


def encode_forecast(forecast: Forecast) -> Message:
    """A forecast as a message; what the model does not know of itself is left out."""
    model = forecast.model
    parameters: dict[str, Parameter] = {
        "contract_version": CONTRACT_VERSION,
        "features": names_of(FORECAST_FEATURES),
        "quantiles": text_of(forecast.quantiles),
        "issued_time": int(forecast.issued_time),
        "step_seconds": int(forecast.step_seconds),
        "model_kind": str(model.kind),
        "model_version": model.version,
        "model_reason": model.reason,
    }
    if model.trained_time is not None:
        parameters["model_trained_time"] = int(model.trained_time)
    for name, error in (("model_error", model.error), ("model_naive_error", model.naive_error)):
        if error is not None:
            parameters[name] = float(error)
    seasonal = forecast.seasonal
    if seasonal is None:
        seasonal = np.full(forecast.values.shape[:3], np.nan, np.float32)
    tensors = {
        "services": _texts(forecast.services),
        "values": forecast.values,
        "kinds": _texts(forecast.kinds),
        "seasonal": seasonal,
    }
    return Message(tensors, parameters)


def decode_forecast(message: Message) -> Forecast:
    """The inverse of `encode_forecast`; raises ContractMismatch when *message* is no valid forecast."""
    check_version(message.parameters.get("contract_version"))
    _check_agreed(message, "features", names_of(FORECAST_FEATURES))
    _check_agreed(message, "quantiles", text_of(QUANTILES))
    services, values, kinds, seasonal = (spec.of(message) for spec in FORECAST_TENSORS)
    fields = {
        "issued_time": _integer(message, "issued_time"),
        "step_seconds": _integer(message, "step_seconds"),
        "services": _parsed("services", services, ServiceId.parse),
        "quantiles": QUANTILES,
        "values": values,
        "kinds": _parsed("kinds", kinds, ModelKind),
        "model": _model(message),
        "seasonal": seasonal,
    }
    return _built("forecast", lambda: Forecast(**fields))  # type: ignore[arg-type]


def check_version(version: object) -> None:
    """Raise VersionMismatch, naming both, unless *version* is this side's."""
    if version != CONTRACT_VERSION or isinstance(version, bool):
        theirs = "no contract version" if version is None else f"contract version {version!r}"
        raise VersionMismatch(f"the other side speaks {theirs}, this side {CONTRACT_VERSION}; upgrade the older one")


def _model(message: Message) -> ModelInfo:
    parameters = message.parameters
    return ModelInfo(
        kind=_built("parameter 'model_kind'", lambda: ModelKind(_text(message, "model_kind"))),
        version=_text(message, "model_version"),
        trained_time=_integer(message, "model_trained_time") if "model_trained_time" in parameters else None,
        reason=_text(message, "model_reason"),
        error=_number(message, "model_error") if "model_error" in parameters else None,
        naive_error=_number(message, "model_naive_error") if "model_naive_error" in parameters else None,
    )


def _check_agreed(message: Message, name: str, agreed: str) -> None:
    theirs = message.parameters.get(name)
    if theirs != agreed:
        came = "missing" if theirs is None else repr(theirs)
        raise ContractMismatch(f"parameter {name!r} is {came}; agreed is {agreed!r}")


def _integer(message: Message, name: str) -> int:
    value = message.parameters.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else _refuse(message, name, "an integer")


def _number(message: Message, name: str) -> float:
    value = message.parameters.get(name)
    return value if isinstance(value, float) else _refuse(message, name, "a double")


def _text(message: Message, name: str) -> str:
    value = message.parameters.get(name)
    return value if isinstance(value, str) else _refuse(message, name, "a string")


def _refuse(message: Message, name: str, agreed: str) -> NoReturn:
    if name not in message.parameters:
        raise ContractMismatch(f"parameter {name!r} is missing; agreed is {agreed}")
    raise ContractMismatch(f"parameter {name!r} is {message.parameters[name]!r}; agreed is {agreed}")


def _texts(items: tuple[object, ...]) -> NDArray[np.generic]:
    texts = np.empty(len(items), dtype=object)
    texts[:] = [str(item).encode() for item in items]
    return texts


def _parsed(name: str, tensor: NDArray[np.generic], parse: Callable[[str], Value]) -> tuple[Value, ...]:
    return _built(f"tensor {name!r}", lambda: tuple(parse(text.decode()) for text in tensor.tolist()))


def _built(what: str, build: Callable[[], Value]) -> Value:
    try:
        return build()
    except ValueError as error:
        raise ContractMismatch(f"{what} is not valid: {error}") from error


def _list(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names)) or "none"
