"""
Connections on which only the front proxy gets through, with certificates that may change at any time.

The listening socket keeps one context. Every handshake is led over to the newest one, so that a renewed certificate or
authority needs no new socket; the authority of a context cannot be taken back, so each change makes a new one.
"""

import ssl
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakSet

from tidecast_operator.errors import Misconfigured
from tidecast_operator.outlets.metrics_api.certificates import KeyPair

HANDSHAKE_SECONDS = 10.0


class Gate:
    """
    The contexts of a listening socket. From one thread only.

    Attributes:
        listening: For the socket; the handshakes that it begins fail as long as nothing was taken over.
    """

    def __init__(self) -> None:
        self.listening = _context()
        self.listening.sni_callback = self._lead_over
        self._newest: ssl.SSLContext | None = None
        self._authorities = ""
        self._believing: WeakSet[ssl.SSLContext] = WeakSet()  # the newest, and those before of the same authorities

    @property
    def is_shut(self) -> bool:
        """Whether nobody gets through, because nobody is believed or nothing was taken over since."""
        return self._newest is None

    def believe(self, authorities: str) -> None:
        """
        Nobody gets through any more who was let in by others than *authorities*; shut until a certificate is taken over.

        Raises:
            Misconfigured: If they are not usable; then those before stay.
        """
        if authorities == self._authorities:
            return
        _add(authorities, _context())
        self.shut()
        self._authorities = authorities

    def take_over(self, pair: KeyPair) -> None:
        """
        Uses another certificate from the next handshake on.

        Raises:
            Misconfigured: If it is not usable; then the one before stays.
        """
        context = _context()
        try:
            context.load_cert_chain(pair.certificate, pair.key)
        except OSError as error:  # an ssl.SSLError is one
            raise Misconfigured(
                str(pair.certificate),
                f"not usable with {pair.key.name}: {error}",
                "put a certificate and its key there",
            ) from error
        _add(self._authorities, context)
        self._newest = context
        self._believing.add(context)

    def shut(self) -> None:
        """Nobody gets through any more."""
        self._newest, self._authorities = None, ""
        self._believing.clear()

    def is_current(self, connection: ssl.SSLObject) -> bool:
        """
        Whether whoever is at the other end was checked against the newest authorities: not on a connection from before,
        nor with a session that was taken up again.
        """
        return connection.context in self._believing and not connection.session_reused

    def _lead_over(self, connection: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> int | None:
        if self._newest is None:
            return ssl.ALERT_DESCRIPTION_ACCESS_DENIED
        connection.context = self._newest
        return None


def _add(authorities: str, context: ssl.SSLContext) -> None:
    try:
        context.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError) as error:
        raise Misconfigured(
            "requestheader-client-ca-file", f"not usable: {error}", "give kube-apiserver certificates in PEM"
        ) from error


def common_names(connection: ssl.SSLObject) -> Sequence[str]:
    """Those of the certificate at the other end."""
    certificate: Mapping[str, Any] = connection.getpeercert() or {}
    pairs = [pair for part in certificate.get("subject", ()) for pair in part]
    return [value for key, value in pairs if key == "commonName"]


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    # The authorities of many clusters lack what is asked for by the letter, and Python may begin to ask by default.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    return context
