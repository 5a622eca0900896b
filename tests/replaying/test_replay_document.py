"""
What the page on replay says is what the command does.
"""

import argparse
import re
import shlex

import pytest

from builders.documents import ROOT, blocks, rows
from tidecast_operator.replaying import cluster_reading, command
from tidecast_operator.replaying.forecasting import METHODS
from tidecast_simulator import cli as simulator_cli

PAGE = (ROOT / "docs" / "replay.md").read_text()


def command_lines(program):
    for block in blocks(PAGE, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith(f"{program} "):
                yield shlex.split(line)[1:]


def parser():
    made = argparse.ArgumentParser()
    command.add_parser(made.add_subparsers(required=True))
    return made


@pytest.mark.parametrize("arguments", list(command_lines("tidecast")), ids=lambda words: words[2])
def test_a_command_of_the_page_is_understood(arguments):
    assert parser().parse_args(arguments).run is command.run


def test_the_example_is_what_the_command_tells(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (simulated,) = command_lines("tidecast-simulator")
    replayed = list(command_lines("tidecast"))[-1]
    assert simulator_cli.main(simulated) == 0
    capsys.readouterr()

    assert command.main(replayed) == 0
    (told,) = blocks(PAGE, "markdown")
    assert capsys.readouterr().out.strip() == told.strip()


def test_every_method_is_explained_and_no_other():
    assert {cells[0] for cells in rows(PAGE, columns=2)} >= set(METHODS)


def test_flags_and_defaults_that_are_named_are_those_of_the_command():
    actions = {flag: action for action in _actions() for flag in action.option_strings}
    named = set(re.findall(r"`(--[a-z-]+)`", PAGE))

    assert named <= actions.keys()
    for flag, value in re.findall(r"`(--[a-z-]+)` \(([\d.]+)\)", PAGE):
        assert actions[flag].default == float(value)


def _actions():
    return command.add_parser(argparse.ArgumentParser().add_subparsers())._actions


def test_the_command_that_writes_objects_is_the_one_that_errors_name():
    assert f"{cluster_reading.KUBECTL} > objects.json" in PAGE
