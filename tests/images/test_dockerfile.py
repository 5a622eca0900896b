import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from builders.dockerfiles import DOCKERFILE, stages
from tidecast_operator import cli as operator_cli
from tidecast_predictor import cli as predictor_cli

TARGETS = ("operator", "predictor")
COMPILERS = re.compile(r"\b(gcc|g\+\+|clang|build-essential|make)(?=[\s;]|$)")
TEMPORARY = "/tmp"  # noqa: S108
STAGES = stages()


def runs(stage):
    return " ".join(STAGES[stage].all("RUN"))


def came_into(stage):
    """The stage, those it stands on and those that it copies from, all the way down."""
    before = [STAGES[stage].base, *STAGES[stage].stages_copied_from]
    return {stage}.union(*(came_into(name) for name in before if name in STAGES))


def health_port(stage):
    return re.search(r"HTTPConnection\('127\.0\.0\.1', (\d+)", STAGES[stage].only("HEALTHCHECK"))[1]


def flags_of(stage):
    parser = {"operator": operator_cli, "predictor": predictor_cli}[stage]._parser()
    return parser.parse_args(json.loads(STAGES[stage].only("CMD")))


def linted(path):
    command = [Path(sys.executable).with_name("hadolint"), "--failure-threshold", "style", path]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_linter_finds_nothing():
    done = linted(DOCKERFILE)

    assert done.returncode == 0, done.stdout


def test_the_linter_would_find_something(tmp_path):
    worse = tmp_path / "Dockerfile"
    worse.write_text(DOCKERFILE.read_text().replace('ENTRYPOINT ["tidecast-operator"]', "ENTRYPOINT tidecast-operator"))

    assert "DL3025" in linted(worse).stdout


def test_one_rule_of_the_linter_is_left_out_and_the_file_says_why():
    lines = DOCKERFILE.read_text().splitlines()
    ignored = [line for line in lines if "hadolint" in line]

    assert set(ignored) == {"# hadolint ignore=DL3008"}
    assert "a pinned version is gone" in lines[lines.index(ignored[0]) - 1]


def test_the_base_is_pinned_by_the_day_of_its_release_and_by_digest():
    default = re.search(r"^ARG DEBIAN=(.*)$", DOCKERFILE.read_text(), flags=re.MULTILINE)[1]

    assert re.fullmatch(r"bookworm-\d{8}-slim@sha256:[0-9a-f]{64}", default)


def test_all_stages_stand_on_the_one_base():
    outside = {stage.base for stage in STAGES.values()} - STAGES.keys()

    assert outside == {"debian:${DEBIAN}"}


def test_nothing_is_fetched_from_a_host_that_the_file_names():
    text = DOCKERFILE.read_text()

    assert not re.search(r"https?://|ftp://", text)
    assert not any(stage.all("ADD") for stage in STAGES.values())
    assert "TORCH_INDEX_URL=" in STAGES["predictor-torch"].all("ARG")


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_is_the_base_and_what_was_copied_into_it(target):
    stage = STAGES[target]

    assert stage.base == "python"
    assert not stage.all("RUN")
    assert not stage.copied_from_the_context
    assert not any("chown" in copy for copy in stage.all("COPY"))


def test_a_compiler_is_in_the_one_stage_whose_output_alone_is_copied():
    assert [name for name in STAGES if COMPILERS.search(runs(name))] == ["native"]
    assert not [name for name, stage in STAGES.items() if stage.base == "native"]
    copies = [copy for stage in STAGES.values() for copy in stage.all("COPY") if "--from=native" in copy]
    assert [copy.split()[1] for copy in copies] == ["/build/predictor/tidecast_predictor/native"]


def test_pytorch_does_not_come_near_the_operator():
    assert not [name for name in came_into("operator") if name.startswith("predictor") or name == "native"]
    assert "predictor" not in " ".join(STAGES["operator-project"].copied_from_the_context)


def test_the_predictors_image_has_no_code_of_the_operator():
    copied = {path for name in came_into("predictor") for path in STAGES[name].copied_from_the_context}

    assert {"contract", "predictor"} <= copied
    assert "operator" not in copied


@pytest.mark.parametrize("target", TARGETS)
def test_layers_that_change_seldom_come_first(target):
    order = [name.removeprefix(f"{target}-") for name in STAGES[target].stages_copied_from]

    assert order == [part for part in ("torch", "packages", "project") if f"{target}-{part}" in STAGES]


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_runs_as_a_user_above_10000_given_by_number(target):
    assert STAGES[target].only("USER") == "20001:20001"
    assert "tidecast:x:20001:20001:" in runs("python")


@pytest.mark.parametrize("target", TARGETS)
def test_the_process_is_started_without_a_shell(target):
    stage = STAGES[target]

    assert json.loads(stage.only("ENTRYPOINT")) == [f"tidecast-{target}"]
    assert json.loads(stage.only("HEALTHCHECK").partition(" CMD ")[2])[0] == "python"


@pytest.mark.parametrize("target", TARGETS)
def test_the_command_is_one_that_the_program_knows_and_listens_where_a_cluster_can_ask(target):
    flags = flags_of(target)

    assert isinstance(flags, argparse.Namespace)
    assert flags.http_address == f"0.0.0.0:{health_port(target)}"


@pytest.mark.parametrize("target", TARGETS)
def test_the_health_check_asks_an_exposed_port(target):
    assert health_port(target) in STAGES[target].only("EXPOSE").split()


def test_history_and_checkpoints_go_where_the_image_lets_its_user_write():
    assert str(flags_of("predictor").data_dir) == "/data"
    assert "install -d -o 20001 -g 20001 -m 0770 /data" in runs("python")


@pytest.mark.parametrize("target", TARGETS)
def test_caches_go_to_tmp(target):
    folders = re.findall(r"\b(HOME|\w+_(?:DIR|HOME|PATH))=(\S+)", " ".join(STAGES[target].all("ENV")))

    assert ("HOME", TEMPORARY) in folders
    assert all(value.startswith(TEMPORARY) for _, value in folders)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("label", ["title", "description", "licenses", "version", "revision", "created"])
def test_an_image_says_what_it_is(target, label):
    assert f"org.opencontainers.image.{label}=" in STAGES[target].only("LABEL")


@pytest.mark.parametrize("target", TARGETS)
def test_what_differs_from_build_to_build_comes_last(target):
    names = [name for name, _ in STAGES[target].instructions]

    assert names[-4:] == ["ARG", "ARG", "ARG", "LABEL"]
    assert "ARG" not in names[:-4]


@pytest.mark.parametrize("stage", [name for name in STAGES if "pip" in runs(name)])
def test_packages_from_an_index_have_the_versions_of_constraints(stage):
    text = runs(stage)
    if named := re.search(r'pip="([^"]*)"; ', text):  # a variable of the shell, for two calls
        text = text.replace(named[0], "").replace("$pip", named[1])
    installs = re.findall(r"pip [^;]*?install [^;]*", text)

    assert installs
    assert not [call for call in installs if not re.search("-c constraints.txt|-r torch.txt|--no-index", call)]
    assert "grep '^torch==' constraints.txt >torch.txt" in runs("predictor-torch")


@pytest.mark.parametrize("stage", [name for name in STAGES if "apt-get" in runs(name)])
def test_what_apt_leaves_behind_is_removed_in_the_same_layer(stage):
    for run in STAGES[stage].all("RUN"):
        if "apt-get" in run:
            assert "--no-install-recommends" in run
            assert "rm -rf /var/lib/apt/lists/*" in run
            assert "--mount=type=secret,id=apt_sources," in run


@pytest.mark.parametrize("stage", [name for name in STAGES if "compileall" in runs(name)])
def test_bytecode_holds_for_files_of_any_time(stage):
    compilations = re.findall(r"compileall[^;]*", runs(stage))

    assert compilations
    assert all("--invalidation-mode unchecked-hash" in compilation for compilation in compilations)
