"""
A real Prometheus scrapes the gauges and answers the queries of the page.
"""

import time
from collections.abc import Callable, Iterator

import pytest

from builders.gauges import Clock, board, facts, named, series
from builders.hints import NOW, entry
from tidecast_operator.health import Health, HealthServer
from tidecast_operator.outlets.gauges.gauges import Gauges
from tidecast_operator.publishing.self_metrics import SelfMetrics
from tidecast_operator.scaling import Mode, Scaling
from tidecast_simulator.testbed.prometheus import PrometheusServer

pytestmark = pytest.mark.real("prometheus")
HINT = 'max(tidecast_hint_load{namespace="shop", name="checkout", mode="Active"})'
RATIO = 'max(100 * tidecast_hint_load{namespace="shop", name="checkout", mode="Active"} / tidecast_hint_per_replica)'
PREVIEW = Scaling(mode=Mode.PREVIEW)


class Scraped:
    """Gauges behind the operator's own endpoint, with a Prometheus that reads it."""

    def __init__(self, start: Callable[..., PrometheusServer]) -> None:
        self.clock = Clock()
        self.gauges = Gauges(clock=self.clock)
        own = SelfMetrics()
        self.server = HealthServer(
            ("127.0.0.1", 0), Health(), metrics=lambda: own.exposition() + self.gauges.exposition()
        )
        self.server.start()
        self.prometheus = start(targets=[f"127.0.0.1:{self.server.port}"], scrape_interval_seconds=0.2)

    def value(self, expression: str) -> float | None:
        """What the expression has now; None if nothing."""
        found = self.prometheus.query(expression)
        assert len(found) <= 1
        return float(found[0]["value"][1]) if found else None

    def until(self, expression: str, wanted: float | None) -> float | None:
        """What the expression has as soon as it is as wanted, or at the end of our patience."""
        deadline = time.monotonic() + 30
        while (value := self.value(expression)) != wanted and time.monotonic() < deadline:
            time.sleep(0.1)
        return value


@pytest.fixture
def scraping(start_prometheus: Callable[..., PrometheusServer]) -> Iterator[Scraped]:
    scraping = Scraped(start_prometheus)
    yield scraping
    scraping.server.stop()


def test_a_trigger_gets_the_hint_while_it_is_offered_and_nothing_from_then_on(scraping):
    assert scraping.until("up", 1) == 1
    assert scraping.value(HINT) is None

    scraping.gauges.show(facts())
    assert scraping.until(HINT, 750) == 750
    assert scraping.value(RATIO) == 750

    scraping.clock.now = NOW + 540
    assert scraping.until(HINT, None) is None
    assert scraping.value('tidecast_hint_offered{mode="Active"}') == 0
    assert scraping.value("tidecast_forecast_expire_timestamp_seconds") == NOW + 540


def test_a_trigger_gets_nothing_of_what_is_not_trusted(scraping):
    scraping.gauges.show(facts())
    assert scraping.until(HINT, 750) == 750

    scraping.gauges.show(facts(board=board(entry(withheld="NotTrusted: it lies."))))

    assert scraping.until(HINT, None) is None


def test_a_trigger_gets_nothing_of_a_preview(scraping):
    scraping.gauges.show(facts(board=board(entry(scaling=PREVIEW, withheld="Preview: shown only."))))

    assert scraping.until('tidecast_hint_replicas{mode="Preview"}', 8) == 8
    assert scraping.value(HINT) is None


def test_every_series_is_taken(scraping):
    scraping.gauges.show(facts())
    told = series(scraping.gauges.exposition())
    names = {key[0] for key in told}

    assert scraping.until('count({__name__=~"tidecast_(forecast|measured|hint|floors)_.+"})', len(told)) == len(told)
    for name in names:
        assert scraping.value(f"count({name})") == len(named(told, name)), name
