"""
Which of several forecasts of a series is believed: each is weighed by how far off it was there of late.

A network that is right about most series is wrong about some: what hardly moves, what changed once and for all. There it
is better to say that all stays as it is, and only what came true can tell where. Prediction with expert advice
(Cesa-Bianchi and Lugosi, Prediction, Learning, and Games, 2006): a weight falls with a power of the mean loss, one of
each service, feature and step ahead, the farther the more has come true.

One service tells little: where forecasts are about as good, a hundred moments cannot say which is better. All services
together can, so they share what they begin from: the weights that would suit the feature and step ahead over all of them, of
which each departs as its own losses say. Those whose choice is settled, such as what stands still, are not heard. And together
they may not take the network's word: it is what foresees a rush, of which quiet hours say nothing, however much they say.

Quiet hours tell nothing of a rush: there the newest value is as good as the network, and when the network then forecasts
what none of the others knows, they would hold it down. So the others are heard as far as forecasts lay apart when they
were judged; where the network rises above them by more than that, it is the network that speaks.

Shapes: `S` origins, `N` services, `F` features, `H` horizon steps, `E` forecasts that are weighed, the network's first, then
`SIMPLE`.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tidecast_predictor.maturing import maturing
from tidecast_predictor.standing import NEWEST, Standing

Numbers = NDArray[np.float32]

SIMPLE = ("newest value", "mean of the newest", "usual level")
"""What is weighed against the network, the same for all steps ahead."""

_ALONE = 0.997  # the network's weight while nothing has come true
_AS_GOOD = 0.5  # and where all are as good, before the services together say which is better
_LEAST = 0.6  # and that it begins from at least, whatever they say
_POWER = 8.0  # half the loss is 256 times the weight: nearly a choice, and where two are as good their mean is better
_POWER_OF_ALL = 24.0  # of what all services say; they say it together, so less counts as much
_OPEN = 0.2  # of the weight that all services share; spread evenly, so that one service can choose what the others would not
_SETTLED = 2.0  # of the logarithm of a ratio of losses: a service that has chosen says nothing of the others
_MOST = 0.3  # of the same; one service must not speak for all
_DOUBT = 5.0  # so many losses count half of what very many do
_KEPT = 0.99  # of the weight of a loss when the next one comes
_DEEPENING = 2.0  # a power: twice as far apart as ever judged, the others are heard a quarter
_NEAREST = np.float32(1e-30)  # no division by zero where all say the same
_SMALLEST = 1e-6  # in the largest loss; less is rounding
_LARGEST = 6.0  # usual errors of the forecast that errs most: one moment must not decide for days
_FEWEST = 3.0  # moments until it is known what is usual


@dataclass(frozen=True, slots=True, eq=False)
class TrackRecord:
    """
    What each forecast was off by of late, and how far it is believed for that.

    Attributes:
        squared: Whether losses are squared errors, as for a mean; absolute ones else, as for a median.
        losses_NFHE: Sums, faded.
        counts_NFH: How many they are sums of, faded alike.
        weights_NFHE: Of each forecast; they sum up to 1.
        apart_NFH: How far from the network's forecast the farthest other one lay when they were judged, the most of late.
        standing: What mostly stays what it is, and has that for its median; None for a mean.
    """

    squared: bool
    losses_NFHE: Numbers
    counts_NFH: Numbers
    weights_NFHE: Numbers
    apart_NFH: Numbers
    standing: Standing | None

    @classmethod
    def none(
        cls,
        services: int,
        features: int,
        horizon: int,
        forecasts: int = 1 + len(SIMPLE),
        *,
        squared: bool = False,
    ) -> "TrackRecord":
        """Before anything came true."""
        shape = (services, features, horizon)
        weights = np.broadcast_to(_shared_out(_ALONE, forecasts), (*shape, forecasts)).copy()
        counts, apart = np.zeros((2, *shape), np.float32)
        standing = None if squared else Standing.none(*shape)
        return cls(squared, np.zeros_like(weights), counts, weights, apart, standing)

    def of(self, rows_N: NDArray[np.int64]) -> "TrackRecord":
        """That of the services at *rows_N*; -1 begins one."""
        if not len(self.counts_NFH):
            return self.none(len(rows_N), *self.losses_NFHE.shape[1:], squared=self.squared)
        new = rows_N < 0
        return replace(
            self,
            losses_NFHE=np.where(new[:, None, None, None], 0, self.losses_NFHE[rows_N]),
            counts_NFH=np.where(new[:, None, None], 0, self.counts_NFH[rows_N]),
            apart_NFH=np.where(new[:, None, None], 0, self.apart_NFH[rows_N]),
            standing=None if self.standing is None else self.standing.of(rows_N),
            weights_NFHE=np.where(new[:, None, None, None], self._alone, self.weights_NFHE[rows_N]),
        )

    def put(self, rows_M: NDArray[np.int64], other: "TrackRecord") -> None:
        """What *other* holds, of M services, takes the place of what was held at *rows_M*."""
        self.losses_NFHE[rows_M] = other.losses_NFHE
        self.counts_NFH[rows_M] = other.counts_NFH
        self.apart_NFH[rows_M] = other.apart_NFH
        if self.standing is not None and other.standing is not None:
            self.standing.put(rows_M, other.standing)
        self.weights_NFHE[rows_M] = other.weights_NFHE

    def copy(self) -> "TrackRecord":
        """One that may `learn` without this one changing."""
        return replace(
            self,
            losses_NFHE=self.losses_NFHE.copy(),
            counts_NFH=self.counts_NFH.copy(),
            apart_NFH=self.apart_NFH.copy(),
            standing=None if self.standing is None else self.standing.copy(),
            weights_NFHE=self.weights_NFHE.copy(),
        )

    def learn(self, ahead: int, said_NFE: Numbers, truth_NF: Numbers) -> None:
        """
        Take in what came true.

        Args:
            ahead: Which of the H steps it is, from 0.
            said_NFE: What had been forecast for it.
            truth_NF: NaN where missing.
        """
        errors_NFE = np.abs(said_NFE - truth_NF[..., None])
        losses_NFE, counts_NF = self.losses_NFHE[:, :, ahead], self.counts_NFH[:, :, ahead]
        loss = np.minimum(np.square(errors_NFE), _largest(losses_NFE, counts_NF)) if self.squared else errors_NFE
        known_NF = np.isfinite(loss).all(axis=-1)
        apart_NF = self.apart_NFH[:, :, ahead]
        apart_NF[known_NF] = np.maximum(_KEPT * apart_NF, _apart(said_NFE))[known_NF]
        losses_NFE[known_NF] = _KEPT * losses_NFE[known_NF] + loss[known_NF]
        counts_NF[known_NF] = _KEPT * counts_NF[known_NF] + 1
        if self.standing is not None:
            self.standing.learn(ahead, said_NFE, truth_NF)
        floor = _SMALLEST * losses_NFE.max(axis=-1, keepdims=True) + _NEAREST
        relative_NFE = np.log(losses_NFE + floor)
        relative_NFE -= relative_NFE.min(axis=-1, keepdims=True)
        believed_NF1 = (counts_NF / (counts_NF + _DOUBT))[..., None]
        alone, shared_FE = np.log(self._alone), np.log(_shared(relative_NFE, believed_NF1))
        weights = np.exp(alone + believed_NF1 * (shared_FE - alone - _POWER * relative_NFE))
        self.weights_NFHE[:, :, ahead] = weights / weights.sum(axis=-1, keepdims=True)

    def mixed(self, said_NFHE: Numbers) -> Numbers:
        """The forecast that is told, (N, F, H)."""
        mixed_NFH: Numbers = np.einsum("nfhe,nfhe->nfh", said_NFHE, self.weights_NFHE)
        if self.standing is not None:
            mixed_NFH = np.where(self.standing.stays(said_NFHE), said_NFHE[..., NEWEST], mixed_NFH)
        heard_NFH = np.minimum(1, self.apart_NFH / np.maximum(_apart(said_NFHE), _NEAREST)) ** _DEEPENING
        # Only what the network says more: where it falls below all the others, too little would be the worse error.
        mixed_NFH += (1 - heard_NFH) * np.maximum(said_NFHE[..., 0] - mixed_NFH, 0)
        return mixed_NFH

    @property
    def _alone(self) -> Numbers:
        return _shared_out(_ALONE, self.weights_NFHE.shape[-1])


def _shared_out(network: float, forecasts: int) -> Numbers:
    """Weights of which the network has that much and the others, one at least, the same each, (E,)."""
    return np.array([network] + [(1 - network) / (forecasts - 1)] * (forecasts - 1), np.float32)


def _shared(relative_NFE: Numbers, believed_NF1: Numbers) -> Numbers:
    """
    The weights that all services begin from, (F, E), each service heard as far as it is believed.

    Args:
        relative_NFE: Logarithms of the losses in that of the least.
        believed_NF1: In [0, 1].
    """
    forecasts = relative_NFE.shape[-1]
    ratios_NFE = relative_NFE - relative_NFE[..., :1]
    differing_NF1 = relative_NFE.max(axis=-1, keepdims=True) > 0  # what all foresee alike tells nothing
    settled_NF1 = np.abs(ratios_NFE[..., 1:].min(axis=-1, keepdims=True)) > _SETTLED
    believed_NF1 = believed_NF1 * (differing_NF1 & ~settled_NF1)
    heard_F1 = believed_NF1.sum(axis=0)
    mean_FE = (believed_NF1 * np.clip(ratios_NFE, -_MOST, _MOST)).sum(axis=0) / np.maximum(heard_F1, _NEAREST)
    weights = np.log(_shared_out(_AS_GOOD, forecasts)) - _POWER_OF_ALL * heard_F1 / (heard_F1 + _DOUBT) * mean_FE
    weights = np.exp(weights - weights.max(axis=-1, keepdims=True))
    shared = (1 - _OPEN) * weights / weights.sum(axis=-1, keepdims=True) + np.float32(_OPEN / forecasts)
    network_F1 = np.maximum(shared[:, :1], np.float32(_LEAST))
    others = shared[:, 1:] * (1 - network_F1) / (1 - shared[:, :1])
    return np.concatenate([network_F1, others], axis=1, dtype=np.float32)


def _largest(losses_NFE: Numbers, counts_NF: Numbers) -> Numbers:
    """The most that a square counts, (N, F, 1)."""
    usual_NF = losses_NFE.max(axis=-1) / np.maximum(counts_NF, _FEWEST)
    largest: Numbers = np.where(counts_NF < _FEWEST, np.float32(np.inf), np.float32(_LARGEST**2) * usual_NF)
    return largest[..., None]


def _apart(said: Numbers) -> Numbers:
    """How far from the network's forecast the farthest other one lies."""
    network = said[..., 0]
    apart = np.zeros_like(network)
    for other in range(1, said.shape[-1]):  # several times as fast as a maximum along so short an axis
        np.maximum(apart, np.abs(said[..., other] - network), out=apart)
    return apart


def simple_forecasts(recent_NRF: Numbers, usual_NF: Numbers) -> Numbers:
    """
    What is weighed against the network.

    Args:
        recent_NRF: The newest measurements, newest last, (..., R, F); NaN where missing.
        usual_NF: What is usual for each series, (..., F); NaN where not known.

    Returns:
        `SIMPLE`, (..., F, 3); NaN where not known.
    """
    known = np.isfinite(recent_NRF)
    count = known.sum(axis=-2)
    total = np.where(known, recent_NRF, 0).sum(axis=-2)
    newest_at = recent_NRF.shape[-2] - 1 - known[..., ::-1, :].argmax(axis=-2)
    newest = np.take_along_axis(recent_NRF, newest_at[..., None, :], axis=-2)[..., 0, :]
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.stack([newest, mean, np.broadcast_to(usual_NF, newest.shape)], axis=-1).astype(np.float32)


def beside(network_NFH: Numbers, simple_NFX: Numbers) -> Numbers:
    """All that is weighed, (..., F, H, E): a simple forecast that is not known says what the network says."""
    simple_NFHX = np.broadcast_to(simple_NFX[..., None, :], (*network_NFH.shape, simple_NFX.shape[-1]))
    network_NFH1 = network_NFH[..., None]
    return np.concatenate([network_NFH1, np.where(np.isfinite(simple_NFHX), simple_NFHX, network_NFH1)], axis=-1)


def mix_online(said: Numbers, truth: Numbers, steps: NDArray[np.int64], *, squared: bool) -> Numbers:
    """
    Forecasts at rising origins, each mixed by what was known at its origin and by nothing later.

    Args:
        said: What is weighed, float32 of shape (S, N, F, H, E).
        truth: What came true, (S, N, F, H); NaN where missing.
        steps: Of the origins, on the grid that H counts on, int64 of shape (S,), rising.
        squared: As in `TrackRecord`.

    Returns:
        (S, N, F, H).
    """
    record = TrackRecord.none(*said.shape[1:], squared=squared)
    mixed = np.empty_like(truth)
    for now, due in enumerate(maturing(steps, said.shape[3])):
        for origin, ahead in due:
            record.learn(ahead, said[origin, :, :, ahead], truth[origin, :, :, ahead])
        mixed[now] = record.mixed(said[now])
    return mixed
