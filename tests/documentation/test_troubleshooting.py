import ast
import re

import pytest

from builders.documents import ROOT, rows
from tidecast_contract.forecast import ModelKind
from tidecast_operator.hints.keeper import WITHOUT_HINT, Hinted
from tidecast_operator.outlets.outlets import DISABLED
from tidecast_operator.published import Published
from tidecast_operator.publishing.forecast_conditions import FORECAST_CONDITIONS, ForecastFacts, of_forecast
from tidecast_operator.publishing.forecaster_conditions import ForecasterFacts, of_forecaster
from tidecast_operator.publishing.hinted import FOLLOWED, OFFERED
from tidecast_operator.scaling import Mode, Scaling
from tidecast_operator.telemetry.prometheus import _REMEDIES
from tidecast_operator.trust.verdict import Reason

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
PUBLISHING = ROOT / "operator" / "tidecast_operator" / "publishing"
KEPT = ("GraphDiscovered", "MetricsAvailable")
"""The conditions that are unknown together, when nothing was measured."""
CONDITIONS = ("forecast_conditions.py", "forecaster_conditions.py")
NAIVE = (ModelKind.LAST_VALUE, ModelKind.SEASONAL_NAIVE)


def said_by(module):
    """Type, status and reason of every condition that a module writes; a reason that is handed on is no new one."""
    for call in ast.walk(ast.parse((PUBLISHING / module).read_text())):
        if not isinstance(call, ast.Call) or getattr(call.func, "id", "") != "Condition" or len(call.args) < 3:
            continue
        kind, status, reason = call.args[:3]
        if isinstance(reason, ast.JoinedStr):
            words = [f"{naive.value}{reason.values[-1].value}" for naive in NAIVE]
        else:
            words = [reason.value] if isinstance(reason, ast.Constant) else []
        named = {"OFFERED": (OFFERED,), "FOLLOWED": (FOLLOWED,)}.get(getattr(kind, "id", ""), KEPT)
        kinds = [kind.value] if isinstance(kind, ast.Constant) else named
        yield from ((each, status.value, word) for each in kinds for word in words)


def floor_problems():
    """The reasons why a floor does not follow."""
    for path in (PUBLISHING.parent / "outlets" / "floors").glob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "FloorProblem":
                yield call.args[1].value


def test_every_condition_the_operator_can_set_is_explained_and_no_other():
    explained = [tuple(cells[:3]) for cells in rows(PAGE, columns=5)]

    verdicts = {("Trusted", str(reason is Reason.SKILLED), reason.value) for reason in Reason}

    hints = {*said_by("hinted.py"), *(("HintOffered", "False", reason) for reason in WITHOUT_HINT)}
    hints |= {("FloorFollowed", "False", reason) for reason in (DISABLED[0], *floor_problems())}

    said = {pair for module in (*CONDITIONS, "trusted.py") for pair in said_by(module)}
    assert set(explained) == said | verdicts | hints
    assert len(explained) == len(set(explained)) + 1  # both kinds have Ready/InvalidSpec


def test_every_type_of_condition_is_explained():
    hinted = Hinted(Scaling(mode=Mode.ACTIVE, autoscaler="checkout"))
    facts = ForecastFacts(now=0, target="", hinted=hinted)
    types = {one.type for one in of_forecast(facts, Published.parse({}))} | set(FORECAST_CONDITIONS)
    types |= {one.type for one in of_forecaster(ForecasterFacts())}

    assert types == {cells[0] for cells in rows(PAGE, columns=5)}


def test_every_event_that_is_no_condition_is_explained():
    assert {reason for _, _, reason in said_by("events.py")} == set(re.findall(r"Event `(\w+)`", PAGE))


def test_every_reason_in_the_text_is_one_of_the_operators():
    known = {word for module in (*CONDITIONS, "trusted.py", "events.py") for said in said_by(module) for word in said}
    known |= {*Reason, *WITHOUT_HINT, OFFERED, FOLLOWED}
    names = set(re.findall(r"(?:[Cc]ondition|reason) `(\w+)`", PAGE))

    assert names
    assert names <= known


def test_every_refusal_of_prometheus_has_a_remedy():
    statuses = {int(cells[0]) for cells in rows(PAGE, columns=3) if cells[0].isdigit()}

    assert statuses == set(_REMEDIES)


@pytest.mark.parametrize(
    "message",
    ["cannot be reached", "did not answer within", "a certificate that is not trusted", "no Prometheus answers"],
)
def test_messages_that_are_quoted_are_those_of_the_transport(message):
    source = (ROOT / "operator" / "tidecast_operator" / "telemetry" / "prometheus.py").read_text()

    assert message in source
    assert message in PAGE.replace("\n", " ")


def test_settings_that_are_named_are_fields_of_a_resource():
    fields = {cells[0] for cells in rows((ROOT / "docs" / "custom-resources.md").read_text(), columns=4)}
    named = set(re.findall(r"`((?:spec|status)\.[\w.]+)`", PAGE))

    assert named
    assert named - {"status.graph", "status.model"} <= fields
