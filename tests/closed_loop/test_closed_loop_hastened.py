import json
import subprocess
import sys
from pathlib import Path

import pytest

from tidecast_operator.hints import hint
from tidecast_operator.trust import comparing, record

CLOSED_LOOP = Path(__file__).parents[2] / "benchmarks" / "closed_loop"
NAMES = ("HOLD_SECONDS", "GUARD_SECONDS", "WINDOW_SECONDS", "OFFSETS_SECONDS")
# In a process of its own: the constants of this one stay as they are.
CODE = """
import json, sys
import hastened
hastened.hasten(12)
names = json.loads(sys.argv[1])
modules = [vars(module) for key, module in sorted(sys.modules.items()) if key.startswith("tidecast_operator.")]
print(json.dumps({name: [module[name] for module in modules if name in module] for name in names}))
"""


@pytest.fixture(scope="module")
def values():
    """Of each constant, what every module of a hastened operator has."""
    command = [sys.executable, "-c", CODE, json.dumps(NAMES)]
    done = subprocess.run(command, cwd=CLOSED_LOOP, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("HOLD_SECONDS", hint.HOLD_SECONDS),
        ("GUARD_SECONDS", hint.GUARD_SECONDS),
        ("WINDOW_SECONDS", comparing.WINDOW_SECONDS),
    ],
)
def test_a_constant_of_time_is_divided_in_every_module_that_has_it(values, name, seconds):
    assert set(values[name]) == {seconds / 12}


def test_the_offsets_of_trust_are_divided(values):
    assert [round(one / 12) for one in record.OFFSETS_SECONDS] in values["OFFSETS_SECONDS"]
    assert list(record.OFFSETS_SECONDS) not in values["OFFSETS_SECONDS"]
