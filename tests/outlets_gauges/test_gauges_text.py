"""
The text is one that Prometheus takes, whatever names are in it, also behind the operator's own.
"""

import re
import subprocess
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from builders.gauges import Clock, board, facts, floors, forecast, named, scraped, skills
from builders.hints import entry
from tidecast_contract.services import ServiceId
from tidecast_operator.hints.board import Board
from tidecast_operator.outlets.gauges.families import FAMILIES
from tidecast_operator.outlets.gauges.gauges import Gauges
from tidecast_operator.publishing.self_metrics import SelfMetrics
from tidecast_simulator.testbed import binaries

UNITS = ("_per_second", "_seconds", "_ratio", "_cores", "_bytes")
STRANGE = 'a "quoted"\\name\\n\nwith, {everything}="x"'


def text(**changes):
    gauges = Gauges(clock=Clock())
    gauges.show(facts(**changes))
    gauges.show_floors(floors())
    return gauges.exposition().decode()


def parsed(exposition):
    return {family.name: family for family in text_string_to_metric_families(exposition)}


def test_every_family_is_told_when_everything_is_known():
    assert set(parsed(text())) == {family.name for family in FAMILIES}


def test_every_series_has_the_labels_that_its_family_names():
    for family in FAMILIES:
        for sample in parsed(text())[family.name].samples:
            assert tuple(sample.labels) == family.labels, family.name


def test_every_family_is_a_gauge_with_a_help():
    for family in parsed(text()).values():
        assert family.type == "gauge"
        assert family.documentation.endswith(".")


def test_names_follow_the_rules_of_prometheus():
    for family in FAMILIES:
        assert re.fullmatch(r"tidecast_(forecast|measured|hint|floors)_[a-z0-9_]+", family.name)
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket", "_info"))
        assert all(re.fullmatch(r"[a-z_]+", label) for label in family.labels)
        assert not re.search(r"[\\\n]", family.help)


def test_a_name_with_a_unit_ends_in_it():
    for family in FAMILIES:
        unit = next((unit for unit in UNITS if unit in family.name), None)
        assert unit is None or family.name.endswith(unit), family.name


def test_a_family_without_series_is_not_even_named():
    assert "tidecast_hint" not in text(board=Board())


def test_no_value_is_nan():
    assert not re.search(r"\b(nan|inf)\b", text().lower())


def test_labels_are_escaped():
    peer = ServiceId("", "External", STRANGE)
    told = text(forecast=forecast((peer,)), skills=skills((peer,)), board=board(entry(name=STRANGE)))

    for name, label in (("forecast_cpu_cores", "service"), ("forecast_error", "service"), ("hint_load", "name")):
        assert {sample.labels[label] for sample in parsed(told)[f"tidecast_{name}"].samples} == {STRANGE}


def test_two_namespaces_with_the_same_names_are_two_services():
    both = tuple(ServiceId(namespace, "Deployment", "web") for namespace in ("a", "b"))
    found = named(scraped(facts(forecast=forecast(both), skills=skills(both))), "tidecast_forecast_error")

    assert {key[2] for key in found} == {"a", "b"}


def test_it_can_stand_behind_the_operators_own_metrics():
    own = SelfMetrics().exposition().decode()
    together = parsed(own + text())

    assert set(together) == set(parsed(own)) | set(parsed(text()))
    assert not set(parsed(own)) & set(parsed(text()))


def test_scrapers_and_the_cycle_do_not_get_in_each_others_way():
    gauges = Gauges(clock=Clock())
    gauges.show_floors(floors())
    problems = []

    def scrape():
        for _ in range(20):
            try:
                found = parsed(gauges.exposition().decode())
                assert not found or set(found) == {family.name for family in FAMILIES}
            except Exception as problem:  # noqa: BLE001 - told by the test
                problems.append(problem)

    scrapers = [threading.Thread(target=scrape) for _ in range(4)]
    for scraper in scrapers:
        scraper.start()
    for _ in range(20):
        gauges.show(facts())
    for scraper in scrapers:
        scraper.join()

    assert not problems


@pytest.mark.real("promtool")
def test_promtool_complains_of_nothing_but_the_name_of_a_label():
    done = subprocess.run(
        [binaries.find("promtool"), "check", "metrics"], input=text(), capture_output=True, text=True, check=False
    )

    # It wants the label `quantile` for summaries alone; these are quantiles too.
    complaints = [line for line in done.stderr.splitlines() if '"quantile" label' not in line]
    assert (complaints, done.stdout) == ([], "")
