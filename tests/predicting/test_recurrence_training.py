"""
The recurrence that is learnt is nn.GRU on a plain convolution, in its states and in its gradients, whatever computes it.
"""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from tidecast_predictor import compiled
from tidecast_predictor.compiled import native_is_there
from tidecast_predictor.recurrence_training import course

CHANNELS = (5, 4, 6, 3)  # of a service itself, of callees and callers, of the clock
HIDDEN = 32

is_compiled = pytest.mark.skipif(not native_is_there(), reason="scripts/build-native.sh was not run here")
backends = pytest.mark.parametrize("backend", ["torch", pytest.param("native", marks=is_compiled)])


class Network(nn.Module):
    """What is learnt."""

    def __init__(self, hidden=HIDDEN):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(channels, hidden) for channels in CHANNELS)
        self.gru = nn.GRU(hidden, hidden, batch_first=True)

    def course(self, parts, backend=None):
        return course(parts, list(self.layers), self.layers[0].bias, self.gru, backend=backend)

    def plainly(self, parts):
        """As one would write it."""
        first, *others = self.layers
        slices = first(parts[0]) + sum(layer(part) - layer.bias for layer, part in zip(others, parts[1:], strict=True))
        return self.gru(slices.relu())[0]

    def slopes(self, states, weights=None):
        """The gradients of what is learnt, by name."""
        self.zero_grad()
        (states if weights is None else states * weights).sum().backward()
        return {name: weight.grad.clone() for name, weight in self.named_parameters() if weight.grad is not None}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def parts_of(rows, steps):
    return [torch.randn(rows, steps, channels) for channels in CHANNELS]


def distance(found, expected):
    """In proportion to what is expected."""
    return ((found - expected).norm() / expected.norm().clamp(min=1e-30)).item()


# A block of the compiled code has at most 48 rows, in tiles of 12; from 64 blocks on, several are added up together.
@backends
@pytest.mark.parametrize(
    ("rows", "steps", "hidden"),
    [(1, 1, 16), (1, 9, 48), (13, 1, 64), (96, 5, 32), (205, 30, 64), (1030, 3, 16), (3301, 2, 16)],
)
def test_states_and_gradients_are_those_of_a_plain_gru(backend, rows, steps, hidden):
    network, parts, weights = Network(hidden), parts_of(rows, steps), torch.randn(rows, steps, hidden)
    exact = copy.deepcopy(network).double()
    states, expected = network.course(parts, backend), exact.plainly([part.double() for part in parts])
    assert distance(states, expected) < 1e-5
    slopes, expected_slopes = network.slopes(states, weights), exact.slopes(expected, weights.double())
    for name in slopes:
        assert distance(slopes[name], expected_slopes[name]) < 1e-5, name
    learnt = {name for name, slope in expected_slopes.items() if slope.any()}
    assert learnt <= slopes.keys()


@backends
def test_a_small_move_of_the_weights_changes_the_states_as_gradients_say(backend):
    network, parts, weights = Network(16), parts_of(7, 4), torch.randn(7, 4, 16)
    slopes, step = network.slopes(network.course(parts, backend), weights), 1e-3
    for name, slope in slopes.items():
        weight = network.get_parameter(name)
        at, direction = weight.detach().clone(), slope.sign()
        ends = []
        for side in (step, -step):
            weight.data = at + side * direction
            ends.append((network.course(parts, backend) * weights).sum(dtype=torch.float64).item())
        weight.data = at
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(slope.abs().sum().item(), rel=0.02), name


@backends
@pytest.mark.parametrize(
    "at", [slice(0, 1), slice(-1, None), slice(None, None, 2), slice(None)], ids=["first", "last", "every other", "all"]
)
def test_whatever_states_are_learnt_from_gradients_are_right(backend, at):
    network, parts = Network(), parts_of(50, 6)
    slopes = network.slopes(network.course(parts, backend)[:, at])
    expected = network.slopes(network.plainly(parts)[:, at])
    for name, slope in slopes.items():
        assert torch.allclose(slope, expected[name], rtol=1e-4, atol=1e-4), name


@is_compiled
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_gradients_are_the_same_to_the_bit_however_many_threads_there_are(threads):
    network, parts, weights = Network(), parts_of(1000, 6), torch.randn(1000, 6, HIDDEN)
    before = torch.get_num_threads()
    try:
        found = []
        for number in (before, threads, threads):
            torch.set_num_threads(number)
            states = network.course(parts, "native")
            found.append({"states": states.detach(), **network.slopes(states, weights)})
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(other[name], found[0][name]) for name in found[0])


@backends
def test_what_is_not_a_number_is_told_of_its_row_and_of_no_other(backend):
    network, parts = Network(), parts_of(30, 4)
    whole = network.course(parts, backend)
    parts[0][7, 2, 1] = torch.nan
    states = network.course(parts, backend)
    others = torch.arange(30) != 7
    assert torch.equal(states[others], whole[others])
    assert torch.equal(states[7, :2], whole[7, :2])
    assert states[7, 2:].isnan().all()
    assert all(slope.isnan().any() for slope in network.slopes(states).values())


@backends
def test_far_out_inputs_saturate_and_have_gradients(backend):
    network, parts = Network(), [1e6 * part for part in parts_of(30, 4)]
    states = network.course(parts, backend)
    assert (states.abs() <= 1).all()
    assert all(slope.isfinite().all() for slope in network.slopes(states).values())


@backends
def test_no_rows_teach_nothing(backend):
    network = Network()
    states = network.course(parts_of(0, 4), backend)
    assert states.shape == (0, 4, HIDDEN)
    assert not any(slope.any() for slope in network.slopes(states).values())


@is_compiled
@pytest.mark.parametrize(
    ("backend", "calls"), [(None, ["tidecast_recur", "tidecast_recur_back"]), ("torch", [])], ids=str
)
def test_the_compiled_code_learns_unless_told_otherwise(backend, calls, monkeypatch):
    called = []
    monkeypatch.setattr("tidecast_predictor.recurrence_training.call", lambda name, *_: called.append(name))
    Network().course(parts_of(3, 2), backend).sum().backward()
    assert called == calls


def test_without_compiled_code_pytorch_learns(monkeypatch):
    monkeypatch.setattr(compiled, "library", lambda: None)
    network, parts = Network(), parts_of(20, 5)
    assert torch.allclose(network.course(parts), network.plainly(parts), atol=1e-5)
    with pytest.raises(ValueError, match="use torch"):
        network.course(parts, "native")


def test_code_that_was_compiled_from_sources_of_old_is_not_used(monkeypatch):
    monkeypatch.setattr(compiled.ctypes, "CDLL", lambda _: SimpleNamespace(tidecast_recur=SimpleNamespace()))
    assert compiled.library.__wrapped__() is None


@pytest.mark.parametrize(("hidden", "dtype"), [(9, torch.float32), (HIDDEN, torch.float64)])
def test_what_the_compiled_code_does_not_know_is_left_to_pytorch(hidden, dtype):
    network, parts = Network(hidden).to(dtype), [part.to(dtype) for part in parts_of(20, 5)]
    assert torch.allclose(network.course(parts), network.plainly(parts), atol=1e-5)


def test_inputs_that_are_learnt_are_left_to_pytorch():
    network, parts = Network(), parts_of(20, 5)
    parts[1].requires_grad_()
    found, expected = (
        torch.autograd.grad(states.sum(), parts[1])[0] for states in (network.course(parts), network.plainly(parts))
    )
    assert torch.allclose(found, expected, atol=1e-5)
    with torch.no_grad():
        assert torch.allclose(network.course(parts), network.plainly(parts), atol=1e-5)


@backends
def test_inputs_may_lie_in_memory_in_any_order(backend):
    network, parts = Network(), parts_of(20, 5)
    turned = [part.transpose(0, 2).contiguous().transpose(0, 2) for part in parts]
    found, expected = network.course(turned, backend), network.course(parts, backend)
    assert torch.allclose(found, expected, atol=1e-6)
    weights = torch.randn(found.shape)
    slopes = network.slopes(expected, weights)
    for name, slope in network.slopes(found, weights).items():
        assert torch.allclose(slope, slopes[name], atol=1e-4), name


@is_compiled
@pytest.mark.parametrize("shape", [(20, 5, 5), (19, 5, 4), (20, 4, 4)], ids=["channels", "rows", "steps"])
def test_inputs_that_do_not_fit_are_refused(shape):
    parts = parts_of(20, 5)
    parts[1] = torch.randn(shape)
    with pytest.raises(ValueError, match="alike but for their channels, and have 18"):
        Network().course(parts, "native")


def test_without_a_gru_the_convolution_is_all():
    network, parts = Network(), parts_of(20, 5)
    states = course(parts, list(network.layers), network.layers[0].bias, None)
    network.gru = nn.Identity()
    expected = sum(layer(part) for layer, part in zip(network.layers, parts, strict=True))
    expected = (expected - sum(layer.bias for layer in list(network.layers)[1:])).relu()
    assert torch.allclose(states, expected, atol=1e-5)
