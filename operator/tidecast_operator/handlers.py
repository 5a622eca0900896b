"""
The watches: kopf keeps them open and hands every event to the picture.

Stateless: no annotation, no finalizer, no timer and no index. Only here and in `cli` is kopf known.
"""

from collections.abc import Callable, Mapping
from typing import Any

import kopf

from tidecast_operator.resources import FORECASTERS, FORECASTS, GROUP, VERSION

WATCHED = (
    ("", "v1", "namespaces"),
    ("", "v1", "services"),
    ("apps", "v1", "deployments"),
    ("apps", "v1", "statefulsets"),
    ("apps", "v1", "daemonsets"),
    (GROUP, VERSION, FORECASTS),
    (GROUP, VERSION, FORECASTERS),
)


def registry(
    observe: Callable[[str | None, Mapping[str, Any]], None], *, configuration: Callable[[], Any]
) -> kopf.OperatorRegistry:
    """
    Handlers that pass every event on.

    Args:
        observe: Takes the type of an event, None for the first listing, and the object.
        configuration: How to reach the API server, as the Kubernetes client has it; asked anew when it refuses.
    """
    handlers = kopf.OperatorRegistry()

    async def pass_on(event: kopf.RawEvent, **_: Any) -> None:
        observe(event["type"], event["object"])

    for group, version, plural in WATCHED:
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
    chosen.queueing.idle_timeout = 1.0
    chosen.posting.enabled = False
    chosen.peering.standalone = True
    chosen.persistence.finalizer = f"{GROUP}/none"
    chosen.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    chosen.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    chosen.process.ultimate_exiting_timeout = 10
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
