"""
Of several forecasts of a series the one is believed that was right there, and nobody sees what has not come true.
"""

import numpy as np
import pytest

from tidecast_predictor.track_record import TrackRecord, beside, mix_online, simple_forecasts

SERVICES, FEATURES, HORIZON = 2, 1, 3


def said(origins, *values):
    """The same at every origin, (S, N, F, H, E)."""
    row = np.array(values, np.float32)
    return np.broadcast_to(row, (origins, SERVICES, FEATURES, HORIZON, len(row))).copy()


def truth(origins, value):
    return np.full((origins, SERVICES, FEATURES, HORIZON), value, np.float32)


def mixed(forecasts, came, *, squared=False):
    return mix_online(forecasts, came, np.arange(len(came)), squared=squared)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("right", range(4))
def test_the_forecast_that_was_right_comes_to_be_told(right, squared):
    values = [float(right != each) for each in range(4)]
    told = mixed(said(60, *values), truth(60, 0.0), squared=squared)
    assert abs(told[-1]).max() < 0.01


def test_the_network_speaks_alone_before_anything_came_true():
    assert mixed(said(1, 1, 0, 0, 0), truth(1, np.nan))[0] == pytest.approx(1, abs=0.01)


def test_forecasts_that_are_as_good_are_all_heard():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(200, SERVICES, FEATURES, HORIZON, 4)).astype(np.float32)
    told = mixed(noise, truth(200, 0.0))
    assert np.abs(told[50:]).mean() < 0.8 * np.abs(noise[50:, ..., 0]).mean()


def test_each_service_and_step_ahead_is_judged_by_itself():
    forecasts, came = said(60, 1, 0, 1, 1), truth(60, 0.0)
    forecasts[:, 1] = said(60, 0, 1, 1, 1)[:, 1]
    forecasts[..., 2, :] = [0, 1, 1, 1]
    record = TrackRecord.none(SERVICES, FEATURES, HORIZON)
    for origin in range(60):
        for ahead in range(HORIZON):
            record.learn(ahead, forecasts[origin, :, :, ahead], came[origin, :, :, ahead])
    best = record.weights_NFHE.argmax(axis=-1)[:, 0]
    assert best.tolist() == [[1, 1, 0], [0, 0, 0]]


def test_one_moment_that_is_off_by_far_does_not_decide_whose_mean_is_told():
    rng = np.random.default_rng(0)
    forecasts = rng.normal(size=(100, SERVICES, FEATURES, HORIZON, 4)).astype(np.float32)
    forecasts[..., 0] *= 0.3  # the network is better
    forecasts[60, ..., 0] = 60.0  # and missed a spike once
    told = mixed(forecasts, truth(100, 0.0), squared=True)
    assert np.abs(told[70:] - forecasts[70:, ..., 0]).mean() < 0.2


def test_what_was_right_long_ago_counts_less_than_what_is_right_now():
    came = truth(2500, 0.0)
    came[700:] = 1.0
    told = mixed(said(2500, 0, 1, 0, 0), came)
    assert abs(told[695] - 0).max() < 0.01
    assert abs(told[-1] - 1).max() < 0.05


def test_a_rush_that_comes_every_day_is_told_before_it_comes():
    rng, rush = np.random.default_rng(0), 240
    course = np.zeros(4 * 720, np.float32)
    course[np.arange(len(course)) % 720 >= 720 - rush] = 50.0
    noise = rng.normal(size=(2, len(course))).astype(np.float32)
    forecasts = said(len(course) - HORIZON, 0, 0, 0, 0)
    came = truth(len(course) - HORIZON, 0.0)
    for origin in range(len(came)):
        came[origin] = course[origin + 1 : origin + 1 + HORIZON] + noise[0, origin]
        forecasts[origin, ..., 0] = course[origin + 1 : origin + 1 + HORIZON] + 0.3 * noise[1, origin]
        forecasts[origin, ..., 1:] = course[origin]
    onset = 3 * 720 + 720 - rush - 1
    told = mixed(forecasts[: onset + 1], came[: onset + 1])
    assert told[onset].min() > 0.7 * 50


def test_a_truth_counts_only_once_its_moment_has_come():
    came = truth(30, 0.0)
    changed = came.copy()
    changed[20, :, :, 2] = 1.0  # three steps after origin 20: known at 23
    before, after = (mixed(said(30, 1, 0, 0, 0), each) for each in (came, changed))
    assert np.array_equal(before[:23], after[:23])
    assert not np.array_equal(before[23], after[23])


def test_what_was_not_measured_changes_nothing():
    told = mixed(said(40, 1, 0, 0, 0), truth(40, np.nan))
    np.testing.assert_allclose(told, np.broadcast_to(told[0], told.shape), rtol=1e-6)


def test_what_is_always_exact_does_not_end_in_a_division_by_zero():
    told = mixed(said(40, 0, 0, 0, 0), truth(40, 0.0), squared=True)
    assert (told == 0).all()


def test_services_that_come_begin_and_others_keep_what_is_known_of_them():
    record = TrackRecord.none(SERVICES, FEATURES, HORIZON)
    record.learn(0, np.array([[[1, 0, 0, 0]], [[0, 1, 1, 1]]], np.float32), np.zeros((2, 1), np.float32))
    other = record.of(np.array([1, -1]))
    assert np.array_equal(other.weights_NFHE[0], record.weights_NFHE[1])
    assert np.array_equal(other.weights_NFHE[1], TrackRecord.none(1, FEATURES, HORIZON).weights_NFHE[0])
    assert (other.losses_NFHE[1] == 0).all()
    assert (other.counts_NFH[1] == 0).all()


def test_learning_changes_no_record_it_was_copied_from():
    record = TrackRecord.none(SERVICES, FEATURES, HORIZON)
    record.copy().learn(0, said(1, 1, 0, 0, 0)[0, :, :, 0], np.zeros((SERVICES, FEATURES), np.float32))
    assert np.array_equal(record.weights_NFHE, TrackRecord.none(SERVICES, FEATURES, HORIZON).weights_NFHE)
    assert (record.losses_NFHE == 0).all()
    assert (record.apart_NFH == 0).all()


def after_quiet_hours():
    """A record of hours in which the network was a little worse than the newest value."""
    record = TrackRecord.none(SERVICES, FEATURES, HORIZON)
    for _ in range(200):
        taught(record, 0.02, 0.01, 0.01, 0.02)
    return record


def taught(record, *errors):
    for ahead in range(HORIZON):
        record.learn(ahead, said(1, *errors)[0, :, :, ahead], np.zeros((SERVICES, FEATURES), np.float32))


class TestQuietHours:
    def test_do_not_hold_down_a_rush_that_the_network_alone_forecasts(self):
        told = after_quiet_hours().mixed(said(1, np.log(4), 0, 0, 0)[0])
        assert told == pytest.approx(np.log(4), rel=0.01)

    def test_let_what_was_better_in_them_be_told_in_them(self):
        assert after_quiet_hours().mixed(said(1, 0.01, 0, 0, 0)[0]) == pytest.approx(0, abs=0.003)

    def test_do_not_let_a_network_be_believed_that_goes_on_forecasting_what_does_not_come(self):
        record = after_quiet_hours()
        for _ in range(20):
            taught(record, 1, 0, 0, 0)
        assert record.mixed(said(1, 1, 0, 0, 0)[0]).max() < 0.05

    def test_hold_up_a_network_that_falls_far_below_all_others(self):
        record = after_quiet_hours()
        told = record.mixed(said(1, -np.log(4), 0, 0, 0)[0])
        assert told == pytest.approx(-np.log(4) * record.weights_NFHE[..., 0], rel=1e-4)
        assert told.min() > -0.9 * np.log(4)


def test_a_newcomer_is_not_judged_by_how_far_forecasts_of_others_lay_apart():
    record = after_quiet_hours().of(np.array([-1, 1]))
    assert (record.apart_NFH[0] == 0).all()
    assert (record.apart_NFH[1] > 0).all()


def test_an_error_too_large_to_be_squared_leaves_the_record_as_it_was():
    record = TrackRecord.none(SERVICES, FEATURES, HORIZON, squared=True)
    with np.errstate(over="ignore"):
        record.learn(0, said(1, 3e19, 1, 1, 1)[0, :, :, 0], np.zeros((SERVICES, FEATURES), np.float32))
    assert record.weights_NFHE == pytest.approx(TrackRecord.none(SERVICES, FEATURES, HORIZON).weights_NFHE, rel=1e-5)


class TestSimpleForecasts:
    RECENT = np.array([[[1.0], [5.0], [3.0], [np.nan]]], np.float32)

    def test_are_the_newest_that_was_measured_the_mean_and_what_is_usual(self):
        found = simple_forecasts(self.RECENT, np.array([[7.0]], np.float32))
        assert found[0, 0].tolist() == [3.0, 3.0, 7.0]

    def test_are_missing_where_nothing_was_measured(self):
        found = simple_forecasts(np.full_like(self.RECENT, np.nan), np.array([[np.nan]], np.float32))
        assert np.isnan(found).all()

    def test_say_what_the_network_says_where_they_are_missing(self):
        simple = np.array([[[np.nan, 2.0, np.nan]]], np.float32)
        weighed = beside(np.array([[[9.0, 8.0]]], np.float32), simple)
        assert weighed[0, 0].tolist() == [[9.0, 9.0, 2.0, 9.0], [8.0, 8.0, 2.0, 8.0]]


def alike(services, origins, *, seed):
    """On pure noise: nothing, as is usual, is the best forecast; what a network reads into noise a little worse."""
    rng = np.random.default_rng(seed)
    came = rng.normal(size=(origins, services, FEATURES, HORIZON)).astype(np.float32)
    forecasts = rng.normal(size=(origins, services, FEATURES, HORIZON, 4)).astype(np.float32)
    return forecasts * np.array([0.4, 1.0, 0.3, 0.0], np.float32), came


def test_what_one_service_cannot_tell_all_of_them_tell_together():
    forecasts, came = alike(40, 250, seed=0)
    together = mixed(forecasts, came, squared=True)[100:]
    apart = [mixed(forecasts[:, at : at + 1], came[:, at : at + 1], squared=True)[100:] for at in range(40)]
    assert np.square(together).mean() < 0.9 * np.square(np.concatenate(apart, axis=1)).mean()


def learnt(forecasts, came):
    record = TrackRecord.none(*forecasts.shape[1:])
    for origin in range(len(came)):
        record.learn(0, forecasts[origin, :, :, 0], came[origin, :, :, 0])
    return record.weights_NFHE[:, 0, 0]


def test_one_service_departs_from_what_suits_all_others():
    forecasts, came = alike(30, 150, seed=1)
    forecasts[:, 7] += np.array([1.0, 0.0, 1.0, 1.0])
    forecasts[:, 7, ..., 1] = came[:, 7]
    weights = learnt(forecasts, came)
    assert weights[7].argmax() == 1
    assert weights[7, 1] > 0.9
    assert np.delete(weights, 7, axis=0)[:, [1, 3]].mean(axis=0) == pytest.approx([0, 0.3], abs=0.1)


def test_a_service_that_is_far_off_does_not_speak_for_the_others():
    forecasts, came = alike(30, 150, seed=2)
    forecasts[..., 0] = 0.5 * came[..., :]
    before = learnt(forecasts, came)[1:, 0].mean()
    forecasts[:, 0, ..., 0] = 1e4
    assert learnt(forecasts, came)[1:, 0].mean() == pytest.approx(before, abs=0.01)


def test_services_that_stand_still_tell_nothing_of_which_forecast_is_better():
    forecasts, came = alike(5, 150, seed=3)
    still_forecasts, still = (
        np.zeros((150, 95, *forecasts.shape[2:]), np.float32),
        np.zeros((150, 95, 1, 3), np.float32),
    )
    among = learnt(np.concatenate([forecasts, still_forecasts], axis=1), np.concatenate([came, still], axis=1))[:5]
    np.testing.assert_allclose(among, learnt(forecasts, came), rtol=1e-4)


def test_a_service_of_which_nothing_came_true_is_told_by_the_network_alone_whatever_suits_the_others():
    forecasts, came = alike(30, 150, seed=4)
    came[:, 3] = np.nan
    assert learnt(forecasts, came)[3, 0] > 0.99


def test_more_forecasts_than_usual_can_be_weighed():
    forecasts = np.concatenate([said(60, 1, 1, 1, 1), said(60, 0)], axis=-1)
    assert abs(mixed(forecasts, truth(60, 0.0))[-1]).max() < 0.01


def test_however_sure_all_others_are_of_the_network_one_service_can_choose_another_forecast():
    rng = np.random.default_rng(5)
    came = rng.normal(size=(150, 40, FEATURES, HORIZON)).astype(np.float32)
    off = rng.normal(size=(150, 40, FEATURES, HORIZON, 4)).astype(np.float32)
    forecasts = came[..., None] + off * np.array([0.1, 1, 1, 1], np.float32)
    forecasts[:, 9] = came[:, 9, ..., None] + off[:, 9] * np.array([2, 1, 2, 2], np.float32)
    weights = learnt(forecasts, came)
    assert weights[9].argmax() == 1
    assert np.delete(weights, 9, axis=0)[:, 0].min() > 0.9


def quiet_then_a_rush(services, *, network, rise=0.6, noise=0.2, quiet=200, horizon=15, seed=0):
    """A network that alone foresees the rise of all services, and in quiet hours errs more than what is usual does."""
    rng = np.random.default_rng(seed)
    steps = quiet + 60
    risen = np.clip((np.arange(steps) - quiet + 1) / 20, 0, 1) * rise
    series = 5 + risen[:, None] + noise * rng.normal(size=(steps, services))
    origins = np.arange(12, steps - horizon)
    ahead = origins[:, None] + np.arange(1, horizon + 1)
    came = series[ahead].transpose(0, 2, 1)[:, :, None]
    foreseen = 5 + risen[ahead][:, None] + network * rng.normal(size=(len(origins), services, horizon))
    recent = np.stack([series[origins], np.stack([series[o - 11 : o + 1].mean(axis=0) for o in origins])], axis=-1)
    usual = np.full((len(origins), services, 1), 5.0)
    simple = np.concatenate([recent, usual], axis=-1)[:, :, None]
    forecasts = beside(foreseen[:, :, None].astype(np.float32), simple.astype(np.float32))
    return forecasts, came.astype(np.float32), (origins >= quiet - horizon) & (origins < quiet + 25)


@pytest.mark.parametrize("services", [1, 60])
def test_a_rush_after_quiet_hours_is_told_nearly_as_high_as_the_network_foresees_it(services):
    forecasts, came, rush = quiet_then_a_rush(services, network=0.06)
    short = np.maximum(came - mixed(forecasts, came), 0)[rush].mean()
    assert short < 1.4 * np.maximum(came - forecasts[..., 0], 0)[rush].mean()


def test_the_network_keeps_its_word_however_many_services_say_that_the_usual_is_better():
    forecasts, came, rush = quiet_then_a_rush(60, network=0.1)
    told = mixed(forecasts, came)[rush]
    one_by_one = np.concatenate(
        [mixed(forecasts[:, at : at + 1], came[:, at : at + 1])[rush] for at in range(60)], axis=1
    )
    together, apart = (np.maximum(came[rush] - each, 0).mean() for each in (told, one_by_one))
    assert together < 1.15 * apart


def test_a_record_of_no_services_can_be_asked_for_some():
    record = TrackRecord.none(0, FEATURES, HORIZON).of(np.array([-1, -1]))
    assert np.array_equal(record.weights_NFHE, TrackRecord.none(2, FEATURES, HORIZON).weights_NFHE)
