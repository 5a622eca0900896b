"""
Secrets and APIServices as the issuer of certificates sees them, pods that see Secrets late, and a time that is set.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509

from tidecast_contract.rpc.tls import TlsFiles
from tidecast_operator.api_answers import Outcome
from tidecast_operator.certificates.authority import Periods
from tidecast_operator.certificates.issuer import Issuer
from tidecast_operator.certificates.signing import has_signed
from tidecast_operator.certificates.wanted import Wanted
from tidecast_operator.cluster import StoredCaBundle, StoredSecret

NAMESPACE = "tidecast-system"
AUTHORITY, OPERATOR, PREDICTOR = "tidecast-authority", "tidecast-operator-tls", "tidecast-predictor-tls"
API_SERVICE = "v1beta1.external.metrics.k8s.io"
NAMES = {OPERATOR: ("tidecast-operator", "localhost"), PREDICTOR: ("tidecast-predictor", "localhost")}
WANTED = Wanted(NAMESPACE, AUTHORITY, NAMES, (API_SERVICE,))
PERIODS = Periods(authority=timedelta(days=30), certificate=timedelta(days=9))
DAY = 86_400.0
TICK_SECONDS = 40.0
KUBELET_SECONDS = 120.0


class Crashed(BaseException):
    """The process is no more; nothing in it may catch that."""


@dataclass
class FakeCluster:
    """
    Secrets and an APIService; every write is an event that a test can be at.

    Attributes:
        secrets: By name.
        bundle: Of the APIService; None where that is not there.
        at_write: Called with the number of each write before it is done; what it raises is raised.
        after_write: The same, afterwards.
        errors: Raised instead of reading that Secret.
        written: The name of each object that was written.
    """

    secrets: dict[str, StoredSecret] = field(default_factory=dict)
    bundle: StoredCaBundle | None = field(default_factory=lambda: StoredCaBundle(API_SERVICE, b"", "1"))
    at_write: Callable[[int], None] = lambda _: None
    after_write: Callable[[int], None] = lambda _: None
    errors: dict[str, Exception] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)

    def read_whole_secret(self, namespace: str, name: str) -> StoredSecret | None:
        """See `Cluster`."""
        assert namespace == NAMESPACE
        if name in self.errors:
            raise self.errors[name]
        return self.secrets.get(name)

    def update_secret(self, secret: StoredSecret) -> Outcome:
        """See `Cluster`."""
        number = len(self.written)
        self.at_write(number)
        held = self.secrets.get(secret.name)
        if held is None:
            return Outcome.GONE
        if held.body["version"] != secret.body["version"]:
            return Outcome.CONFLICT
        self.secrets[secret.name] = replace(secret, body={"version": secret.body["version"] + 1})
        self.written.append(secret.name)
        self.after_write(number)
        return Outcome.DONE

    def read_ca_bundle(self, api_service: str) -> StoredCaBundle | None:
        """See `Cluster`."""
        assert api_service == API_SERVICE
        return self.bundle

    def apply_ca_bundle(self, bundle: StoredCaBundle) -> Outcome:
        """See `Cluster`."""
        number = len(self.written)
        self.at_write(number)
        if self.bundle is None or bundle.version != self.bundle.version:
            return Outcome.CONFLICT
        self.bundle = replace(bundle, version=str(int(bundle.version) + 1))
        self.written.append(bundle.api_service)
        self.after_write(number)
        return Outcome.DONE

    def put(self, name: str, data: dict[str, bytes], annotations: dict[str, str] | None = None, kind: str = "") -> None:
        """A Secret as somebody else made it."""
        body = {"version": self.secrets[name].body["version"] + 1 if name in self.secrets else 1}
        self.secrets[name] = StoredSecret(NAMESPACE, name, kind or "Opaque", data, annotations or {}, body)

    def data(self, name: str) -> dict[str, bytes]:
        """What a Secret holds."""
        return dict(self.secrets[name].data)

    def copy(self) -> "FakeCluster":
        """The same objects, without anybody at its writes."""
        return FakeCluster(dict(self.secrets), self.bundle)


def empty_cluster() -> FakeCluster:
    """As the chart leaves it: three Secrets without data."""
    cluster = FakeCluster()
    for name in (AUTHORITY, OPERATOR, PREDICTOR):
        cluster.put(name, {})
    return cluster


@lru_cache(maxsize=1000)
def authorities(bundle: bytes) -> list[x509.Certificate]:
    """Those of a bundle; none of an empty one."""
    return x509.load_pem_x509_certificates(bundle) if bundle else []


@dataclass
class Pod:
    """
    Mounts a Secret, and sees each change of it some time later.

    Attributes:
        secret: Its name.
        chance: Decides how late.
        longest_seconds: How late at most.
        folder: Where the files are put, if anywhere; replaced all at once, as kubelet does.
    """

    secret: str
    chance: random.Random
    longest_seconds: float = KUBELET_SECONDS
    folder: Path | None = None
    seen: dict[str, bytes] = field(default_factory=dict)
    _coming: list[tuple[float, dict[str, bytes]]] = field(default_factory=list)
    _latest: dict[str, bytes] = field(default_factory=dict)

    def look(self, cluster: FakeCluster, now: float) -> None:
        """What there is to see now."""
        data = cluster.data(self.secret)
        if data != self._latest:
            self._latest = data
            self._coming.append((now + self.chance.uniform(0, self.longest_seconds), data))
        while self._coming and min(self._coming)[0] <= now:
            # A later change brings all that came before it.
            index = max(place for place, (time, _) in enumerate(self._coming) if time <= now)
            self.seen = self._coming[index][1]
            del self._coming[: index + 1]
            if self.folder is not None:
                mount(self.folder, self.seen)

    @property
    def certificate(self) -> x509.Certificate:
        """Its own."""
        return authorities(self.seen["tls.crt"])[0]


def mount(folder: Path, data: dict[str, bytes]) -> TlsFiles:
    """The data of a Secret as kubelet puts it into a folder: replaced all at once by the target of a link."""
    folder.mkdir(exist_ok=True)
    number = sum(1 for _ in folder.glob("..2*"))
    fresh = folder / f"..2026_{number}"
    fresh.mkdir()
    for name, content in data.items():
        (fresh / name).write_bytes(content)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    link = folder / "..data_tmp"
    link.symlink_to(fresh.name)
    link.replace(folder / "..data")
    return TlsFiles.in_folder(folder)


class Time:
    """Unix seconds that a test sets."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time."""
        return self.now


class Rotation:
    """
    An installation over days: who leads issues, and pods look.

    Args:
        cluster: Its Secrets.
        now: Unix seconds at which it begins.
        seed: Of the delays.
        periods: How long things hold.
    """

    def __init__(self, cluster: FakeCluster, now: float, *, seed: int = 0, periods: Periods = PERIODS) -> None:
        self.cluster = cluster
        self.clock = Time(now)
        self.periods = periods
        self.chance = random.Random(seed)  # noqa: S311 - no secret
        self.pods = [Pod(name, self.chance) for name in (OPERATOR, OPERATOR, PREDICTOR)]
        self.leader = self.replica()
        self.refused: list[str] = []

    def replica(self) -> Issuer:
        """The issuer of a process that has just started; it believes that it leads."""
        return Issuer(self.cluster, WANTED, may_write=lambda: True, clock=self.clock, periods=self.periods)

    def tick(self, seconds: float = TICK_SECONDS) -> None:
        """One pass of the leader, a look of each pod, a check of all, and time goes on."""
        self.leader.step()
        self.look()
        self.clock.now += seconds

    def look(self) -> None:
        """Pods look, and try each other."""
        for pod in self.pods:
            pod.look(self.cluster, self.clock.now)
        if self.refusals():
            self.refused += [f"{self.clock.now:.0f}: {text}" for text in self.refusals()]

    def run(self, seconds: float, tick_seconds: float = TICK_SECONDS) -> None:
        """For some time."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.tick(tick_seconds)

    def refusals(self) -> list[str]:
        """Who would refuse whom now, of those who have seen a Secret that is filled."""
        ready = [pod for pod in self.pods if "tls.crt" in pod.seen]
        found = []
        for shown in ready:
            if not shown.certificate.not_valid_before_utc.timestamp() <= self.clock.now:
                found.append(f"{shown.secret} holds not yet")
            if shown.certificate.not_valid_after_utc.timestamp() <= self.clock.now:
                found.append(f"{shown.secret} has expired")
            found += [
                f"{pod.secret} refuses {shown.secret}"
                for pod in ready
                if not believes(pod.seen["ca.crt"], shown.seen["tls.crt"])
            ]
            if (
                self.cluster.bundle
                and shown.secret == OPERATOR
                and not believes(self.cluster.bundle.bundle, shown.seen["tls.crt"])
            ):
                found.append(f"the API server refuses {shown.secret}")
        return found


@lru_cache(maxsize=1000)
def believes(bundle: bytes, shown: bytes) -> bool:
    """Whether one of the authorities of a bundle signed that certificate."""
    return any(has_signed(one, authorities(shown)[0]) for one in authorities(bundle))
