import asyncio

from builders.operating import forecast_body, forecaster_body, namespace_body
from builders.telemetry import service_body, workload_body
from tidecast_operator.picture import Picture
from tidecast_operator.resync import Resync

NOW = 1_800_000_000


class FakeLists:
    """An API server that has the objects it is told, created when it is told."""

    def __init__(self, *bodies, created=NOW - 3600):
        self.created = created
        self.names = {}
        for body in bodies:
            metadata = body["metadata"]
            self.names.setdefault(body["kind"], {})[metadata.get("namespace", ""), metadata["name"]] = created

    def list_names(self, kind):
        return self.names.get(kind, {})


EVERYTHING = (
    namespace_body(),
    workload_body("checkout"),
    service_body("checkout"),
    forecast_body(),
    forecaster_body(),
)


def resync(real, known=EVERYTHING):
    picture, deaf = Picture(), []
    for body in known:
        picture.observe(None, body)
    return Resync(real, picture, on_deaf=lambda: deaf.append(1), clock=lambda: NOW), picture, deaf


async def test_a_picture_that_is_right_stays():
    resyncing, picture, deaf = resync(FakeLists(*EVERYTHING))
    before = picture.names()

    await resyncing.once()

    assert (picture.names(), deaf) == (before, [])


async def test_objects_whose_deletion_was_missed_are_forgotten():
    resyncing, picture, _ = resync(FakeLists(namespace_body(), forecaster_body()))

    await resyncing.once()

    assert picture.workloads().workloads == {}
    assert picture.workloads().services == {}
    assert picture.forecasts() == ()
    assert len(picture.forecasters()) == 1


async def test_nothing_is_forgotten_of_a_kind_that_the_api_server_does_not_know_at_the_moment():
    real = FakeLists(namespace_body(), workload_body("checkout"), service_body("checkout"))
    real.names |= {"ServicePerformanceForecast": None, "Forecaster": None}
    resyncing, picture, deaf = resync(real)

    await resyncing.once()

    assert (len(picture.forecasts()), len(picture.forecasters()), deaf) == (1, 1, [])


async def test_what_is_made_anew_while_lists_are_read_is_kept():
    real, answers = FakeLists(*EVERYTHING), iter([{}])
    resyncing, picture, _ = resync(real)
    lists = real.list_names
    real.list_names = lambda kind: next(answers, lists(kind)) if kind == "Deployment" else lists(kind)

    await resyncing.once()

    assert len(picture.workloads().workloads) == 1


async def test_a_cluster_whose_definitions_are_not_installed_is_complete_without_them():
    real = FakeLists(namespace_body())
    real.names |= {"ServicePerformanceForecast": None, "Forecaster": None}
    resyncing, _, _ = resync(real, known=(namespace_body(),))

    await asyncio.wait_for(resyncing.complete(), timeout=5)


async def test_watches_that_miss_an_old_object_are_deaf():
    resyncing, _, deaf = resync(FakeLists(*EVERYTHING, workload_body("late")))

    await resyncing.once()

    assert deaf == [1]


async def test_an_object_that_is_only_seconds_old_may_still_be_on_its_way():
    resyncing, _, deaf = resync(FakeLists(*EVERYTHING, created=NOW - 5), known=())

    await resyncing.once()

    assert deaf == []


async def test_what_comes_into_being_while_lists_are_read_is_kept():
    real = FakeLists(*EVERYTHING)
    resyncing, picture, _ = resync(real)
    lists = real.list_names

    def list_names(kind):
        picture.observe("ADDED", workload_body("new"))
        return lists(kind)

    real.list_names = list_names
    await resyncing.once()

    assert len(picture.workloads().workloads) == 2


async def test_the_picture_is_complete_when_everything_that_was_there_is_known():
    resyncing, picture, _ = resync(FakeLists(*EVERYTHING), known=EVERYTHING[:-1])
    waiting = asyncio.create_task(resyncing.complete())
    await asyncio.sleep(0.05)
    assert not waiting.done()

    picture.observe(None, EVERYTHING[-1])

    await asyncio.wait_for(waiting, timeout=5)


async def test_a_cluster_with_nothing_in_it_is_complete_at_once():
    resyncing, _, _ = resync(FakeLists(), known=())

    await asyncio.wait_for(resyncing.complete(), timeout=5)
