"""
Trains in the background, never in the way of inference: a process of its own, at low priority.

Numbers go to it as files and come back as a checkpoint, so that it can neither block nor take down the predictor.
Run as a module it is that process.
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import IO

import torch

from tidecast_contract.status import TrainingState, TrainingStatus
from tidecast_predictor import checkpoint as checkpoints
from tidecast_predictor.checkpoint import Checkpoint
from tidecast_predictor.config import DAY_SECONDS, TrainingSettings
from tidecast_predictor.failures import Failures
from tidecast_predictor.fitting import fit
from tidecast_predictor.history import History
from tidecast_predictor.inference import Forecaster
from tidecast_predictor.subgraphs import Neighbourhoods, among
from tidecast_predictor.training_job import read_job, write_job
from tidecast_predictor.windows import RecordingTooShort, Split

__all__ = ["Trainer", "TrainingSettings"]

logger = logging.getLogger(__name__)

_PREFIX = ".training-"
_SERVED = "served"
_NICENESS = 10
_GRACE_SECONDS = 120  # beyond its budget a training is stuck, and ended


class TrainingFailed(Exception):
    """The training brought no model; the text says why."""


class Trainer:
    """
    Runs one training at a time and hands the model to *forecaster* when it beats the naive methods.

    Args:
        history: What is learnt from.
        forecaster: Gets the new model.
        checkpoint_dir: Where models are kept; None keeps none beyond this process.
        settings: Used when `start` is given none.
    """

    def __init__(
        self, history: History, forecaster: Forecaster, checkpoint_dir: Path | None, settings: TrainingSettings
    ) -> None:
        self._history, self._forecaster, self._directory = history, forecaster, checkpoint_dir
        self._settings = settings
        self._lock = threading.Lock()
        self._status = TrainingStatus(TrainingState.IDLE, message="no training has run yet")
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None
        self._stopping = False
        self._failures = Failures(checkpoint_dir)
        if checkpoint_dir is not None:
            for left_over in checkpoint_dir.glob(f"{_PREFIX}*"):
                # One that ends in order, or is stopped, leaves nothing. Tried again at once it may end the same way.
                self._failures.add()
                ended = int(left_over.stat().st_mtime)
                message = "a training was cut short with the predictor, by a restart or for lack of memory"
                self._status = TrainingStatus(TrainingState.FAILED, 0.0, message, ended)
                shutil.rmtree(left_over, ignore_errors=True)

    def start(self, settings: TrainingSettings | None = None) -> bool:
        """
        Start a training and return at once.

        Returns False, and starts none, when one is running or there is too little history, for the settings or for their
        horizon; `status().message` says which.
        """
        settings = settings or self._settings
        with self._lock:
            if self._status.state is TrainingState.RUNNING:
                return False
            held = self._history.status()
            seconds = self._history.measured_seconds()
            if seconds < settings.minimum_history_seconds:
                message = (
                    f"requests were measured for {seconds} s, a training takes {settings.minimum_history_seconds} s"
                )
                self._status = replace(self._status, message=message)
                return False
            try:  # as the training would, once all of history was written for it
                Split.of(held.steps, settings.horizon_steps)
            except RecordingTooShort as error:
                self._status = replace(self._status, message=str(error))
                return False
            self._stopping = False
            self._status = TrainingStatus(TrainingState.RUNNING, 0.0, "training", self._status.finished_time)
            self._thread = threading.Thread(target=self._run, args=(settings,), name="training", daemon=True)
            self._thread.start()
            return True

    def status(self) -> TrainingStatus:
        """What the training does, how far it is, and how the last one ended."""
        return self._status

    @property
    def failures(self) -> int:
        """How many trainings failed in a row, those that took the predictor down among them."""
        return self._failures.count

    def stop(self) -> None:
        """End a running training without a result and wait until it is gone."""
        with self._lock:
            self._stopping = True
            thread, process = self._thread, self._process
        if process is not None:
            process.kill()
        if thread is not None:
            thread.join()

    def _run(self, settings: TrainingSettings) -> None:
        state, began = TrainingState.IDLE, time.monotonic()
        try:
            message = self._train(settings)
        except TrainingFailed as failure:
            state, message = TrainingState.FAILED, str(failure)
        except Exception as error:  # the thread's edge: whatever went wrong must show in the status
            logger.exception("training failed")
            state, message = TrainingState.FAILED, f"{type(error).__name__}: {error}"
        logger.info("training ended after %.0f s: %s", time.monotonic() - began, message)
        if state is not TrainingState.FAILED:
            self._failures.clear()
        elif not self._stopping:
            self._failures.add()
        self._status = TrainingStatus(state, 0.0, message, int(time.time()))

    def _train(self, settings: TrainingSettings) -> str:
        deadline = time.time() + settings.seconds
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._directory))
        try:
            self._write_job(folder, settings, deadline)
            self._follow(folder, deadline)
            return self._adopt(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _write_job(self, folder: Path, settings: TrainingSettings, deadline: float) -> None:
        held = self._history.status()
        latest = self._history.latest(seen_seconds=DAY_SECONDS)
        if latest is None:
            raise TrainingFailed("the history was emptied before the training began")
        limit, count = settings.recorded_services, len(latest.services)
        parts = Neighbourhoods(latest.calls, count, limit=limit, seed=settings.seed)
        graph = among(latest, parts.draw())
        write_job(folder, self._history, graph, settings, start_time=held.start_time, deadline=deadline)
        if (served := self._forecaster.served) is not None:
            checkpoints.save(served, folder / _SERVED)

    def _follow(self, folder: Path, deadline: float) -> None:
        """Run the process, pass on its progress, and wait for its end."""
        command = [sys.executable, "-m", "tidecast_predictor.training", str(folder)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        if self._forecaster.device.type == "cpu":  # trainings take CUDA wherever it is to be seen
            environment["CUDA_VISIBLE_DEVICES"] = ""
        with (folder / "errors.txt").open("w") as errors, self._lock:
            if self._stopping:
                raise TrainingFailed("the training was stopped")
            self._process = process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
            )
        alarm = threading.Timer(max(0, deadline - time.time()) + _GRACE_SECONDS, process.kill)
        alarm.daemon = True
        alarm.start()
        try:
            self._pass_on(process.stdout)
            code = process.wait()
        finally:
            alarm.cancel()
            process.kill()
            process.wait()
        if self._stopping:
            raise TrainingFailed("the training was stopped")
        if code:
            if code == -signal.SIGKILL and time.time() < deadline + _GRACE_SECONDS:
                raise TrainingFailed("the training was killed, probably for lack of memory")
            lines = (folder / "errors.txt").read_text().strip().splitlines()
            raise TrainingFailed(lines[-1] if lines else f"the training ended with status {code}")

    def _pass_on(self, output: IO[str] | None) -> None:
        if output is None:
            return
        with output:
            for line in output:
                self._status = replace(self._status, progress=min(1.0, float(line)))

    def _adopt(self, folder: Path) -> str:
        """
        Serve what came out; the outcome in words.

        A new model has to be better than the naive methods. One that is served already goes on until a better one comes.
        """
        trained = checkpoints.newest(folder)
        if trained is None:
            raise TrainingFailed("the trained model cannot be loaded")
        comparison = trained.scores.describe()
        stays = _is_same(trained, self._forecaster.served)
        if stays:
            comparison += "; it stays, as a newly trained one is no better there"
        elif not trained.scores.is_better:
            reason = f"not served: {comparison}"
            self._forecaster.decline(reason)
            return reason
        if self._directory is not None:
            target = self._directory / trained.version
            shutil.rmtree(target, ignore_errors=True)
            (folder / trained.version).replace(target)
            checkpoints.prune(self._directory)
        self._forecaster.serve(trained)
        return f"serving {trained.version}: {comparison}"


def _is_same(trained: Checkpoint, served: Checkpoint | None) -> bool:
    """
    Whether what came out of a training is the network that was served before.

    One for another window or horizon may have learnt from the same history in as many steps.
    """
    return (
        served is not None
        and trained.model.architecture == served.model.architecture
        and all(getattr(trained, name) == getattr(served, name) for name in ("start_time", "end_time", "updates"))
    )


def learn(folder: Path) -> None:
    """
    Train on the job in *folder* and leave the checkpoint there; progress goes to standard output, a line each.

    Raises:
        RecordingTooShort: If the recording is too short for the horizon.
    """
    recording, settings, deadline = read_job(folder)
    trained = fit(
        recording,
        settings,
        progress=lambda done: print(f"{done:.3f}", flush=True),  # noqa: T201 - the way to the parent
        deadline=time.monotonic() + deadline - time.time(),
        served=checkpoints.newest(folder / _SERVED),
    )
    checkpoints.save(trained, folder)


def main(folder: Path) -> int:
    """The process of one training: as `learn`, at low priority; returns the exit status."""
    os.nice(_NICENESS)
    torch.set_num_threads(read_job(folder)[1].threads or max(1, (os.cpu_count() or 1) // 2))
    try:
        learn(folder)
    except RecordingTooShort as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
