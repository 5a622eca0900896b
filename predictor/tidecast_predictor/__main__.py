"""
`python -m tidecast_predictor`, where no console script is installed.
"""

import sys

from tidecast_predictor.cli import main

if __name__ == "__main__":
    sys.exit(main())
