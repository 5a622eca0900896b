from pathlib import Path

import pytest

from builders.dockerfiles import stages
from builders.documents import ROOT

IGNORED = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
LET_IN = [line.removeprefix("!/") for line in IGNORED if line.startswith("!")]
COPIED = {path for stage in stages().values() for path in stage.copied_from_the_context}


def test_everything_is_left_out_first():
    assert IGNORED[0] == "*"


@pytest.mark.parametrize("path", sorted(COPIED))
def test_what_is_copied_is_there_and_let_in(path):
    assert (ROOT / path).exists()
    assert any(Path(path).is_relative_to(allowed) for allowed in LET_IN)


@pytest.mark.parametrize("path", LET_IN)
def test_nothing_is_let_in_that_is_not_copied(path):
    assert path in COPIED


def test_what_was_compiled_here_stays_here():
    assert {"**/__pycache__", "**/*.pyc", "**/*.so"} <= set(IGNORED)
    last_let_in = max(n for n, line in enumerate(IGNORED) if line.startswith("!"))
    assert all(IGNORED.index(pattern) > last_let_in for pattern in ("**/__pycache__", "**/*.pyc", "**/*.so"))
