"""
What `run.py` is told on its command line.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recorded_load import Recording
from scene import LOADS, load
from settings import SCALERS, Settings

from tidecast_simulator.load import Shape

RESULTS = Path(__file__).parents[1] / "results" / "closed_loop"
_FROM_HOUR = 10.75


@dataclass(frozen=True, slots=True)
class Told:
    """
    One run, and where its files are.

    Attributes:
        settings: Of the run.
        recording: Its load; None for a simulated one.
        out: The folder of results.
        directory: For logs and data; None for a temporary one.
    """

    settings: Settings
    recording: Recording | None
    out: Path
    directory: Path | None

    def load(self, midnight: float) -> Shape:
        """The load over the model's time; the scored time begins on the day that begins at this midnight."""
        if self.recording is None:
            return load(self.settings.load, self.settings.seed)
        return self.recording.laid(midnight, self.settings.seed)


def told(arguments: Sequence[str]) -> Told:
    """What a command line says; ends the program with a message where it makes no sense."""
    parser = argparse.ArgumentParser(description="The closed loop on real components.")
    add = parser.add_argument
    loads = parser.add_mutually_exclusive_group()
    loads.add_argument("--load", choices=LOADS, default="rhythm")
    loads.add_argument("--load-file", type=Path, help="a recorded load, CSV or npz; see the README")
    add("--load-step-seconds", type=float, default=60.0, help="between two values of a recorded load")
    add("--scaler", choices=SCALERS, default="floor")
    add("--minutes", type=float, default=30.0, help="real ones that are scored")
    add("--warm-up-minutes", type=float, default=21.0, help="real ones before, with forecasts")
    add("--history-hours", type=float, default=48.0, help="real ones")
    add("--factor", type=float, default=12.0, help="how much faster than in the model's world everything is")
    add("--seed", type=int, default=0, help="of a recording, so many days before its last whole one are scored")
    add("--share", type=float, default=0.85, help="of its full capacity, what a replica carries as hints are told")
    add("--lead", type=float, default=120.0, help="seconds of the model's world")
    add("--quantile", type=float, default=0.9)
    add("--from-hour", type=float, help="of the model's day, when the scored time begins; default: 10.75, and of a "
        "recording the hour from which it usually rises most")  # fmt: skip
    add("--training-seconds", type=int, default=240)
    add("--trust", choices=("earned", "always"), default="earned", help="always: to see what hints do by themselves")
    add("--out", type=Path, default=RESULTS)
    add("--directory", type=Path, help="for logs and data; left out, a temporary one")
    flags = vars(parser.parse_args(arguments))
    file, step_seconds, out, directory = (
        flags.pop(name) for name in ("load_file", "load_step_seconds", "out", "directory")
    )
    try:
        recording = None if file is None else Recording.read(file, step_seconds=step_seconds)
        if flags["from_hour"] is None:
            flags["from_hour"] = _FROM_HOUR if recording is None else recording.rise_hour()
        settings = Settings(**flags)
        return Told(settings if recording is None else recording.under(settings), recording, out, directory)
    except (OSError, ValueError) as error:
        parser.error(f"--load-file: {error}")
