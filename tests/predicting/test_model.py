"""
What the GCN-GRU promises whatever its weights are.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from builders.recordings import part, recording, seasonal, services, untrained
from tidecast_predictor import compiled
from tidecast_predictor.batch import COURSES, RETURNS, assemble
from tidecast_predictor.compiled import native_is_there
from tidecast_predictor.convolution import CallGraph, DirectedConvolution
from tidecast_predictor.predicting import predict
from tidecast_predictor.scaling import to_units
from tidecast_predictor.windows import Past, past_at

CHAIN = {"calls": np.array([[0, 1], [1, 2]]), "rates": np.array([5, 3], dtype=np.float32)}


def nothing_before(chosen, times):
    return np.full((len(times), len(chosen), 7), np.nan, dtype=np.float32)


def answer(snapshot, lookup=nothing_before, model=None):
    """Quantiles of the requests, (N, H, Q)."""
    model = model or untrained().model
    past = Past(snapshot, lookup)
    material = past.material(past.reference(model.architecture.horizon_steps, untrained().pool), model.architecture)
    return predict(model, material)[:, 0, 0, 0]


def moments(model, snapshot, origins):
    """A batch with a sample for each origin."""
    pasts = [past_at(snapshot, origin, 8) for origin in origins]
    reference = pasts[-1].reference(4)
    materials = [past.material(reference, model.architecture) for past in pasts]
    of_samples = ("z_BTNA", "before_BNA", "times_BT", "origins_BP", "days_BPWJNF")
    joined = {name: torch.cat([getattr(material, name) for material in materials]) for name in of_samples}
    return assemble(replace(materials[0], **joined), model.architecture)


def window(**changes):
    return replace(part(seasonal(1), 0, 8), **(CHAIN | changes))


def test_quantiles_do_not_cross_before_they_are_calibrated():
    model, past = untrained().model, Past(window(), nothing_before)
    batch = assemble(past.material(past.reference(4), model.architecture), model.architecture)
    with torch.no_grad():
        model.correction.weight.mul_(100)
        assert (model(batch).quantiles_NBPFHQ.diff(dim=-1) >= 0).all()


def test_quantiles_do_not_cross():
    model = untrained(quantiles=(0.05, 0.1, 0.5, 0.9, 0.95)).model
    model.calibration.uniform_(0.2, 5)
    assert (np.diff(answer(window(), model=model), axis=-1) >= 0).all()


def only_by(model, gate):
    """The model with every gate shut but one, and without all that is not gated."""
    with torch.no_grad():
        for part in (model.correction, model.recent, model.gates, model.zero):
            part.weight.zero_()
        model.line.shares_FH2.zero_()
        model.correction.bias.zero_()
        model.gates.bias.zero_()
        model.gates_by_step.fill_(-30.0)
        model.gates_by_step[..., gate] = 30.0
    return model


def test_by_its_gate_a_series_goes_back_to_its_usual_level():
    past = Past(window(), nothing_before)
    usual = past.reference(4, untrained().pool).median[:, 0]
    forecast = answer(window(), model=only_by(untrained().model, 1 + len(COURSES)))
    assert np.allclose(forecast[..., 1], to_units(usual[:, None])[:, 0, None], rtol=1e-3)


def test_by_its_gate_a_series_goes_back_to_what_is_usual_at_this_hour():
    usual = window().values[-1] * 1.2

    def yesterday(_chosen, times):
        return np.broadcast_to(usual, (len(times), *usual.shape)).copy()

    forecast = answer(window(), lookup=yesterday, model=only_by(untrained().model, 2 + len(COURSES)))
    assert np.allclose(forecast[..., 1], usual[:, :1], rtol=1e-3)


def told_of(periods):
    """What a model of those clocks is told of the days before."""
    days = seasonal(9)
    past = past_at(days, days.steps - 1, 8)
    architecture = untrained(periods=periods).model.architecture
    return assemble(past.material(past.reference(4), architecture), architecture)


def test_of_a_week_before_only_a_model_is_told_that_learnt_from_weeks():
    day, week = (told_of(periods).courses_known_NBPFW[:, 0, 0, 0] for periods in ((86_400,), (86_400, 604_800)))
    assert (day[:, COURSES.index("last week")] == 0).all()
    assert (week[:, COURSES.index("last week")] == 1).all()
    assert (day[:, COURSES.index("yesterday")] == 1).all()


def test_of_days_before_a_model_is_told_nothing_that_learnt_from_hours():
    told = told_of(())
    assert (told.courses_known_NBPFW == 0).all()
    assert (told.courses_NBPFHW == 0).all()
    assert (told.returns_NBPFV[..., RETURNS.index("usual level at this hour")] == 0).all()


def test_the_mean_lies_above_the_median_where_that_is_usual():
    model = untrained().model
    past = Past(window(), nothing_before)
    reference = past.reference(4)
    skewed = replace(reference, skew=np.array([[0.0], [0.1], [0.2]], np.float32).repeat(7, axis=1))
    with torch.no_grad():
        answers = [model(assemble(past.material(known, model.architecture), model.architecture)) for known in (
            replace(reference, skew=np.zeros_like(skewed.skew)), skewed)]  # fmt: skip
    moved = (answers[1].mean_NBPFH - answers[0].mean_NBPFH)[:, 0, 0, 0]
    assert torch.equal(answers[0].quantiles_NBPFHQ, answers[1].quantiles_NBPFHQ)
    assert (moved[0] == 0).all()
    assert (moved[1] > 0).all()
    assert torch.allclose(moved[2] * reference.change[2, 0], 2 * moved[1] * reference.change[1, 0], rtol=1.0)


def test_what_is_likely_zero_has_a_median_of_zero_and_a_p90_above_it():
    model = untrained().model
    usual = answer(window(), model=model)
    with torch.no_grad():
        model.zero.bias.fill_(1.0)
    likely = answer(window(), model=model)
    assert (usual[..., 1] > 0).all()
    assert (likely[..., :2] == 0).all()
    assert np.array_equal(likely[..., 2], usual[..., 2])


def test_the_order_of_services_does_not_matter():
    there, back = [2, 0, 1], [1, 2, 0]
    snapshot = window()
    shuffled = replace(
        snapshot,
        services=tuple(snapshot.services[index] for index in there),
        values=snapshot.values[:, there],
        calls=np.array(back)[snapshot.calls],
    )
    assert np.allclose(answer(shuffled)[back], answer(snapshot), rtol=1e-5)


def test_a_change_at_a_caller_reaches_its_callee_and_one_further_at_the_next():
    values = window().values.copy()
    values[-1, 0, 0] *= 3
    changed = (answer(window(values=values)) != answer(window())).any(axis=(1, 2))
    assert changed.tolist() == [True, True, True]


def test_without_calls_services_do_not_know_each_other():
    alone = {"calls": np.zeros((2, 0), np.int64), "rates": np.zeros(0, np.float32)}
    values = window().values.copy()
    values[-1, 0, 0] *= 3
    changed = (answer(window(values=values, **alone)) != answer(window(**alone))).any(axis=(1, 2))
    assert changed.tolist() == [True, False, False]


def test_who_calls_and_who_is_called_differ():
    turned = window(calls=window().calls[::-1].copy())
    assert not np.allclose(answer(turned), answer(window()))


def test_the_share_of_a_caller_counts_and_not_its_scale():
    calls = torch.tensor([[0, 1], [2, 2]])
    even, tenfold, skewed = (
        CallGraph.of(calls, torch.tensor(rates), 3).callers_NN.to_dense() for rates in ([5.0, 5], [50.0, 50], [9.0, 1])
    )
    assert torch.equal(even, tenfold)
    assert even[2].tolist() == [0.5, 0.5, 0]
    assert skewed[2].tolist() == pytest.approx([0.9, 0.1, 0])


def test_callees_and_callers_have_weights_of_their_own():
    convolution = DirectedConvolution(2, 3)
    own, callees, callers = torch.randn(3, 4, 2)
    assert not torch.allclose(convolution(own, callees, callers), convolution(own, callers, callees))


def test_the_model_is_told_what_was_measured():
    values = window().values.copy()
    values[3, 1, 0] = np.nan
    past, architecture = Past(window(values=values), nothing_before), untrained().model.architecture
    batch = assemble(past.material(past.reference(4), architecture), architecture)
    measured = batch.steps_NBTC[:, 0, :, -values.shape[-1] :].transpose(0, 1)
    assert torch.equal(measured.bool(), torch.isfinite(torch.from_numpy(values)))


def test_a_silent_service_and_an_unseen_one_differ():
    values = window().values.copy()
    values[4:, 1, 0] = 0
    silent = answer(window(values=values))
    values[4:, 1, 0] = np.nan
    assert not np.allclose(silent, answer(window(values=values)))


def test_a_service_that_was_never_measured_has_no_forecast_and_the_others_have_theirs():
    values = window().values.copy()
    values[:, 1] = np.nan
    known = np.isfinite(answer(window(values=values))).all(axis=(1, 2))
    assert known.tolist() == [True, False, True]


def test_a_service_with_a_single_measurement_has_a_forecast():
    values = window().values.copy()
    values[:-1, 1] = np.nan
    assert np.isfinite(answer(window(values=values))).all()


@pytest.mark.parametrize("steps", [1, 3, 12])
def test_any_number_of_steps_will_do(steps):
    snapshot = part(seasonal(1), 20 - steps, 20)
    assert np.isfinite(answer(snapshot)).all()


def test_a_window_cut_short_is_one_whose_beginning_is_missing():
    snapshot = part(seasonal(1), 0, 8)
    values = snapshot.values.copy()
    values[:5] = np.nan
    assert np.allclose(answer(part(snapshot, 5, 8)), answer(replace(snapshot, values=values)), rtol=1e-5)


def test_forecasts_lie_within_the_range_of_their_feature():
    values = np.full((8, 2, 7), 0.999, dtype=np.float32)
    values[::2] = 0.001
    snapshot = replace(recording(np.ones((8, 2))), values=values)
    past, model = Past(snapshot, nothing_before), untrained().model
    quantiles = predict(model, past.material(past.reference(4), model.architecture))
    assert quantiles.min() >= 0
    assert quantiles[:, :, :, 3].max() <= 1


def test_more_services_than_a_block_holds_are_forecast_alike(monkeypatch):
    snapshot = replace(recording(np.tile([[5.0, 9.0, 2.0]], (8, 10))), services=services(30))
    whole = answer(snapshot)
    monkeypatch.setattr("tidecast_predictor.model.BLOCK_ROWS", 7)
    assert np.allclose(answer(snapshot), whole, rtol=1e-5)


@pytest.mark.parametrize("changes", [{}, {"hidden": 16}, {"periods": ()}, {"recurrent": False}], ids=str)
@pytest.mark.parametrize("origins", [[30], [30, 41, 55]], ids=["one origin", "origins at different hours"])
def test_without_gradients_it_says_the_same_in_another_way(changes, origins, monkeypatch):
    monkeypatch.setattr("tidecast_predictor.model.BLOCK_ROWS", 7)  # services of several blocks
    model, snapshot = untrained(**changes).model, replace(seasonal(2), **CHAIN)
    batch = moments(model, snapshot, origins)
    monkeypatch.setattr("tidecast_predictor.model.is_faster", lambda *_: True)
    learning = model(batch).quantiles_NBPFHQ
    assert learning.requires_grad
    with torch.no_grad():
        assert torch.allclose(model(batch).quantiles_NBPFHQ, learning, atol=1e-5)


@pytest.mark.skipif(not native_is_there(), reason="scripts/build-native.sh was not run here")
@pytest.mark.parametrize("changes", [{}, {"periods": ()}, {"recurrent": False}], ids=str)
def test_compiled_code_and_pytorch_teach_the_same(changes, monkeypatch):
    monkeypatch.setattr("tidecast_predictor.model.BLOCK_ROWS", 7)  # services of several blocks
    model, snapshot = untrained(hidden=16, **changes).model.train(), replace(seasonal(2), **CHAIN)
    batch = moments(model, snapshot, [30, 41, 55])

    def slopes():
        model.zero_grad()
        model(batch).quantiles_NBPFHQ.square().sum().backward()
        return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}

    found = slopes()
    monkeypatch.setattr(compiled, "library", lambda: None)
    for name, slope in slopes().items():
        assert torch.allclose(found[name], slope, rtol=1e-3, atol=1e-5 * float(slope.abs().max())), name
