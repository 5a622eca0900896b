import sys

from tidecast_simulator.cli import main

if __name__ == "__main__":
    sys.exit(main())
