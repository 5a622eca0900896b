"""
What is to be issued, as flags say it.
"""

import argparse
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tidecast_contract.rpc.tls import TlsFiles
from tidecast_operator.errors import Misconfigured

_OBJECT = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_EXAMPLE = "tidecast-predictor-tls=tidecast-predictor,tidecast-predictor.tidecast-system.svc"


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    Secrets to be filled, and who is to be told whom to believe.

    Attributes:
        namespace: Of all Secrets.
        authority: The Secret of the authority.
        certificates: The names that each Secret's certificate is for; at least one Secret, at least one name.
        api_services: APIServices that are told.
    """

    namespace: str
    authority: str
    certificates: Mapping[str, tuple[str, ...]]
    api_services: tuple[str, ...] = ()


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `run` that are about certificates."""
    parser.add_argument(
        "--predictor-tls-folder",
        type=Path,
        metavar="DIR",
        help="with tls.crt, tls.key and ca.crt, for TLS with the predictor; default: no TLS",
    )
    parser.add_argument(
        "--issue-authority", metavar="SECRET", help="make and renew an authority there; default: somebody else does"
    )
    parser.add_argument(
        "--issue-certificate",
        action="append",
        default=[],
        metavar="SECRET=NAME,NAME",
        help="have it sign a certificate for these host names; can be given several times",
    )
    parser.add_argument(
        "--inject-ca",
        action="append",
        default=[],
        metavar="APISERVICE",
        help="tell this APIService whom to believe; can be given several times",
    )


def predictor_files(options: argparse.Namespace) -> TlsFiles | None:
    """Where the certificate for the predictor is; None for no TLS."""
    folder: Path | None = options.predictor_tls_folder
    return None if folder is None else TlsFiles.in_folder(folder)


def wanted(options: argparse.Namespace) -> Wanted | None:
    """
    What the flags ask for; None for nothing.

    Raises:
        Misconfigured: If one cannot be followed.
    """
    authority: str | None = options.issue_authority
    if authority is None:
        for flag, values in (("--issue-certificate", options.issue_certificate), ("--inject-ca", options.inject_ca)):
            if values:
                raise Misconfigured(
                    flag, "there is no authority to sign or to be believed", "give --issue-authority with it"
                )
        return None
    _check_object("--issue-authority", authority)
    certificates: dict[str, tuple[str, ...]] = {}
    for text in options.issue_certificate:
        secret, names = _certificate(text)
        if secret in {authority, *certificates}:
            raise Misconfigured("--issue-certificate", f"the Secret {secret} is named twice", "name another one")
        certificates[secret] = names
    if not certificates:
        raise Misconfigured("--issue-certificate", "is missing", f"give it with --issue-authority, as in {_EXAMPLE}")
    for name in options.inject_ca:
        _check_object("--inject-ca", name)
    return Wanted(options.namespace, authority, certificates, tuple(dict.fromkeys(options.inject_ca)))


def _certificate(text: str) -> tuple[str, tuple[str, ...]]:
    secret, _, rest = text.partition("=")
    names = tuple(dict.fromkeys(rest.split(",")))
    _check_object("--issue-certificate", secret)
    for name in names:
        if not _is_address(name) and not _HOST.fullmatch(name):
            raise Misconfigured("--issue-certificate", f"{name!r} in {text!r} is no host name", f"write {_EXAMPLE}")
    return secret, names


def _check_object(flag: str, name: str) -> None:
    if not _OBJECT.fullmatch(name):
        raise Misconfigured(flag, f"{name!r} is no name of an object", "write lower case letters, digits, - and .")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
