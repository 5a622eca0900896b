"""
What KEDA is answered, always from the noticeboard and at once.

Where nothing may be told the answer is an error, never a value and never "inactive": KEDA scales to zero what is
inactive, and takes an error for what it is.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from grpc import StatusCode, aio

from tidecast_operator.errors import Misconfigured
from tidecast_operator.hints.board import Entry, Noticeboard, Unknown, Withheld
from tidecast_operator.hints.hint import Hint
from tidecast_operator.outlets.keda import amounts, trigger
from tidecast_operator.outlets.keda import externalscaler_pb2 as pb
from tidecast_operator.outlets.keda.amounts import Amount
from tidecast_operator.outlets.keda.bell import Bell
from tidecast_operator.outlets.keda.externalscaler_pb2_grpc import ExternalScalerServicer
from tidecast_operator.outlets.keda.trigger import Metric, Trigger

# ruff: noqa: N802 - gRPC names its methods so

Context = aio.ServicerContext[Any, Any]


class TooManyStreams(Exception):
    """
    No more streams are opened.
    """


_CODES: tuple[tuple[type[Exception], StatusCode], ...] = (
    (Misconfigured, StatusCode.INVALID_ARGUMENT),
    (Unknown, StatusCode.NOT_FOUND),
    (Withheld, StatusCode.UNAVAILABLE),
    (TooManyStreams, StatusCode.RESOURCE_EXHAUSTED),
)
_REFUSALS = tuple(kind for kind, _ in _CODES)


class ScalerService(ExternalScalerServicer):
    """
    Answers KEDA.

    Args:
        noticeboard: Where all answers come from.
        bell: Rings with every new board; when it ends, so do all streams.
        clock: Unix seconds.
        max_streams: How many streams may be open at once, of all ScaledObjects together.
    """

    def __init__(self, noticeboard: Noticeboard, bell: Bell, *, clock: Callable[[], float], max_streams: int) -> None:
        self._noticeboard = noticeboard
        self._bell = bell
        self._clock = clock
        self._max_streams = max_streams
        self._streams = 0

    @property
    def open_streams(self) -> int:
        """How many streams are open now."""
        return self._streams

    async def IsActive(self, request: pb.ScaledObjectRef, context: Context) -> pb.IsActiveResponse:
        """True while there is something to tell: a hint is at least one replica."""
        try:
            self._offered(_trigger(request))
        except _REFUSALS as error:
            await _refuse(context, error)
        return pb.IsActiveResponse(result=True)

    async def GetMetricSpec(self, request: pb.ScaledObjectRef, context: Context) -> pb.GetMetricSpecResponse:
        """
        The target, also while the hint is withheld.

        KEDA needs it to work out its fallback, and takes a metric without one off the HorizontalPodAutoscaler.
        """
        try:
            asked = _trigger(request)
            return _spec(asked, self._target(asked))
        except _REFUSALS as error:
            await _refuse(context, error)

    async def GetMetrics(self, request: pb.GetMetricsRequest, context: Context) -> pb.GetMetricsResponse:
        """The value, while there is something to tell."""
        try:
            asked = _trigger(request.scaledObjectRef)
            return _values(asked, request.metricName, *self._offered(asked))
        except _REFUSALS as error:
            await _refuse(context, error)

    async def StreamIsActive(self, request: pb.ScaledObjectRef, context: Context) -> AsyncIterator[pb.IsActiveResponse]:
        """
        True at once, and whenever a hint is offered again after it was not; nothing in between.

        KEDA before 2.18 scales to zero at the first False, without its fallback and its thresholds. So a hint that is
        withheld is silence here, and an error for KEDA's polls, which go on beside the stream.
        """
        try:
            asked, told_until = _trigger(request), 0
            with self._place():
                while not self._bell.is_over:
                    ring, until = self._bell.next_ring, self._offered_until(asked)
                    if until and self._clock() >= told_until:  # also where what was told has expired meanwhile
                        yield pb.IsActiveResponse(result=True)
                    told_until = until
                    await ring.wait()
        except _REFUSALS as error:
            await _refuse(context, error)

    async def StreamMetricSpec(
        self, request: pb.ScaledObjectRef, context: Context
    ) -> AsyncIterator[pb.GetMetricSpecResponse]:
        """The target at once, or as soon as it is known, and then whenever it has changed."""
        try:
            asked, told = _trigger(request), None
            with self._place():
                while not self._bell.is_over:
                    ring, target = self._bell.next_ring, self._known_target(asked)
                    if target not in (None, told):
                        yield _spec(asked, target)
                        told = target
                    await ring.wait()
        except _REFUSALS as error:
            await _refuse(context, error)

    def _offered(self, asked: Trigger) -> tuple[Entry, Hint]:
        return self._noticeboard.board.offered(asked.namespace, asked.forecast, self._clock())

    def _offered_until(self, asked: Trigger) -> int:
        """When what may be told now expires; 0 if nothing may be."""
        try:
            return self._offered(asked)[0].expire_time
        except Withheld:
            return 0

    def _target(self, asked: Trigger) -> Amount:
        if asked.metric is Metric.REPLICAS:
            return amounts.ONE  # known before the first cycle, and of a name that is not known
        entry = self._noticeboard.board.entries.get((asked.namespace, asked.forecast))
        if entry is None:
            entry, _ = self._offered(asked)  # says why there is none
        return _load_target(entry)

    def _known_target(self, asked: Trigger) -> Amount | None:
        try:
            return self._target(asked)
        except Withheld:
            return None

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._streams >= self._max_streams:
            raise TooManyStreams(f"{self._max_streams} streams are open, which is the limit; KEDA still polls")
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1


def _trigger(reference: pb.ScaledObjectRef) -> Trigger:
    return trigger.parse(reference.namespace, reference.name, reference.scalerMetadata)


def _load_target(entry: Entry) -> Amount:
    per_replica = amounts.load_target(entry)
    if per_replica is None:
        raise Withheld(
            "what one replica carries has not been learned yet; "
            f"write spec.scaling.perReplica, or metadata.{trigger.METRIC}: {Metric.REPLICAS}"
        )
    return per_replica


def _spec(asked: Trigger, target: Amount) -> pb.GetMetricSpecResponse:
    spec = pb.MetricSpec(metricName=asked.metric.name_told, targetSize=target.whole, targetSizeFloat=target.exact)
    return pb.GetMetricSpecResponse(metricSpecs=[spec])


def _values(asked: Trigger, name: str, entry: Entry, hint: Hint) -> pb.GetMetricsResponse:
    told = asked.metric.name_told
    if name not in ("", told):
        raise Misconfigured("metricName", f"this trigger has no {name!r}", f"ask for {told}")
    value = amounts.replicas(hint) if asked.metric is Metric.REPLICAS else amounts.load(hint, _load_target(entry))
    one = pb.MetricValue(metricName=told, metricValue=value.whole, metricValueFloat=value.exact)
    return pb.GetMetricsResponse(metricValues=[one])


async def _refuse(context: Context, error: Exception) -> NoReturn:
    code = next(code for kind, code in _CODES if isinstance(error, kind))
    await context.abort(code, str(error))
