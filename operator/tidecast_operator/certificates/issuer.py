"""
Brings the Secrets to what they are to hold, one write after the other; what they hold is all that is remembered.

Synchronous: call it in a thread. It may be stopped between any two writes, and any replica can go on.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from cryptography import x509

from tidecast_operator.api_answers import Outcome, WriteRefused
from tidecast_operator.certificates import signing
from tidecast_operator.certificates.authority import (
    Authority,
    Periods,
    Seen,
    advance,
    certificates_of,
    parse,
    to_data,
)
from tidecast_operator.certificates.wanted import Wanted
from tidecast_operator.cluster import StoredCaBundle, StoredSecret
from tidecast_operator.errors import Misconfigured

ISSUED_BY = "tidecast.dev/issued-by"
"""The annotation of a Secret that is filled here: the name of its authority's Secret."""

_CERTIFICATE, _KEY, _AUTHORITIES = "tls.crt", "tls.key", "ca.crt"


class Cluster(Protocol):
    """What is needed of the cluster; `CONFLICT` where an object has changed since it was read."""

    def read_whole_secret(self, namespace: str, name: str) -> StoredSecret | None:
        """A Secret; None if it is not there."""

    def update_secret(self, secret: StoredSecret) -> Outcome:
        """Writes a Secret that was read."""

    def read_ca_bundle(self, api_service: str) -> StoredCaBundle | None:
        """Whom the API server believes for an APIService; None if that is not there."""

    def apply_ca_bundle(self, bundle: StoredCaBundle) -> Outcome:
        """Writes that."""


@dataclass(slots=True)
class Pass:
    """
    What one look at all Secrets came to.

    Attributes:
        writes: How many objects were written.
        conflicts: How many had changed since they were read; the next pass sees them as they are.
        problems: What keeps something from being done, and the remedy; it is tried again.
        expiries: When the certificate of each Secret expires, unix seconds.
    """

    writes: int
    conflicts: int
    problems: list[str]
    expiries: dict[str, float]

    @property
    def is_settled(self) -> bool:
        """Whether everything was found as it is to be."""
        return not self.writes and not self.conflicts and not self.problems


class Issuer:
    """
    Fills the Secrets and tells the APIServices, again and again.

    Args:
        cluster: Where they are.
        wanted: Which.
        may_write: Asked before every write: whether this replica leads.
        clock: Unix seconds.
        periods: How long things hold.
    """

    def __init__(
        self,
        cluster: Cluster,
        wanted: Wanted,
        *,
        may_write: Callable[[], bool],
        clock: Callable[[], float] = time.time,
        periods: Periods | None = None,
    ) -> None:
        self._cluster = cluster
        self._wanted = wanted
        self._may_write = may_write
        self._clock = clock
        self._periods = periods or Periods()

    def step(self) -> Pass:
        """
        One pass: reads everything, and writes what differs, the authority first.

        Raises:
            ApiServerUnavailable: If the API server does not answer; what was written until then stands.
        """
        result = Pass(0, 0, [], {})
        secret = self._secret("--issue-authority", self._wanted.authority, result)
        if secret is None:
            return result
        held = {name: self._secret("--issue-certificate", name, result) for name in self._wanted.certificates}
        told = [bundle for name in self._wanted.api_services if (bundle := self._ca_bundle(name, result)) is not None]
        now = datetime.fromtimestamp(self._clock(), UTC)
        seen = {name: None if one is None else _seen(one) for name, one in held.items()}
        for name, known in seen.items():
            self._note_expiry(name, None if known is None or known.issued is None else known.issued.certificate, result)
        authority = advance(
            parse(secret.data),
            list(seen.values()),
            [certificates_of(bundle.bundle) for bundle in told],
            now,
            self._periods,
        )
        if not self._write(secret, to_data(authority), result):
            return result  # what follows would rest on an authority that is another one by now
        self._note_expiry(secret.name, None if authority.signer is None else authority.signer.certificate, result)
        for name, one in held.items():
            if one is not None:
                data = self._certificate(_seen(one), authority, self._wanted.certificates[name], now)
                if self._write(one, data, result):
                    self._note_expiry(name, data[_CERTIFICATE], result)
        for bundle in told:
            self._tell(bundle, authority, result)
        return result

    def _certificate(self, seen: Seen, authority: Authority, names: tuple[str, ...], now: datetime) -> dict[str, bytes]:
        """The data of a Secret: with the certificate that it has, or another one where that will not do."""
        issued, signer = seen.issued, authority.signer
        if signer is not None and _expiry(signer.certificate) > now:
            is_good = issued is not None and not signing.is_due(issued, now) and signing.is_of(issued, signer, names)
            if not is_good:
                issued = signing.issue(signer, names, now, self._periods.certificate)
        return {
            _CERTIFICATE: b"" if issued is None else issued.certificate,
            _KEY: b"" if issued is None else issued.key,
            _AUTHORITIES: authority.bundle,
        }

    def _secret(self, flag: str, name: str, result: Pass) -> StoredSecret | None:
        """A Secret that may be filled; None, and the reason among the problems, if there is none."""
        place = f"{self._wanted.namespace}/{name}"
        try:
            secret = self._cluster.read_whole_secret(self._wanted.namespace, name)
        except Misconfigured as error:  # no permission
            result.problems.append(str(error))
            return None
        if secret is None:
            problem, remedy = f"there is no Secret {place}", "create it without data: it is filled then"
        elif _is_foreign(secret, self._wanted.authority):
            problem = f"the Secret {place} holds data that {self._wanted.authority} did not issue, and is left alone"
            remedy = "name another Secret, or take its data away; where cert-manager fills it, leave the flag out"
        else:
            return secret
        result.problems.append(str(Misconfigured(flag, problem, remedy)))
        return None

    def _ca_bundle(self, name: str, result: Pass) -> StoredCaBundle | None:
        try:
            bundle = self._cluster.read_ca_bundle(name)
        except Misconfigured as error:
            result.problems.append(str(error))
            return None
        if bundle is None:
            missing = Misconfigured("--inject-ca", f"there is no APIService {name}", "create it, or leave the flag out")
            result.problems.append(str(missing))
        return bundle

    def _write(self, secret: StoredSecret, data: Mapping[str, bytes], result: Pass) -> bool:
        """Whether the Secret holds *data* now."""
        merged = {key: value for key, value in ({**secret.data, **data}).items() if value}
        if merged == {key: value for key, value in secret.data.items() if value}:
            return True
        if not self._may_write():
            result.conflicts += 1  # another replica goes on
            return False
        annotations = {**secret.annotations, ISSUED_BY: self._wanted.authority}
        changed = replace(secret, data=_required(secret) | merged, annotations=annotations)
        return self._done(lambda: self._cluster.update_secret(changed), result)

    def _tell(self, held: StoredCaBundle, authority: Authority, result: Pass) -> None:
        if held.bundle == authority.bundle:
            return
        if not self._may_write():
            result.conflicts += 1
            return
        self._done(lambda: self._cluster.apply_ca_bundle(replace(held, bundle=authority.bundle)), result)

    @staticmethod
    def _done(write: Callable[[], Outcome], result: Pass) -> bool:
        try:
            outcome = write()
        except (Misconfigured, WriteRefused) as error:
            result.problems.append(str(error))
            return False
        if outcome is not Outcome.DONE:
            result.conflicts += 1
            return False
        result.writes += 1
        return True

    @staticmethod
    def _note_expiry(name: str, certificate: bytes | None, result: Pass) -> None:
        if certificate:
            result.expiries[name] = _expiry(certificate).timestamp()


def _is_foreign(secret: StoredSecret, authority: str) -> bool:
    if any(key.startswith("cert-manager.io/") for key in secret.annotations):
        return True
    return any(secret.data.values()) and secret.annotations.get(ISSUED_BY) != authority


def _seen(secret: StoredSecret) -> Seen:
    issued = signing.Issued(secret.data.get(_CERTIFICATE, b""), secret.data.get(_KEY, b""))
    try:
        is_usable = signing.belongs(issued)
    except ValueError:
        is_usable = False
    return Seen(issued if is_usable else None, certificates_of(secret.data.get(_AUTHORITIES, b"")))


def _required(secret: StoredSecret) -> dict[str, bytes]:
    """A Secret of type kubernetes.io/tls has to have these keys, if only without a value."""
    if secret.type != "kubernetes.io/tls":
        return {}
    return {_CERTIFICATE: b"", _KEY: b""}


def _expiry(certificate: bytes) -> datetime:
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc
