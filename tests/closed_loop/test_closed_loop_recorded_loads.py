import numpy as np
import pytest
from recorded_load import Recording, most_carried
from run_flags import told
from scene import GATEWAY, HIGHEST_REPLICAS, mesh

DAY, HOUR, DAY_MINUTES = 86_400, 3600, 1440
MIDNIGHT = 20_000.0 * DAY
FACTOR = 12


def days(*levels):
    """Whole days, each of one level all day."""
    return np.repeat(np.array(levels, dtype=np.float64), DAY_MINUTES)


def read(path, step_seconds=60.0):
    return Recording.read(path, step_seconds=step_seconds)


def at(shape, hour):
    return shape.factor(np.array([MIDNIGHT + hour * HOUR]), GATEWAY)[0]


def run_of(path, *flags):
    """What a run is told: by default 30 real minutes are scored after a warm-up of 20, which are 6 and 4 hours there."""
    return told([f"--load-file={path}", "--warm-up-minutes=20", "--from-hour=10", *flags])


def refusal(capsys, path, *flags):
    with pytest.raises(SystemExit):
        run_of(path, *flags)
    return capsys.readouterr().err


def test_the_last_whole_day_is_the_one_that_is_scored(load_file):
    path = load_file(np.concatenate([days(1, 2, 3, 4), np.full(300, 9.0)]))
    shape = run_of(path).load(MIDNIGHT)

    mean = np.mean(read(path).series.values)
    assert at(shape, 10) == pytest.approx(4 / mean)
    assert at(shape, -10) == pytest.approx(3 / mean)


def test_another_seed_scores_an_earlier_day(load_file):
    shape = run_of(load_file(days(1, 2, 3, 4)), "--seed=1").load(MIDNIGHT)

    assert at(shape, 10) == pytest.approx(3 / 2.5)


def test_a_run_is_named_after_its_file_and_says_nothing_of_folders(load_file):
    settings = run_of(load_file(days(1, 2, 3, 4), name="sale"), "--scaler=hpa").settings

    assert settings.load == "recorded-sale"
    assert settings.name == "recorded-sale-hpa-0"


def test_history_begins_with_the_recording_where_that_is_shorter(load_file):
    """Of four days, three and ten hours less a warm-up of four are before the past ends."""
    assert run_of(load_file(days(1, 2, 3, 4))).settings.history_hours == pytest.approx((3 * 24 + 10 - 4) / FACTOR)


def test_history_is_as_long_as_asked_for_where_the_recording_has_it(load_file):
    assert run_of(load_file(days(1, 2, 3, 4)), "--history-hours=5").settings.history_hours == 5


def test_a_recording_with_less_than_two_days_of_past_is_refused(load_file, capsys):
    path = load_file(days(1, 2, 3))

    assert run_of(path).settings.history_hours == pytest.approx((2 * 24 + 10 - 4) / FACTOR)
    assert "has 2.0 days before the warm-up" in refusal(capsys, path, "--from-hour=3.9")
    assert "choose a lower seed" in refusal(capsys, path, "--seed=1")


def test_a_seed_whose_day_the_recording_does_not_have_is_refused(load_file, capsys):
    assert "choose a seed from 0 to 2" in refusal(capsys, load_file(days(1, 2, 3)), "--seed=3")


def test_a_recording_that_is_over_before_the_scored_time_is_refused(load_file, capsys):
    path = load_file(days(1, 2, 3, 4))

    assert run_of(path, "--from-hour=17.9").settings.from_hour == 17.9
    assert "over 2.0 hours before the scored time" in refusal(capsys, path, "--from-hour=20")


def test_a_day_on_which_nothing_was_recorded_is_not_scored(load_file, capsys):
    path = load_file(days(1, 2, 3, 4, 0))

    assert "no load at all; choose another seed" in refusal(capsys, path)
    assert at(run_of(path, "--seed=1").load(MIDNIGHT), 10) == pytest.approx(4 / 2)


def test_a_gap_is_refused(load_file, tmp_path, capsys):
    values = days(1, 2, 3, 4)
    values[77] = np.nan
    csv = tmp_path / "shop.csv"
    csv.write_text("time,rps\n0,1\n60,\n120,1\n")

    assert "fill its gaps" in refusal(capsys, load_file(values))
    assert "fill its gaps" in refusal(capsys, csv)


def test_a_file_that_is_not_there_is_refused(tmp_path, capsys):
    assert "--load-file" in refusal(capsys, tmp_path / "nothing.npz")


def test_a_recorded_and_a_simulated_load_at_once_are_refused(load_file, capsys):
    assert "not allowed with" in refusal(capsys, load_file(days(1, 2, 3, 4)), "--load=spikes")


@pytest.mark.parametrize("step_seconds", [0.0, -60.0, float("nan")])
def test_a_step_that_is_no_time_is_refused(load_file, step_seconds):
    with pytest.raises(ValueError, match="--load-step-seconds must be more than 0"):
        read(load_file(days(1, 2)), step_seconds)


def test_days_are_as_long_as_the_step_makes_them(load_file):
    """Four days of a value a minute are twenty of one every five minutes."""
    assert read(load_file(days(1, 2, 3, 4)), 300.0).day(0) == 19


def test_a_load_that_the_replicas_cannot_carry_is_refused(load_file):
    service, most = most_carried()
    count = 2 * DAY_MINUTES

    def peaking(times_the_mean):
        """All ones, and one value that is so many times the mean of all."""
        values = np.ones(count)
        values[100] = times_the_mean * (count - 1) / (count - times_the_mean)
        return load_file(values)

    assert max(read(peaking(most - 0.1)).series.values) > most - 0.2
    with pytest.raises(ValueError, match=f"replicas of {service} carry {most:.1f} times the mean"):
        read(peaking(most + 0.1))


def test_what_can_be_carried_is_what_the_busiest_service_takes_at_the_autoscalers_target():
    """The catalogue has 0.9 calls for each of the entry's and as many as there are searches, 0.35."""
    service, most = most_carried()
    one = mesh().services[mesh().index["loop/catalogue"]]

    assert service == one.name
    assert most == pytest.approx(HIGHEST_REPLICAS * 0.7 * one.capacity_rps / (600 * 1.25))


def test_a_run_begins_where_load_usually_rises_unless_it_is_told_otherwise(load_file):
    """A day that rises between six and noon, and a spike at night that is only once."""
    day = np.interp(np.arange(DAY_MINUTES) / 60, [0, 6.5, 11.5, 24], [1, 1, 3, 1])
    values = np.tile(day, 5)
    values[3 * DAY_MINUTES + 60 : 3 * DAY_MINUTES + 90] = 8
    flags = (f"--load-file={load_file(values)}", "--warm-up-minutes=20")

    assert told(flags).settings.from_hour == 6
    assert told([*flags, "--from-hour=9"]).settings.from_hour == 9


def test_a_simulated_load_begins_at_its_usual_hour():
    run = told([])

    assert (run.settings.load, run.settings.from_hour, run.recording) == ("rhythm", 10.75, None)


def test_what_was_usual_is_of_the_days_before_alone_and_in_the_same_unit(load_file):
    """Two quiet days and two busy ones."""
    usual = read(load_file(days(1, 1, 5, 5))).usual(MIDNIGHT, until_day=2)

    assert [at(usual, hour) for hour in (0, 10, 23.99)] == pytest.approx([1 / 3] * 3)


def test_what_was_only_once_is_not_usual(load_file):
    values = days(1, 1, 1, 1)
    values[DAY_MINUTES + 600 : DAY_MINUTES + 620] = 9
    recording = read(load_file(values))

    assert at(recording.usual(MIDNIGHT, until_day=3), 10.1) == pytest.approx(1 / np.mean(values))
