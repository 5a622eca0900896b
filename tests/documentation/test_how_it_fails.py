"""
The page about failures speaks of nothing that is not there: each name on it is looked up where it is made, and each
number that belongs to the code is read there.
"""

import argparse
import re
from pathlib import Path

import yaml

from builders.alerts import rules
from builders.documents import ROOT, rows
from tidecast_operator import cli
from tidecast_operator.hints.hint import GUARD_SECONDS, HOLD_SECONDS, RISE_FACTOR, RISE_REPLICAS, Limit
from tidecast_operator.publishing import publisher
from tidecast_operator.publishing.status import VALID_STEPS
from tidecast_operator.relaying import client as relay_client
from tidecast_operator.trust.comparing import WINDOW_SECONDS
from tidecast_operator.trust.verdict import FEWEST_SAMPLES

DOCS = ROOT / "docs"
PAGE = " ".join((DOCS / "how-it-fails.md").read_text().split())
NAMES = set(re.findall(r"`([^`]+)`", PAGE))
CONDITIONS = rows((DOCS / "troubleshooting.md").read_text(), columns=5)
"""Its own test holds these against all that the operator can say."""
METRICS = rows("".join((DOCS / name).read_text() for name in ("metrics.md", "running.md")), columns=4)
FIELDS = rows((DOCS / "custom-resources.md").read_text(), columns=4)
OF_OTHERS = {"Available", "failureThreshold", "fallback", "minReplicas"}
"""What APIServices, ScaledObjects and HorizontalPodAutoscalers have."""
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def parsers(parser):
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, each in action.choices.items():
                yield from parsers(each)
                yield name


def of_the_command():
    """Its flags, and its commands as they are typed."""
    for one in parsers(cli._parser()):
        if isinstance(one, str):
            yield f"tidecast-operator {one}"
        else:
            yield from (flag for action in one._actions for flag in action.option_strings)


def values_of_the_chart():
    def walk(values, path):
        for key, value in values.items():
            yield ".".join((*path, key))
            if isinstance(value, dict):
                yield from walk(value, (*path, key))

    return walk(yaml.safe_load((ROOT / "charts" / "tidecast" / "values.yaml").read_text()), ())


def known():
    conditions = {cells[0] for cells in CONDITIONS} | {cells[2] for cells in CONDITIONS}
    fields = {cells[0] for cells in FIELDS} | {cells[0].rpartition(".")[2] for cells in FIELDS}
    return {
        *conditions,
        *(rule["alert"] for rule in rules()),
        *(cells[0] for cells in METRICS if cells[0].startswith("tidecast_")),
        *Limit,
        *of_the_command(),
        *values_of_the_chart(),
        *fields,
        *OF_OTHERS,
    }


def named_otherwise(name):
    """A folder or file of tests, a command of somebody else, a label with its value, or what stands in the log."""
    if name.startswith("tests/"):
        return (ROOT / name).exists()
    if name == 'mode="Active"':
        return any(cells[0].startswith("tidecast_hint_") and "mode" in cells[2] for cells in METRICS)
    if name == "no replica relays":
        return f'"{name}, ' in Path(relay_client.__file__).read_text()
    return name == "helm uninstall"


def test_each_name_on_the_page_is_one_of_something_that_is_there():
    assert len(NAMES) > 25
    assert [name for name in sorted(NAMES - known()) if not named_otherwise(name)] == []


def test_words_that_look_like_a_condition_a_reason_or_an_alert_are_marked_as_such():
    marked_out = re.sub(r"`[^`]+`|\[[^\]]*\]\([^)]*\)", "", PAGE)
    whole_words = set(re.findall(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b", marked_out))

    assert not whole_words & {word for cells in CONDITIONS for word in (cells[0], cells[2])}
    assert not {word for word in whole_words if word.startswith("Tidecast")}


def test_numbers_on_the_page_are_those_of_the_code():
    steps, share = WORDS[VALID_STEPS - 1], f"{publisher._FLOORS_SHARE:.0%}".replace("%", " percent")

    assert f"A forecast **expires** {steps} steps after it was issued" in PAGE
    assert f"the {publisher._MAX_FLOORS_SECONDS:.0f} s that a cycle has for it, or into {share} of a step" in PAGE
    # Statuses stand for twice as many steps as writing them takes cycles: from here on longer than all others do.
    assert f"in more than {WORDS[VALID_STEPS // 2 - 1]} cycles" in PAGE
    assert WINDOW_SECONDS == 2 * 12 * 3600
    assert "by e over half a day" in PAGE
    assert f"until {FEWEST_SAMPLES:.0f} moments were compared anew" in PAGE
    assert GUARD_SECONDS == 3600
    assert "for an hour at most (`DominoGuard`)" in PAGE
    assert f"lowered after {HOLD_SECONDS // 60} minutes at the earliest" in PAGE
    assert RISE_FACTOR == 2
    assert f"never more than twofold or by {WORDS[RISE_REPLICAS - 1]}" in PAGE
