"""
`python -m tidecast_operator`.
"""

import sys

from tidecast_operator.cli import main

sys.exit(main())
