import pytest
import yaml

from builders.documents import ROOT, blocks, commands, documents, rows
from builders.operating import forecaster_spec
from builders.schemas import schemas, violations
from tidecast_operator import cli as operator_cli
from tidecast_operator.resources import ForecastResource
from tidecast_operator.settings import parse
from tidecast_predictor import cli as predictor_cli
from tidecast_simulator import cli as simulator_cli

PARSERS = {
    "tidecast-operator": operator_cli._parser,
    "tidecast-predictor": predictor_cli._parser,
    "tidecast-simulator": simulator_cli._parser,
}
EXAMPLES = sorted((ROOT / "manifests").glob("**/*.yaml"))


def objects():
    for path in documents():
        for number, block in enumerate(blocks(path.read_text(), "yaml"), 1):
            yield from ((f"{path.name}-{number}", body) for body in yaml.safe_load_all(block))
    for path in EXAMPLES:
        yield from ((path.name, body) for body in yaml.safe_load_all(path.read_text()))


def of_kind(kind):
    return [pytest.param(body, id=place) for place, body in objects() if body.get("kind") == kind]


def command_lines():
    found = [(path.name, *command) for path in documents() for command in commands(path.read_text())]
    return [pytest.param(program, arguments, id=f"{name} {arguments[0]}") for name, program, arguments in found]


@pytest.mark.parametrize("body", of_kind("Forecaster"))
def test_a_forecaster_in_a_document_is_accepted(body):
    assert body["apiVersion"] == "tidecast.dev/v1alpha1"
    assert not list(violations(body["spec"], schemas()["Forecaster"]))
    assert parse(body["spec"]).prometheus.url == body["spec"]["prometheus"]["url"]


@pytest.mark.parametrize("body", of_kind("ServicePerformanceForecast"))
def test_a_forecast_in_a_document_is_accepted(body):
    placed = body | {"metadata": {"namespace": "shop"} | body["metadata"]}

    assert not list(violations(body["spec"], schemas()["ServicePerformanceForecast"]))
    assert ForecastResource.parse(placed).target is not None


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("spec.timeoutSeconds", {"timeoutSeconds": 5}),
        ("spec.stepSeconds", {"stepSeconds": 1}),
        ("spec.metrics[]", {"metrics": ["Disk"]}),
        ("spec.metrics", {"metrics": []}),
        ("spec.prometheus.url", {"prometheus": {}}),
        ("spec.predictor.address", {"predictor": {"address": "predictor"}}),
        ("spec.namespaceSelector.matchLabels.app", {"namespaceSelector": {"matchLabels": {"app": True}}}),
    ],
)
def test_an_example_that_no_api_server_would_take_is_noticed(field, changes):
    (problem,) = violations(forecaster_spec(**changes), schemas()["Forecaster"])

    assert problem.startswith(f"{field}: ")


@pytest.mark.parametrize(("program", "arguments"), command_lines())
def test_a_command_in_a_document_is_understood(program, arguments):
    assert PARSERS[program]().parse_args(arguments)


def flags_told(program):
    """The flags in the section of a program, with what stands as their default."""
    sections = (ROOT / "docs" / "running.md").read_text().split("\n## ")
    (section,) = [one for one in sections if one.splitlines()[0].endswith(f"Start the {program.split('-')[1]}")]
    return {cells[0]: cells[1] for cells in rows(section, columns=3)}


@pytest.mark.parametrize(("program", "command"), [("tidecast-operator", "run"), ("tidecast-predictor", "serve")])
def test_every_flag_of_a_program_is_explained_and_no_other(program, command, capsys):
    for arguments in (["--help"], [command, "--help"]):
        with pytest.raises(SystemExit):
            PARSERS[program]().parse_args(arguments)
    flags = {word.strip("[],") for word in capsys.readouterr().out.split() if word.startswith(("--", "[--"))}

    assert set(flags_told(program)) == flags - {"--help"}


@pytest.mark.parametrize(("program", "command"), [("tidecast-operator", "run"), ("tidecast-predictor", "serve")])
def test_the_defaults_of_flags_are_those_of_the_program(program, command):
    defaults = vars(PARSERS[program]().parse_args([command]))
    fixed = {
        f"--{name.replace('_', '-')}": str(value)
        for name, value in defaults.items()
        if isinstance(value, str | int) and name not in ("identity", "namespace")  # those depend on the machine
    }

    assert fixed
    assert fixed == {flag: flags_told(program)[flag] for flag in fixed}


def test_the_readmes_commands_are_two_and_can_be_given():
    told = [line for block in blocks((ROOT / "README.md").read_text(), "console") for line in block.splitlines()]
    commands = [line.removeprefix("$ ") for line in told]
    targets = (ROOT / "Makefile").read_text().splitlines()

    assert [command.split()[:2] for command in commands] == [["make", "demo"], ["helm", "install"]]
    assert any(target.startswith("demo:") for target in targets)
    assert commands[1].split()[3] == "charts/tidecast"  # what it is installed with is tried beside the other pages
