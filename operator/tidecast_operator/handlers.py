"""
The watches: kopf keeps them open and hands every event to the picture.

Stateless: no annotation, no finalizer, no timer and no index. Only here is kopf known.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import kopf

from tidecast_operator.resources import FORECASTERS, FORECASTS, GROUP, VERSION

_log = logging.getLogger(__name__)
_PAUSE_SECONDS = 2.0
_CLOSING_SECONDS = 0.5
_OUTAGE_SECONDS = (1.0, 1.0, 2.0, 3.0, 5.0, *[10.0] * 360)  # an API server may be away for an hour

WATCHED = (
    ("", "v1", "namespaces"),
    ("", "v1", "services"),
    ("apps", "v1", "deployments"),
    ("apps", "v1", "statefulsets"),
    ("apps", "v1", "daemonsets"),
    (GROUP, VERSION, FORECASTS),
    (GROUP, VERSION, FORECASTERS),
)
_WITHOUT_NAMESPACE = ("namespaces", FORECASTERS)


class Watches:
    """
    kopf in a thread and an event loop of its own, so that it can end and start again without anything else.

    Args:
        observe: Takes the type of an event, None for the first listing, and the object; called on the loop of `run`.
        configuration: How to reach the API server, as the Kubernetes client has it; asked anew when it refuses.
        namespaces: Which alone are watched, and then nothing that has no namespace; asked anew whenever the watches are
            opened. None for the whole cluster.
    """

    def __init__(
        self,
        observe: Callable[[str | None, Mapping[str, Any]], None],
        *,
        configuration: Callable[[], Any],
        namespaces: Callable[[], Awaitable[Sequence[str]]] | None = None,
    ) -> None:
        self._observe = observe
        self._configuration = configuration
        self._namespaces = namespaces
        self._stop = threading.Event()

    async def run(self) -> None:
        """Watches until cancelled; whatever ends the watches, they are opened again."""
        loop = asyncio.get_running_loop()

        def observe(event_type: str | None, body: Mapping[str, Any]) -> None:
            loop.call_soon_threadsafe(self._observe, event_type, body)

        executor = ThreadPoolExecutor(1, thread_name_prefix="watches")
        try:
            while True:
                self._stop = threading.Event()
                chosen = None if self._namespaces is None else tuple(await self._namespaces())
                handlers = registry(observe, configuration=self._configuration, is_clusterwide=chosen is None)
                await loop.run_in_executor(executor, _watch, handlers, chosen, self._stop)
                _log.warning("the watches ended and are opened again")
                await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            self._stop.set()
            await asyncio.to_thread(executor.shutdown)

    def restart(self) -> None:
        """Ends the watches, so that they are opened again and list everything anew."""
        self._stop.set()


def _watch(handlers: kopf.OperatorRegistry, namespaces: Sequence[str] | None, stop: threading.Event) -> None:
    if namespaces is not None and not namespaces:
        stop.wait()  # kopf would take no namespace for all of them
        return
    try:
        asyncio.run(_operate(handlers, namespaces, stop))
    except Exception:  # noqa: BLE001 - the edge of a thread
        _log.exception("kopf ended")


async def _operate(handlers: kopf.OperatorRegistry, namespaces: Sequence[str] | None, stop: threading.Event) -> None:
    chosen = settings()
    # Else kopf would list and watch namespaces and definitions too, which may be forbidden where namespaces are given.
    chosen.scanning.disabled = namespaces is not None
    try:
        await kopf.operator(
            registry=handlers,
            settings=chosen,
            clusterwide=namespaces is None,
            namespaces=namespaces or (),
            standalone=True,
            stop_flag=stop,
        )
    finally:
        # kopf waits for the flag in a thread. Where it gave up by itself, the loop cannot close before that thread ends:
        # nothing would be watched until kopf's last resort, which kills the whole process.
        stop.set()
    # aiohttp closes encrypted connections a moment after they were told to close.
    await asyncio.sleep(_CLOSING_SECONDS)


def registry(
    observe: Callable[[str | None, Mapping[str, Any]], None],
    *,
    configuration: Callable[[], Any],
    is_clusterwide: bool = True,
) -> kopf.OperatorRegistry:
    """
    Handlers that pass every event on.

    Args:
        observe: Takes the type of an event, None for the first listing, and the object.
        configuration: How to reach the API server, as the Kubernetes client has it; asked anew when it refuses.
        is_clusterwide: Whether objects that have no namespace are watched too.
    """
    handlers = kopf.OperatorRegistry()

    async def pass_on(event: kopf.RawEvent, **_: Any) -> None:
        observe(event["type"], event["object"])

    for group, version, plural in WATCHED:
        if plural in _WITHOUT_NAMESPACE and not is_clusterwide:
            continue
        kopf.on.event(group, version, plural, registry=handlers, id=f"observe-{plural}")(pass_on)

    def login(**_: Any) -> kopf.ConnectionInfo:
        return _connection(configuration())

    kopf.on.login(registry=handlers)(login)
    return handlers


def settings() -> kopf.OperatorSettings:
    """
    Watches that end and start anew before something in between drops them silently, and no traces on any object.
    """
    chosen = kopf.OperatorSettings()
    chosen.watching.server_timeout = 300
    chosen.watching.client_timeout = 310
    chosen.watching.connect_timeout = 10
    chosen.networking.request_timeout = 30
    chosen.networking.connect_timeout = 10
    chosen.networking.error_backoffs = _OUTAGE_SECONDS
    chosen.queueing.idle_timeout = 1.0
    chosen.posting.enabled = False
    chosen.peering.standalone = True
    chosen.persistence.finalizer = f"{GROUP}/none"
    chosen.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    chosen.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    # Watches that do not end would leave changes unseen for ever: then kopf kills its thread, and so the process, which
    # starts anew. On a busy host they may take long.
    chosen.process.ultimate_exiting_timeout = 120
    return chosen


def _connection(configuration: Any) -> kopf.ConnectionInfo:
    # The name since version 36 of the client, and the one before.
    header = configuration.get_api_key_with_prefix("BearerToken") or configuration.get_api_key_with_prefix(
        "authorization"
    )
    scheme, _, token = (header or "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        username=configuration.username or None,
        password=configuration.password or None,
        scheme=scheme or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
    )
