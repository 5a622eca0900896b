import os
import re
import subprocess

import pytest

from builders.documents import ROOT

BUILDAH = """#!/bin/sh
# Writes down what it was asked for, and keeps what it was given for the time of a build.
echo "$@" >>"$SEEN"
for word in "$@"; do
    case $word in
        id=pip_conf,src=*) cat "${word#*src=}" >>"$SEEN.pip" ;;
        TORCH_INDEX_URL=http*)
            python3 - "${word#*=}torch/" >>"$SEEN.index" <<'END'
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1]).read().decode())
END
            ;;
    esac
done
"""


@pytest.fixture
def build(tmp_path):
    """Runs the script with a buildah that only writes down; returns what was done, and each call of buildah."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "buildah").write_text(BUILDAH)
    (programs / "buildah").chmod(0o755)
    seen = tmp_path / "seen"

    def run(*arguments, **environment):
        path = f"{programs}:{os.environ['PATH']}"
        everything = os.environ | {"PATH": path, "SEEN": str(seen)} | environment
        command = [ROOT / "scripts" / "build-images.sh", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=everything)
        return done, seen.read_text().splitlines() if seen.exists() else []

    return run


def builds(calls):
    return [call for call in calls if call.startswith("build ")]


def test_both_images_are_built_with_the_projects_version(build):
    done, calls = build()

    assert done.returncode == 0, done.stderr
    operator, predictor = builds(calls)
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE)[1]
    assert f"--target operator --tag ghcr.io/tidecast/operator:{version} " in operator
    assert f"--target predictor --tag ghcr.io/tidecast/predictor:{version} " in predictor


def test_one_image_can_be_asked_for(build):
    _, calls = build("predictor")

    assert len(builds(calls)) == 1
    assert "--target predictor" in calls[0]


def test_health_checks_are_kept(build):
    _, calls = build()

    assert all("--format docker" in call for call in builds(calls))


def test_times_are_those_of_the_commit(build):
    time = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=True)

    _, calls = build("operator")

    assert f"--timestamp {time.stdout.strip()} " in calls[0]


def test_times_can_be_given(build):
    _, calls = build("operator", SOURCE_DATE_EPOCH="86400")

    assert "--timestamp 86400 " in calls[0]
    assert "CREATED=1970-01-02T00:00:00Z" in calls[0]


def test_an_image_with_cuda_has_a_name_of_its_own(build):
    _, calls = build("--torch", "cuda", "--tag", "1.2.3")

    operator, predictor = builds(calls)
    assert "operator:1.2.3 " in operator
    assert "predictor:1.2.3-cuda " in predictor
    assert "TORCH=cuda" in predictor


def test_nothing_of_the_host_is_passed_unless_asked(build):
    _, calls = build()

    assert not [call for call in calls if "--secret" in call]


def test_the_hosts_configuration_is_passed_as_secrets_that_no_layer_keeps(build, tmp_path):
    configuration = tmp_path / "pip.conf"
    configuration.write_text("[global]\nindex-url = http://mirror.example/simple\nextra-index-url = file:///here\n")

    _, calls = build("operator", "--host-config", PIP_CONFIG_FILE=str(configuration))

    assert {"--secret id=pip_conf", "--secret id=certificates"} <= set(re.findall(r"--secret id=\w+", calls[0]))
    passed = (tmp_path / "seen.pip").read_text()
    assert "index-url = http://mirror.example/simple" in passed
    assert "file://" not in passed


def test_a_folder_of_wheels_is_an_index_while_building(build, tmp_path):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "torch-2.13.0-cp311-cp311-linux_x86_64.whl").touch()

    done, calls = build("predictor", "--torch-wheels", str(wheels))

    assert done.returncode == 0, done.stderr
    assert re.search(r"TORCH_INDEX_URL=http://127\.0\.0\.1:\d+/", calls[0])
    assert 'href="torch-2.13.0-cp311-cp311-linux_x86_64.whl"' in (tmp_path / "seen.index").read_text()


def test_a_folder_without_wheels_of_pytorch_is_refused(build, tmp_path):
    done, calls = build("predictor", "--torch-wheels", str(tmp_path))

    assert done.returncode != 0
    assert "no torch-*.whl" in done.stderr
    assert not builds(calls)


def test_a_stand_in_for_the_base_has_its_name_without_the_digest(build):
    _, calls = build("operator", "--stand-in")

    assert re.search(r"DEBIAN=bookworm-\d{8}-slim ", builds(calls)[0])
    assert "--pull-never" in builds(calls)[0]


def test_the_base_is_the_dockerfiles_unless_asked(build):
    _, calls = build("operator")

    assert "DEBIAN=" not in calls[0]


def test_an_option_that_is_not_there_is_refused_with_those_that_are(build):
    done, calls = build("--push")

    assert done.returncode == 2
    assert "--torch cpu|cuda" in done.stderr
    assert not calls
