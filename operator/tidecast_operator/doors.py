"""
The connections that a Forecaster's settings ask for, kept as long as the settings and the credentials stay the same.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tidecast_contract.forecast import Forecast
from tidecast_contract.rpc.tls import TlsFiles
from tidecast_contract.snapshot import Snapshot
from tidecast_contract.status import HistoryStatus, PredictorStatus
from tidecast_operator.errors import Misconfigured
from tidecast_operator.predictor_client import PredictorClient
from tidecast_operator.settings import PredictorSettings, PrometheusSettings, SecretReference, Settings
from tidecast_operator.telemetry.collector import Collector
from tidecast_operator.telemetry.observations import Observations
from tidecast_operator.telemetry.prometheus import Connection, Prometheus


class Collects(Protocol):
    """What a cycle needs of the collector; synchronous."""

    def collect(self, start_time: int, end_time: int, step_seconds: int) -> Observations:
        """What was measured at the steps from start to end, both included."""


@dataclass(frozen=True, slots=True)
class Collectors:
    """
    Collectors that may work at the same time; each alone does one thing after the other.

    Attributes:
        window: For what is new at each step.
        history: For what the model learns from.
        capacities: For what replicas carried.
    """

    window: Collects
    history: Collects
    capacities: Collects


class Predicts(Protocol):
    """What a cycle needs of the predictor."""

    async def status(self) -> PredictorStatus:
        """Everything the predictor says about itself."""

    async def forecast(self, snapshot: Snapshot, horizon_steps: int) -> Forecast:
        """The forecast of every service of *snapshot*."""

    async def append_history(self, snapshots: list[Snapshot]) -> HistoryStatus:
        """Adds to the history."""

    async def train(self, *, window_steps: int, horizon_steps: int, minimum_history_seconds: int) -> bool:
        """Asks for a training; True also when one that runs will do, False when none was started."""


class Secrets(Protocol):
    """What the doors need of the cluster."""

    def read_secret(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """The decoded values of a Secret; None if it is not there."""


class Doors:
    """
    Opens the doors to Prometheus and the predictor, and closes those that nobody needs any more.

    Args:
        secrets: Where credentials are read from, at every cycle: they are rotated.
        predictor_tls: The own certificate for the predictor, and the authority of the predictor's; None for a connection
            without TLS.
    """

    def __init__(self, secrets: Secrets, *, predictor_tls: TlsFiles | None = None) -> None:
        self._secrets = secrets
        self._predictor_tls = predictor_tls
        self._directory = tempfile.TemporaryDirectory(prefix="tidecast-")
        self._prometheus: Prometheus | None = None
        self._collectors: Collectors | None = None
        self._made_for: tuple[Connection, tuple[str, ...]] | None = None
        self._predictor: tuple[PredictorSettings, PredictorClient] | None = None

    async def collectors(self, settings: Settings) -> Collectors:
        """
        Collectors for these settings.

        Raises:
            Misconfigured: If the Secret or a key in it is not there.
            ApiServerUnavailable: If the Secret cannot be read.
        """
        connection = await asyncio.to_thread(self._connection, settings.prometheus)
        made_for = connection, settings.sources
        if self._collectors is None or self._made_for != made_for:
            if self._prometheus is not None:
                self._prometheus.close()
            self._prometheus, self._made_for = Prometheus(connection), made_for
            self._collectors = Collectors(*(Collector(self._prometheus, settings.sources) for _ in range(3)))
        return self._collectors

    async def predictor(self, settings: Settings) -> Predicts:
        """The predictor for these settings."""
        if self._predictor is None or self._predictor[0] != settings.predictor:
            if self._predictor is not None:
                await self._predictor[1].close()
            client = PredictorClient(
                settings.predictor.address,
                timeout_seconds=settings.predictor.timeout_seconds,
                tls=self._predictor_tls,
            )
            self._predictor = settings.predictor, client
        return self._predictor[1]

    async def close(self) -> None:
        """Closes all doors."""
        if self._prometheus is not None:
            self._prometheus.close()
        if self._predictor is not None:
            await self._predictor[1].close()
        self._directory.cleanup()

    def _connection(self, settings: PrometheusSettings) -> Connection:
        token, basic = ("", None) if settings.secret is None else self._credentials(settings.secret)
        ca_file = None
        if settings.ca_bundle:
            # Another bundle is another file, and so another connection.
            digest = hashlib.sha256(settings.ca_bundle.encode()).hexdigest()
            ca_file = Path(self._directory.name) / f"{digest}.pem"
            ca_file.write_text(settings.ca_bundle)
        return Connection(
            url=settings.url,
            timeout_seconds=settings.timeout_seconds,
            headers=settings.headers,
            bearer_token=token,
            basic=basic,
            ca_file=ca_file,
        )

    def _credentials(self, reference: SecretReference) -> tuple[str, tuple[str, str] | None]:
        path = "spec.prometheus.authSecretRef"
        place = f"{reference.namespace}/{reference.name}"
        secret = self._secrets.read_secret(reference.namespace, reference.name)
        if secret is None:
            raise Misconfigured(path, f"there is no Secret {place}", "create it, or correct name and namespace")
        keys = (reference.key,) if reference.type == "BearerToken" else ("username", "password")
        missing = [key for key in keys if not secret.get(key)]
        if missing:
            raise Misconfigured(
                path, f"the Secret {place} has no value for {', '.join(missing)}", "add it, or correct type and key"
            )
        if reference.type == "BearerToken":
            return secret[reference.key].strip(), None
        return "", (secret["username"], secret["password"])
