"""
What is watched, and where the Forecaster comes from: as flags, and as one thing that runs.

Without flags that is the whole cluster, and a Forecaster in it. With `--forecaster-file` the leading replica applies that
Forecaster; with `--watch-namespaces` too, it is only in the file, and nothing without a namespace is read or written.
"""

import argparse
import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tidecast_operator.access import Access
from tidecast_operator.cluster import WATCHED_KINDS, Cluster, load_configuration
from tidecast_operator.condition_gauges import ConditionGauges, StatusShown
from tidecast_operator.errors import Misconfigured
from tidecast_operator.fencing import Fence
from tidecast_operator.file_following import Applying, FileFollower
from tidecast_operator.forecaster_here import ForecasterHere, StatusHere
from tidecast_operator.forecasters import Forecasters
from tidecast_operator.handlers import Watches
from tidecast_operator.picture import Picture
from tidecast_operator.publishing.writer import Writes
from tidecast_operator.resources import DEFAULT_FORECASTER
from tidecast_operator.resync import Resync
from tidecast_operator.scope import FLAG, KINDS, NEEDED, NEEDED_FOR_FLOORS, Scope, parse_names


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of what is watched."""
    parser.add_argument("--watch-namespaces", help="as in shop,payments; default: the whole cluster")
    parser.add_argument("--forecaster-file", type=Path, help="a manifest to be applied; default: it is in the cluster")


def namespaces_of(options: argparse.Namespace) -> tuple[str, ...]:
    """
    Those that alone are watched; none for the whole cluster.

    Raises:
        Misconfigured: If the flag names something else, or none, or no file of a Forecaster is named beside it.
    """
    if options.watch_namespaces is None:
        return ()
    names = parse_names(options.watch_namespaces)
    if options.forecaster_file is None:
        raise Misconfigured(
            "--forecaster-file",
            f"is missing, and with {FLAG} no Forecaster is read from the cluster",
            "name a file with a Forecaster",
        )
    return names


class Watching:
    """
    Keeps a picture of what the flags ask for.

    Args:
        options: With the flags of `add_flags`.
        cluster: What is there, and where writes go.
        picture: What is kept.
        leads: Whether this replica leads.
        fence: What writes of the Forecaster pass.

    Raises:
        Misconfigured: If flags do not fit together.

    Attributes:
        writes: What the cycle writes through.
        conditions: Those of the Forecaster, as a gauge.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        cluster: Cluster,
        picture: Picture,
        *,
        leads: Callable[[], bool],
        fence: Fence | None = None,
    ) -> None:
        self.conditions = ConditionGauges(
            leads=leads, is_there=lambda: any(one.name == DEFAULT_FORECASTER for one in picture.forecasters())
        )
        self._scope: Scope | None = None
        self._access: Access | None = None
        self._forecasters: Forecasters | None = None
        self._follower: FileFollower | None = None
        self._here: ForecasterHere | None = None
        writes: Writes = cluster
        path, namespaces = options.forecaster_file, namespaces_of(options)

        def configuration() -> Any:
            return load_configuration(options.kubeconfig)

        if namespaces:
            self._here = here = ForecasterHere(picture, on_loop=asyncio.get_running_loop().call_soon_threadsafe)
            self._follower = FileFollower(path, here.take)
            writes = StatusHere(cluster, here)
            self._access = Access(configuration())
            needed = (*NEEDED, *(NEEDED_FOR_FLOORS if options.hpa_floors else ()))
            self._scope = Scope(namespaces, access=self._access, cluster=cluster, picture=picture, needed=needed)
        elif path is not None:
            self._forecasters = Forecasters(configuration(), fence)
            self._follower = FileFollower(path, Applying(path, self._forecasters).take, may_take=leads)
        self.writes = StatusShown(writes, self.conditions)
        if self._scope is None:
            self._watches = Watches(picture.observe, configuration=configuration)
            self._resync = Resync(cluster, picture, on_deaf=self._watches.restart, kinds=WATCHED_KINDS)
        else:
            scope = self._scope
            self._watches = Watches(scope.observe, configuration=configuration, namespaces=scope.namespaces)
            self._resync = Resync(scope, picture, on_deaf=self._watches.restart, kinds=KINDS)
            scope.on_change = self._watches.restart

    def runs(self) -> list[Coroutine[Any, Any, object]]:
        """What has to run until it is cancelled."""
        parts = (self._watches, self._resync, self._scope, self._follower)
        return [part.run() for part in parts if part is not None]

    async def complete(self) -> None:
        """Returns when the picture holds everything that was there; `runs` have to run."""
        if self._scope is not None:
            await self._scope.ready()
        if self._follower is not None and self._here is not None:
            # Without its Forecaster the first cycle would take back every hint, and with them every raised floor.
            await self._follower.settled()
            self._here.stand_in()
        await self._resync.complete()

    def close(self) -> None:
        """Closes connections of its own."""
        for door in (self._access, self._forecasters):
            if door is not None:
                door.close()
