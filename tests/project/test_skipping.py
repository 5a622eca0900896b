import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_a_real_test(tmp_path, **environment):
    """Run one test that needs Prometheus, on a machine that has no programs at all; pytest's exit code and output."""
    bare = {"PATH": str(tmp_path), "TIDECAST_CACHE": str(tmp_path), "HOME": str(tmp_path)}
    kept = {name: value for name, value in os.environ.items() if name.startswith(("LANG", "LC_"))}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/testbed/test_testbed_gateway.py"]
    done = subprocess.run(
        command, cwd=ROOT, env={**kept, **bare, **environment}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


def test_without_programs_a_real_test_is_skipped_and_says_how_to_get_them(tmp_path):
    code, output = run_a_real_test(tmp_path)
    assert code == 0
    assert "prometheus is missing: run scripts/install-system.sh" in output
    assert "skipped" in output


@pytest.mark.parametrize("name", [{"CI": "true"}, {"TIDECAST_REQUIRE_REAL": "1"}], ids=["CI", "required"])
def test_where_real_components_are_required_a_missing_one_is_a_failure(tmp_path, name):
    code, output = run_a_real_test(tmp_path, **name)
    assert code == 1
    assert "real components are required here: prometheus is missing" in output
    assert "skipped" not in output
