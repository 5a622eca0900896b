"""
The authority, and how another one takes its place without anybody being refused. Pure.

Whoever mounts a Secret sees a change after some minutes, each at another moment. So a new authority is believed
everywhere before it signs anything, and the one before is believed until nothing that it signed is in use:

1. One authority signs, and it alone is believed.
2. It is due: the following one is believed too, and signs nothing yet.
3. All have had time to see that: the following one signs, and the former one is still believed.
4. All certificates are signed by the new one, and all have had time to see that: the former one goes.

Where a stage is left is decided from what stands in the Secrets, so any replica can go on at any point.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cryptography import x509

from tidecast_operator.certificates import signing
from tidecast_operator.certificates.signing import Issued, pem

BUNDLE, KEY, FOLLOWING_KEY, SINCE = "ca.crt", "ca.key", "next.key", "since"
"""The keys of the authority's Secret."""


@dataclass(frozen=True, slots=True)
class Periods:
    """
    How long things hold.

    Attributes:
        authority: The life of an authority.
        certificate: The life of what it signs.
        propagation: By then everybody who mounts a Secret, or reads it otherwise, goes by what stands in it: kubelet
            takes up to two minutes, and the aggregator and the metrics API up to one.
    """

    authority: timedelta = signing.AUTHORITY_LIFE
    certificate: timedelta = signing.CERTIFICATE_LIFE
    propagation: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Authority:
    """
    Attributes:
        signer: Who signs; None where there is none, or its key cannot be used.
        following: Who is to sign next and is believed already; None while nobody is needed.
        former: Certificates that are believed too, because there may be some that they signed.
        since: When everybody could see what the stage waits for, by the clock of the operator; None if not all can.
    """

    signer: Issued | None = None
    following: Issued | None = None
    former: tuple[x509.Certificate, ...] = ()
    since: datetime | None = None

    @property
    def bundle(self) -> bytes:
        """Everybody who is to be believed, PEM, who signs first."""
        own = [one.certificate for one in (self.signer, self.following) if one is not None]
        return b"".join([*own, *map(pem, self.former)])


@dataclass(frozen=True, slots=True)
class Seen:
    """
    What one Secret with a certificate gives to those who mount it.

    Attributes:
        issued: The certificate and its key; None where there is none that can be used.
        believed: The authorities beside it.
    """

    issued: Issued | None = None
    believed: tuple[x509.Certificate, ...] = ()

    @property
    def certificate(self) -> x509.Certificate | None:
        """The certificate alone."""
        return None if self.issued is None else x509.load_pem_x509_certificate(self.issued.certificate)


def parse(data: Mapping[str, bytes]) -> Authority:
    """The authority from the data of its Secret; what cannot be read counts as not there."""
    certificates = certificates_of(data.get(BUNDLE, b""))
    signer, rest = _with_key(certificates, data.get(KEY, b""))
    following, rest = _with_key(rest, data.get(FOLLOWING_KEY, b""))
    return Authority(signer, following, rest, _time(data.get(SINCE, b"")))


def to_data(authority: Authority) -> Mapping[str, bytes]:
    """The data of its Secret; empty for a key that is not to be there."""
    signer, following, since = authority.signer, authority.following, authority.since
    return {
        BUNDLE: authority.bundle,
        KEY: b"" if signer is None else signer.key,
        FOLLOWING_KEY: b"" if following is None else following.key,
        SINCE: b"" if since is None else since.strftime("%Y-%m-%dT%H:%M:%SZ").encode(),
    }


def certificates_of(bundle: bytes) -> tuple[x509.Certificate, ...]:
    """Those of a bundle in PEM; none if it cannot be read."""
    try:
        return tuple(x509.load_pem_x509_certificates(bundle))
    except ValueError:
        return ()


def advance(
    authority: Authority,
    seen: Sequence[Seen | None],
    bundles: Sequence[tuple[x509.Certificate, ...]],
    now: datetime,
    periods: Periods,
) -> Authority:
    """
    The authority as it is to be now; the same if nothing is to be done.

    Args:
        authority: As it was read.
        seen: All Secrets that its certificates are in, read after it; None for one that cannot be read or is refused.
        bundles: Whom others believe who were told so.
        now: After all of it was read.
        periods: How long things hold.
    """
    signer, following = authority.signer, authority.following
    former = tuple(one for one in (*authority.former, *_strangers(authority, seen)) if one.not_valid_after_utc > now)
    told = replace(authority, former=former)
    if signer is not None and following is None and not _is_believed(signer, seen, now):
        # The Secret was put back to a former state: whoever signed then is announced like a new one.
        signer, following = None, signer
        told = Authority(following=following, former=former)
    if following is not None:
        next_one = x509.load_pem_x509_certificate(following.certificate)
        is_seen = all(one is not None and next_one in one.believed for one in seen)
        is_told = all(next_one in bundle for bundle in bundles)
        # Nobody signs meanwhile: a Secret that never comes must not let the certificates of all others expire.
        is_late = signer is None and any(_is_late(one, now, periods) for one in seen)
        return _following_signs(told, following, now, periods, is_believed=(is_seen and is_told) or is_late)
    if signer is None:
        fresh = signing.new_authority(now, periods.authority)
        # Nobody believes anybody yet: no one has to be waited for.
        return replace(told, following=fresh, since=None) if former else Authority(signer=fresh)
    if former:
        return _former_goes(told, signer, seen, now, periods)
    if signing.is_due(signer, now):
        return replace(told, following=signing.new_authority(now, periods.authority), since=None)
    return replace(told, since=None)


def _following_signs(
    authority: Authority, following: Issued, now: datetime, periods: Periods, *, is_believed: bool
) -> Authority:
    signer = () if authority.signer is None else (x509.load_pem_x509_certificate(authority.signer.certificate),)
    holding = [one for one in (*signer, *authority.former) if one.not_valid_after_utc > now]
    told = _waited(authority, now, is_over=is_believed)
    # Whoever goes by the former ones when they hold no more refuses everybody already: that can only get better.
    if (told.since is not None and now - told.since >= periods.propagation) or not holding:
        return Authority(signer=following, former=tuple(holding))
    return told


def _former_goes(
    authority: Authority, signer: Issued, seen: Sequence[Seen | None], now: datetime, periods: Periods
) -> Authority:
    by = x509.load_pem_x509_certificate(signer.certificate)
    certificates = [None if one is None else one.certificate for one in seen]
    is_unused = all(one is not None and signing.has_signed(by, one) for one in certificates)
    told = _waited(authority, now, is_over=is_unused)
    if told.since is not None and now - told.since >= periods.propagation:
        return Authority(signer=signer)
    return told


def _waited(authority: Authority, now: datetime, *, is_over: bool) -> Authority:
    since = authority.since if is_over else None
    if is_over and (since is None or since > now):  # of a clock that was ahead
        since = now
    return replace(authority, since=since)


def _is_believed(signer: Issued, seen: Sequence[Seen | None], now: datetime) -> bool:
    """Whether all who hold a certificate believe who signs; a Secret without one is no matter, nobody uses it yet."""
    certificate = x509.load_pem_x509_certificate(signer.certificate)
    for one in seen:
        own = None if one is None else one.certificate
        if one is not None and own is not None and own.not_valid_after_utc > now and certificate not in one.believed:
            return False
    return True


def _is_late(seen: Seen | None, now: datetime, periods: Periods) -> bool:
    certificate = None if seen is None else seen.certificate
    return certificate is not None and certificate.not_valid_after_utc - now < periods.certificate / 6


def _strangers(authority: Authority, seen: Sequence[Seen | None]) -> list[x509.Certificate]:
    """
    Who signed a certificate that is in use and is not believed: the authority's Secret was emptied, or put back to an
    earlier state. Believed as long as that certificate is there, nobody is refused meanwhile.
    """
    believed = certificates_of(authority.bundle)
    found: list[x509.Certificate] = []
    for one in seen:
        certificate = None if one is None else one.certificate
        if one is None or certificate is None or any(signing.has_signed(other, certificate) for other in believed):
            continue
        found += [other for other in one.believed if other not in found and signing.has_signed(other, certificate)]
    return found


def _with_key(
    certificates: tuple[x509.Certificate, ...], key: bytes
) -> tuple[Issued | None, tuple[x509.Certificate, ...]]:
    for certificate in certificates:
        issued = Issued(pem(certificate), key)
        try:
            if signing.belongs(issued):
                return issued, tuple(one for one in certificates if one != certificate)
        except ValueError:
            break
    return None, certificates


def _time(text: bytes) -> datetime | None:
    try:
        return datetime.strptime(text.decode(), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
