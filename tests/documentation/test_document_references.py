import inspect
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from builders.documents import ROOT, anchors, documents, prose, rows
from builders.engines import FakeForecaster, engine
from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_operator.hints.board import Board, Noticeboard
from tidecast_operator.publishing.round import Round
from tidecast_operator.publishing.self_metrics import SelfMetrics
from tidecast_operator.relaying.client import RelayClient
from tidecast_operator.relaying.gauges import RelayGauges
from tidecast_operator.telemetry.sources import RESOURCES, TRAFFIC
from tidecast_predictor.engine import LateEngine
from tidecast_predictor.metrics import Metrics

PACKAGES = {f"tidecast_{name}" for name in ("contract", "operator", "predictor", "simulator")}
SOURCE = ROOT / "operator" / "tidecast_operator"
RUNNING = (ROOT / "docs" / "running.md").read_text()
METRICS = (ROOT / "docs" / "metrics.md").read_text()
FAMILY = "tidecast_forecast_"  # the beginning of many, in a relabelling rule
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
TELEMETRY = (ROOT / "docs" / "telemetry.md").read_text()
READ = re.compile(r"\b(?:istio|traces|container|kube)_\w+|\b(?:calls_total|duration_\w+)\b")


def families(text):
    """The metrics of an exposition with their types; when a counter began is no metric of its own."""
    found = [one for one in text_string_to_metric_families(text) if not one.name.endswith("_created")]
    return {(f"{one.name}_total" if one.type == "counter" else one.name, one.type) for one in found}


def explained(prefix):
    return {tuple(cells[:2]) for cells in rows(RUNNING, columns=4) if cells[0].startswith(prefix)}


def own_metrics():
    metrics = SelfMetrics()
    for labelled in (metrics.cycles, metrics.writes, metrics.stage_seconds):
        labelled.labels("x")
    metrics.certificates({"x": 1.0})
    noticeboard = Noticeboard()
    noticeboard.show(Board(is_known=True))
    client = RelayClient("tidecast-relay:8502", noticeboard, leads=lambda: False)
    relay = RelayGauges(noticeboard, client, leads=lambda: False)
    return families((metrics.exposition() + relay.exposition()).decode())


def promql():
    traffic = [
        (schema.probe, schema.calls, schema.requests, schema.errors, *schema.latencies.values()) for schema in TRAFFIC
    ]
    resources = [(schema.probe, *schema.queries.values()) for schema in RESOURCES]
    return " ".join(each if isinstance(each, str) else each.promql for row in traffic + resources for each in row)


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_a_link_leads_somewhere(path):
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose(path.read_text())):
        place, _, anchor = link.partition("#")
        target = path.parent / place if place else path

        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


def test_a_file_that_is_named_to_newcomers_exists():
    named = set(re.findall(r"`((?!operator/__)[\w/.-]*/?\w+\.py)`", ARCHITECTURE))
    roots = (ROOT, SOURCE, ROOT / "predictor" / "tidecast_predictor")

    assert len(named) > 20
    assert not [name for name in named if not any((root / name).exists() for root in roots)]


def test_every_metric_of_the_operator_is_explained_and_no_other():
    assert explained("tidecast_") - explained("tidecast_predictor_") == own_metrics()


async def test_every_metric_of_the_predictor_is_explained_and_no_other():
    model = ModelInfo(ModelKind.GCN_GRU, "v1", trained_time=1, error=1.0, naive_error=2.0)
    late = LateEngine(lambda: engine(forecaster=FakeForecaster(model)))
    await late.load()
    metrics = Metrics(late)
    metrics.count_inference(code="OK", seconds=1)

    assert explained("tidecast_predictor_") == families(metrics.text().decode())


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_a_metric_of_tidecasts_own_that_is_named_exists(path):
    named = set(re.findall(r"\btidecast_\w+", path.read_text())) - PACKAGES
    known = {cells[0] for cells in rows(RUNNING + METRICS, columns=4)} | {FAMILY}

    assert named <= known


def test_every_metric_that_is_read_is_named_and_no_other():
    named = set(READ.findall(TELEMETRY))
    read = {re.sub(r"_bucket$", "", name) for name in READ.findall(promql())}

    assert named == read


def test_every_label_that_istio_needs_to_keep_is_named():
    labels = set(re.findall(r"\b(?:source|destination)_\w+|\breporter\b|\b\w*response_\w+", promql()))

    assert labels == {label for label in labels if f"`{label}`" in TELEMETRY}


def test_every_outcome_of_a_cycle_is_explained():
    told = {cells[0] for cells in rows(RUNNING, columns=2)}
    code = "".join((SOURCE / name).read_text() for name in ("cycle.py", "running.py", "publishing/publisher.py"))
    outcome = inspect.getsource(Round.outcome.fget)
    others = {name for name in ("ApiServerUnavailable", "Standby", "Failed") if f'"{name}"' in code}

    assert told == set(re.findall(r'"(\w+)"', outcome)) | others


def test_the_page_of_endpoints_names_those_that_are_served():
    assert {cells[0] for cells in rows(RUNNING, columns=3) if cells[0].startswith("/")} == {
        "/healthz",
        "/readyz",
        "/metrics",
    }
