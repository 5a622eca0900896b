"""
The outlets that answer autoscalers, and the relay that lets every replica do so: as flags, and as one thing that runs.
"""

import argparse
import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

from tidecast_operator.errors import Misconfigured
from tidecast_operator.grpc_endpoints import CertificateMissing, TlsFiles
from tidecast_operator.hints.board import Noticeboard
from tidecast_operator.listening import address_of
from tidecast_operator.outlets.keda.server import KedaServer
from tidecast_operator.outlets.metrics_api import front_proxy
from tidecast_operator.outlets.metrics_api.certificates import (
    CertificateFiles,
    Certificates,
    SelfSigned,
    service_names,
)
from tidecast_operator.outlets.metrics_api.server import MetricsApi
from tidecast_operator.relaying.client import RelayClient
from tidecast_operator.relaying.gauges import RelayGauges
from tidecast_operator.relaying.server import RelayServer

_log = logging.getLogger(__name__)
_Server = KedaServer | MetricsApi | RelayServer
_KEDA, _METRICS_API, _RELAY = "KEDA", "metrics API", "relay"
_CERTIFICATE_SECONDS = 2.0


class ReadsConfigMaps(Protocol):
    """What is needed of the cluster."""

    def read_config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """The values of a ConfigMap; None if it is not there."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that ask for outlets; each is off without its address."""
    parser.add_argument("--keda-address", help="for KEDA's external scaler, as in 0.0.0.0:8600; default: off")
    parser.add_argument("--keda-tls-certificate", type=Path, help="PEM; default: no TLS")
    parser.add_argument("--keda-tls-key", type=Path, help="PEM")
    parser.add_argument("--keda-tls-client-ca", type=Path, help="lets in its clients alone; default: everybody")
    parser.add_argument("--metrics-api-address", help="for the metrics APIs, as in 0.0.0.0:8443; default: off")
    parser.add_argument("--metrics-api-tls-folder", type=Path, help="with tls.crt and tls.key, as in a Secret")
    parser.add_argument(
        "--metrics-api-own-certificate",
        metavar="SERVICE.NAMESPACE",
        help="make and renew the files in that folder, for this Service; default: somebody else does",
    )
    parser.add_argument("--relay-address", help="where other replicas follow this one; default: off")
    parser.add_argument("--relay-target", help="all replicas, as in tidecast-relay:8502; default: no other is followed")
    parser.add_argument("--relay-tls-certificate", type=Path, help="PEM; default: no TLS")
    parser.add_argument("--relay-tls-key", type=Path, help="PEM")
    parser.add_argument("--relay-tls-authority", type=Path, help="who must have signed the other side's certificate")


class Serving:
    """
    What the flags ask for.

    Args:
        options: With the flags of `add_flags`.
        noticeboard: What is told.
        cluster: Where the API server says who its front proxy is; without it no metrics API is served.
        leads: Whether this replica leads, and so knows by itself what to tell.

    Raises:
        Misconfigured: If flags do not fit together.

    Attributes:
        gauges: What there is to say to Prometheus.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        noticeboard: Noticeboard,
        cluster: ReadsConfigMaps | None,
        *,
        leads: Callable[[], bool],
    ) -> None:
        relay_tls = _tls_files(options, "relay", "authority")
        self._servers: dict[str, _Server] = {}
        self._metrics_api: MetricsApi | None = None
        self._client = (
            None
            if options.relay_target is None
            else RelayClient(options.relay_target, noticeboard, leads=leads, tls=relay_tls)
        )
        self.gauges = RelayGauges(noticeboard, self._client, leads=leads)
        if options.keda_address is not None:
            self._servers[_KEDA] = KedaServer(
                noticeboard, options.keda_address, tls=_tls_files(options, "keda", "client_ca")
            )
        if options.relay_address is not None:
            self._servers[_RELAY] = RelayServer(noticeboard, options.relay_address, leads=leads, tls=relay_tls)
        if options.metrics_api_address is not None and cluster is not None:
            self._servers[_METRICS_API] = self._metrics_api = MetricsApi(
                noticeboard,
                address_of("--metrics-api-address", options.metrics_api_address),
                certificates=_certificates(options),
                front_proxy=lambda: cluster.read_config_map(front_proxy.NAMESPACE, front_proxy.NAME),
            )
        self._waiting = dict.fromkeys(self._servers, "not started")

    @property
    def is_wanted(self) -> bool:
        """Whether any outlet answers."""
        return bool(self._servers.keys() & {_KEDA, _METRICS_API})

    @property
    def awaited(self) -> str:
        """Which ports wait for their first certificate, and why; empty if none does. In any thread."""
        return self._said(is_for_authorities=False)

    @property
    def unanswered(self) -> str:
        """
        Which autoscalers nobody answers at all here, and why; empty if all that ask are. In any thread.

        Beside what is `awaited` that is a metrics API without anybody to believe, which only the cluster's own administrator can
        mend; where KEDA is answered as well, it is not to lose its answers to that.
        """
        return self._said(is_for_authorities=_KEDA not in self._servers)

    def _said(self, *, is_for_authorities: bool) -> str:
        # Replicas ask each other on the relay, ready or not.
        reasons = {name: why for name, why in self._waiting.copy().items() if name != _RELAY}
        api = self._metrics_api
        if api is not None and api.is_shut and (api.awaits_certificate or is_for_authorities):
            reasons[_METRICS_API] = api.why_not_ready
        return "; ".join(f"{name}: {why}" for name, why in reasons.items())

    async def run(self) -> None:
        """Serves until cancelled."""
        async with AsyncExitStack() as stack:
            await self._start_those_with_a_certificate(stack, told_at=logging.WARNING)
            follow: Coroutine[Any, Any, object] = asyncio.Event().wait() if self._client is None else self._client.run()
            # The replica that leads may be the one that is to fill the Secret: it goes on without these for now.
            await asyncio.gather(follow, self._start_the_others(stack))

    async def _start_the_others(self, stack: AsyncExitStack) -> None:
        while self._waiting:
            await asyncio.sleep(_CERTIFICATE_SECONDS)
            await self._start_those_with_a_certificate(stack, told_at=logging.DEBUG)

    async def _start_those_with_a_certificate(self, stack: AsyncExitStack, *, told_at: int) -> None:
        for name in [*self._waiting]:
            server = self._servers[name]
            try:
                await server.start()
            except CertificateMissing as error:
                _log.log(told_at, "%s: no certificate yet; everything else goes on: %s", name, error)
                self._waiting[name] = str(error)
            else:
                del self._waiting[name]
                stack.push_async_callback(server.stop)
                _log.info("%s on port %d", name, server.port)


def _certificates(options: argparse.Namespace) -> Certificates:
    folder, own = options.metrics_api_tls_folder, options.metrics_api_own_certificate
    if folder is None:
        raise Misconfigured(
            "--metrics-api-tls-folder", "is missing", "name the folder with tls.crt and tls.key of its Service"
        )
    if own is None:
        return CertificateFiles(folder)
    service, _, namespace = own.partition(".")
    if not service or not namespace or "." in namespace:
        raise Misconfigured(
            "--metrics-api-own-certificate",
            f"{own!r} is not SERVICE.NAMESPACE",
            "write it as in metrics.tidecast-system",
        )
    return SelfSigned(folder, service_names(service, namespace))


def _tls_files(options: argparse.Namespace, prefix: str, authority: str) -> TlsFiles | None:
    certificate, key, other = (getattr(options, f"{prefix}_tls_{name}") for name in ("certificate", "key", authority))
    if certificate is None and key is None and other is None:
        return None
    missing = "certificate" if certificate is None else "key" if key is None else ""
    if prefix == "relay" and other is None:
        missing = missing or authority
    if missing:
        flag = f"--{prefix}-tls-{missing.replace('_', '-')}"
        raise Misconfigured(flag, "is missing", "give it with the others, or none of them")
    return TlsFiles(certificate, key, other)
