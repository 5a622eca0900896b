"""
The predictor's own process, its constants of time divided by a factor: the first argument; the others are its command line.

What is divided: how long the naive methods stay with what they found out about each other.
"""

import sys

from tidecast_predictor import cli
from tidecast_predictor.naive import answering


def main() -> int:
    """Hastens, and runs the predictor."""
    factor, *arguments = sys.argv[1:]
    refresh = vars(answering)["_REFRESH_SECONDS"]
    vars(answering)["_REFRESH_SECONDS"] = round(refresh / float(factor))
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
