"""
Where the modules of the closed loop are found: its files are a benchmark and no package.
"""

import sys
from pathlib import Path

CLOSED_LOOP = Path(__file__).parents[2] / "benchmarks" / "closed_loop"

# Last, as other benchmarks have a `run` too.
sys.path.append(str(CLOSED_LOOP))
