import asyncio

import pytest

from tidecast_operator.api_answers import Outcome, WriteRefused
from tidecast_operator.errors import ApiServerUnavailable, Misconfigured
from tidecast_operator.file_following import Applying, FileFollower

MANIFEST = (
    "{{apiVersion: tidecast.dev/v1alpha1, kind: Forecaster, metadata: {{name: default}}, spec: {{stepSeconds: {}}}}}"
)


class Following:
    """A file, and who follows it."""

    def __init__(self, folder, *, step=30):
        self.path = folder / "forecaster.yaml"
        self.leads, self.now, self.error, self.taken = True, 0.0, None, []
        if step is not None:
            self.write(step)
        self.follower = FileFollower(self.path, self.take, may_take=lambda: self.leads, clock=lambda: self.now)

    def write(self, step):
        self.path.write_text(MANIFEST.format(step))

    async def take(self, manifest):
        if self.error is not None:
            raise self.error
        self.taken.append(manifest.spec["stepSeconds"])

    async def look(self, times=2):
        """What is followed after so many looks; two in a row have to see the same."""
        for _ in range(times):
            await self.follower.once()
            self.now += 2
        return self.taken


@pytest.fixture
def file(tmp_path):
    return Following(tmp_path)


async def test_what_the_file_says_is_handed_on_once(file):
    assert await file.look(3) == [30]


async def test_it_has_settled_when_what_the_file_says_is_in_effect(file):
    settled = asyncio.create_task(file.follower.settled())
    await file.look(1)
    assert not settled.done()

    await file.look(1)
    await asyncio.wait_for(settled, timeout=5)
    assert file.taken == [30]


@pytest.mark.parametrize("content", [None, "kind: ["], ids=["no file", "no Forecaster"])
async def test_it_has_settled_when_the_log_tells_what_is_wrong_with_the_file(tmp_path, caplog, content):
    file = Following(tmp_path, step=None)
    if content is not None:
        file.path.write_text(content)
    await file.look()

    await asyncio.wait_for(file.follower.settled(), timeout=5)
    assert file.taken == []
    assert str(file.path) in caplog.text


async def test_another_content_is_handed_on_without_a_restart(file):
    await file.look()
    file.write(60)

    assert await file.look(2) == [30, 60]


@pytest.mark.parametrize(
    "half", ["", "apiVersion: tidecast", MANIFEST.format(6)], ids=["none", "a word", "a Forecaster"]
)
async def test_a_file_that_is_being_written_is_followed_when_it_is_whole(file, caplog, half):
    await file.look()
    file.path.write_text(half)
    await file.look(1)
    file.write(60)

    assert await file.look(1) == [30]
    assert await file.look(1) == [30, 60]
    assert not caplog.records


async def test_a_file_that_is_gone_for_a_moment_is_followed_when_it_is_whole(file):
    await file.look()
    file.write(6)
    await file.look(1)
    file.path.unlink()
    await file.look(1)
    file.write(6)
    await file.look(1)
    file.write(60)

    assert await file.look() == [30, 60]


async def test_a_mounted_configuration_changes_by_a_link(tmp_path):
    for name, step in (("first", 30), ("second", 60)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "forecaster.yaml").write_text(MANIFEST.format(step))
    (tmp_path / "..data").symlink_to("first")
    file = Following(tmp_path, step=None)
    file.path.symlink_to("..data/forecaster.yaml")
    await file.look()

    (tmp_path / "..next").symlink_to("second")
    (tmp_path / "..next").rename(tmp_path / "..data")

    assert await file.look() == [30, 60]


async def test_who_does_not_lead_hands_on_nothing_until_he_does(file):
    file.leads = False
    assert await file.look(2) == []

    file.leads = True

    assert await file.look(2) == [30]


async def test_who_leads_again_hands_on_the_same_once_more(file):
    await file.look()
    file.leads = False
    await file.look()
    file.leads = True

    assert await file.look(2) == [30, 30]


@pytest.mark.parametrize("text", ["{", "kind: ConfigMap", ""])
async def test_a_file_that_turns_invalid_is_told_once_and_nothing_changes(file, caplog, text):
    await file.look()
    file.path.write_text(text)

    assert await file.look(10) == [30]
    assert caplog.text.count(str(file.path)) == 1
    assert "--forecaster-file" in caplog.records[-1].getMessage()
    assert caplog.records[-1].getMessage().endswith("; until then the Forecaster stays as it is")


async def test_a_file_that_is_mended_takes_effect_though_it_says_what_it_said(file):
    await file.look()
    file.path.write_text("{")
    await file.look()
    file.write(30)

    assert await file.look() == [30, 30]


async def test_a_file_that_comes_late_is_waited_for(tmp_path, caplog):
    file = Following(tmp_path, step=None)
    assert await file.look(3) == []
    assert caplog.text.count("cannot be read") == 1

    file.write(30)

    assert await file.look() == [30]


async def test_what_fails_is_tried_again_after_a_pause(file, caplog):
    file.error = ApiServerUnavailable("the API server does not answer")
    await file.look(3)
    assert caplog.text.count("does not answer") == 1
    file.error = None
    assert await file.look() == []

    assert await file.look(4) == [30]


async def test_another_content_is_not_held_up_by_the_pause(file):
    file.error = ApiServerUnavailable("the API server does not answer")
    await file.look()
    file.error = None
    file.write(60)

    assert await file.look() == [60]


class FakeForecasters:
    """An API server that answers what it is told."""

    def __init__(self, answer):
        self.answer, self.bodies = answer, []

    def apply(self, body):
        self.bodies.append(body)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def applied(tmp_path, answer):
    file = Following(tmp_path)
    forecasters = FakeForecasters(answer)
    follower = FileFollower(file.path, Applying(file.path, forecasters).take)
    for _ in range(2):
        await follower.once()
    return forecasters.bodies


async def test_what_is_applied_bears_the_label_by_which_it_is_found_again(tmp_path):
    [body] = await applied(tmp_path, Outcome.DONE)

    assert body["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "tidecast-file"}
    assert body["spec"] == {"stepSeconds": 30}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Outcome.GONE, "apply manifests/crds"),
        (WriteRefused("spec.stepSeconds is invalid"), "correct the file"),
        (Misconfigured("permissions", "cannot patch", "grant it"), "grant it"),
    ],
)
async def test_what_is_not_applied_is_told_with_a_remedy(tmp_path, caplog, answer, told):
    await applied(tmp_path, answer)

    assert told in caplog.text
    assert "in effect" not in caplog.text


@pytest.mark.parametrize(
    "text", ["a: !!int ''", "a: !!bool maybe", "a: !!timestamp soon", "[" * 2000], ids=["int", "bool", "time", "deep"]
)
async def test_a_file_that_yaml_cannot_follow_ends_nothing_and_is_told_once(text, file, caplog):
    file.path.write_text(text)

    assert await file.look(3) == []
    assert len([one for one in caplog.records if str(file.path) in one.getMessage()]) == 1
    file.write(60)
    file.now += 600
    assert await file.look() == [60]
