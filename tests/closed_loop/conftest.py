"""
Where the modules of the closed loop are found: its files are a benchmark and no package.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

CLOSED_LOOP = Path(__file__).parents[2] / "benchmarks" / "closed_loop"

# Last, as other benchmarks have a `run` too.
sys.path.append(str(CLOSED_LOOP))


@pytest.fixture
def load_file(tmp_path):
    """Writes the file of a recording: one value a minute."""

    def write(values, name="shop"):
        path = tmp_path / f"{name}.npz"
        np.savez(path, rps=np.asarray(values, dtype=np.float64))
        return path

    return write
