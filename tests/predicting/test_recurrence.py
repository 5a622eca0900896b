"""
The fast recurrence is nn.GRU on a plain graph convolution, whatever computes it.
"""

import pytest
import torch
from torch import nn

from tidecast_predictor import compiled
from tidecast_predictor.compiled import native_is_there
from tidecast_predictor.convolution import CallGraph, DirectedConvolution, propagate
from tidecast_predictor.recurrence import RecurrentWeights, recur

SERVICES, STEPS, CHANNELS, HIDDEN = 205, 7, 5, 32

backends = pytest.mark.parametrize(
    "backend",
    [
        "torch",
        pytest.param(
            "native", marks=pytest.mark.skipif(not native_is_there(), reason="scripts/build-native.sh was not run here")
        ),
    ],
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return DirectedConvolution(CHANNELS, HIDDEN), nn.GRU(HIDDEN, HIDDEN, batch_first=True)


def weights_of(convolution, gru):
    return RecurrentWeights.of([convolution.own, convolution.callees, convolution.callers], gru)


def parts(services=SERVICES, steps=STEPS):
    return list(torch.randn(3, services, steps, CHANNELS))


def clock_of(convolution, clock):
    return (convolution.own.bias + clock).detach()


@torch.no_grad()
def course(convolution, gru, inputs, clock, state=None):
    """The states at all steps, as one would write them."""
    return gru((convolution(*inputs) + clock).relu(), None if state is None else state[None])[0]


@backends
@pytest.mark.parametrize("block", [1, 64, 1024])
def test_states_are_those_of_a_plain_gru(network, backend, block):
    inputs, clock = parts(), torch.randn(STEPS, HIDDEN)
    states = recur(weights_of(*network), inputs, clock_of(network[0], clock), block=block, backend=backend)
    assert torch.allclose(states, course(*network, inputs, clock)[:, -1], atol=1e-5)


@backends
def test_a_state_that_is_carried_is_as_if_there_were_no_break(network, backend):
    inputs, clock = parts(), torch.randn(STEPS, HIDDEN)
    weights, biased = weights_of(*network), clock_of(network[0], clock)
    state = None
    for step in range(STEPS):
        one = [part[:, step : step + 1] for part in inputs]
        state = recur(weights, one, biased[step : step + 1], state, backend=backend)
    assert torch.allclose(state, course(*network, inputs, clock)[:, -1], atol=1e-5)


@backends
def test_a_given_state_is_left_as_it_was(network, backend):
    state = torch.randn(SERVICES, HIDDEN)
    given = state.clone()
    recur(weights_of(*network), parts(), torch.zeros(STEPS, HIDDEN), state, backend=backend)
    assert torch.equal(state, given)


@backends
def test_far_out_inputs_saturate(network, backend):
    states = recur(weights_of(*network), [1e6 * part for part in parts()], torch.zeros(STEPS, HIDDEN), backend=backend)
    assert (states.abs() <= 1).all()


@backends
def test_no_services_have_no_states(network, backend):
    nobody = parts(services=0)
    assert recur(weights_of(*network), nobody, torch.zeros(STEPS, HIDDEN), backend=backend).shape == (0, HIDDEN)


def test_propagating_first_is_a_plain_convolution_of_each_slice(network):
    from torch_geometric.nn import GCNConv  # noqa: PLC0415 - after tidecast_predictor, which quiets its import

    convolution, gru = network
    calls = torch.randint(0, SERVICES, (2, 3 * SERVICES)).unique(dim=1)
    rates = torch.rand(calls.shape[1])
    x, clock = torch.randn(SERVICES, STEPS, CHANNELS), torch.randn(STEPS, HIDDEN)
    graph = CallGraph.of(calls, rates, SERVICES)
    states = recur(weights_of(convolution, gru), [x, *propagate(graph, x)], clock_of(convolution, clock))
    # PyTorch Geometric sends along an edge from its first row to its second: callees tell their callers.
    to_callers, to_callees = (GCNConv(CHANNELS, HIDDEN, normalize=False, bias=False) for _ in range(2))
    to_callers.lin.weight, to_callees.lin.weight = convolution.callees.weight, convolution.callers.weight
    out, into = (torch.zeros(SERVICES).index_add(0, end, rates.clamp(min=1e-6)) for end in calls)
    with torch.no_grad():
        slices = [
            convolution.own(step)
            + to_callers(step, calls.flip(0), rates.clamp(min=1e-6) / out[calls[0]])
            + to_callees(step, calls, rates.clamp(min=1e-6) / into[calls[1]])
            for step in x.unbind(1)
        ]
        expected = gru((torch.stack(slices, dim=1) + clock).relu())[0][:, -1]
    assert torch.allclose(states, expected, atol=1e-5)


def test_without_compiled_code_pytorch_does_it(network, monkeypatch):
    monkeypatch.setattr(compiled, "library", lambda: None)
    inputs, clock = parts(), torch.zeros(STEPS, HIDDEN)
    states = recur(weights_of(*network), inputs, clock_of(network[0], clock))
    assert torch.allclose(states, course(*network, inputs, clock)[:, -1], atol=1e-5)
    with pytest.raises(ValueError, match="use torch"):
        recur(weights_of(*network), inputs, clock, backend="native")


def test_a_width_that_the_compiled_code_does_not_know_is_left_to_pytorch():
    convolution, gru = DirectedConvolution(CHANNELS, 9), nn.GRU(9, 9, batch_first=True)
    inputs, clock = parts(), torch.zeros(STEPS, 9)
    states = recur(weights_of(convolution, gru), inputs, clock_of(convolution, clock))
    assert torch.allclose(states, course(convolution, gru, inputs, clock)[:, -1], atol=1e-5)
