import asyncio
import contextlib
import logging
import ssl

import aiohttp
import pytest

from builders.metrics_api import ALLOWED, USER, Authority, config_map
from tidecast_operator.errors import ApiServerUnavailable, Misconfigured
from tidecast_operator.outlets.metrics_api import server

LOAD = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/tidecast-load?labelSelector=forecast%3Dcheckout"
PATHS = ["/healthz", "/version", "/apis", "/apis/external.metrics.k8s.io/v1beta1", "/openapi/v2", LOAD]


async def nobody(client):
    with pytest.raises((aiohttp.ClientError, ConnectionError, ssl.SSLError)):
        await client.ask("/apis")
    return True


async def test_the_front_proxy_is_answered(started):
    reply = await started.client().ask(LOAD)

    assert (reply.status, reply.json["items"][0]["value"]) == (200, "750")
    assert reply.headers["Content-Type"] == "application/json"


async def test_what_is_withheld_is_a_status_of_unavailability(started):
    started.withhold("Drift")
    reply = await started.client().ask(LOAD)

    assert (reply.status, reply.json["kind"], reply.json["message"]) == (503, "Status", "Drift")


async def test_a_board_that_is_shown_later_is_what_is_answered(started):
    client = started.client()
    assert (await client.ask(LOAD)).status == 200

    started.clock[0] += 601

    assert (await client.ask(LOAD)).status == 503


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("case", ["none", "another authority", "expired", "the server's own authority"])
async def test_without_the_front_proxys_certificate_not_even_a_handshake_succeeds(started, path, case):
    folder = started.folder
    certificate = {
        "none": lambda: None,
        "another authority": lambda: Authority().client(folder),  # of the same names
        "expired": lambda: started.authority.client(folder, age_days=11),
        "the server's own authority": lambda: own(started),
    }[case]()
    client = started.client(certificate, shows_none=certificate is None)

    with pytest.raises((aiohttp.ClientError, ConnectionError, ssl.SSLError)):
        await client.ask(path)


def own(started):
    file = started.folder / "own.pem"
    file.write_bytes(b"".join((started.folder / "server" / name).read_bytes() for name in ("tls.crt", "tls.key")))
    return file


@pytest.mark.parametrize("path", PATHS)
async def test_a_certificate_of_another_name_is_refused_with_a_status(started, path):
    reply = await started.client(started.authority.client(started.folder, "kubelet")).ask(path)

    assert (reply.status, reply.json["kind"], reply.json["reason"]) == (401, "Status", "Unauthorized")
    assert reply.headers["Connection"] == "close"


@pytest.mark.parametrize("path", PATHS)
async def test_a_request_that_names_no_user_is_refused(started, path):
    assert (await started.client().ask(path, headers={})).status == 401


async def test_plain_http_is_not_answered(started):
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"http://127.0.0.1:{started.api.port}/healthz")


async def test_an_authority_without_extensions_will_do_as_many_clusters_have_it(started):
    assert "keyUsage" not in started.config_map["requestheader-client-ca-file"]
    assert not started.api._gate.listening.verify_flags & ssl.VERIFY_X509_STRICT
    assert (await started.client().ask("/healthz")).text == "ok\n"


async def test_other_methods_are_refused_with_a_status_and_what_is_possible(started):
    reply = await started.client().ask(LOAD, method="DELETE")

    assert (reply.status, reply.json["reason"], reply.headers["Allow"]) == (405, "MethodNotAllowed", "GET")


async def test_a_tag_saves_the_body_of_a_document(started):
    client = started.client()
    first = await client.ask("/openapi/v2")
    again = await client.ask("/openapi/v2", headers=USER | {"If-None-Match": first.headers["ETag"]})

    assert (again.status, again.text, again.headers["ETag"]) == (304, "", first.headers["ETag"])


async def test_accept_may_come_in_several_headers(started):
    kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    headers = [*USER.items(), ("Accept", "application/xml"), ("Accept", kind)]
    reply = await started.client().ask("/apis", headers=headers)

    assert (reply.status, reply.headers["Content-Type"]) == (200, kind)


async def test_a_renewed_certificate_is_shown_from_the_next_connection_on(started):
    old = started.client()
    assert (await old.ask("/healthz")).status == 200
    before = await shown(started)

    started.renewal_clock[0] = started.clock[0]
    await started.api.refresh()

    assert await shown(started) != before
    assert (await old.ask("/healthz")).status == 200


async def shown(started):
    context = ssl.create_default_context(cadata=started.certificates.ca_bundle.decode())
    context.check_hostname = False
    context.load_cert_chain(started.authority.client(started.folder))
    _, writer = await asyncio.open_connection("127.0.0.1", started.api.port, ssl=context)
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return certificate


async def test_another_authority_is_believed_and_the_old_one_no_longer(started):
    old, new = started.authority, Authority()
    before = started.client()
    assert (await before.ask("/healthz")).status == 200

    started.config_map = config_map(new.pem)
    await started.api.refresh()

    assert (await started.client(new.client(started.folder)).ask("/healthz")).status == 200
    assert await nobody(started.client(old.client(started.folder)))
    assert await nobody(before)  # its connection was ended, and it gets no other


async def test_while_authorities_change_both_are_believed(started):
    new = Authority("front-proxy-ca-2")
    started.config_map = config_map(started.authority.pem + new.pem)
    await started.api.refresh()

    for authority in (started.authority, new):
        assert (await started.client(authority.client(started.folder)).ask("/healthz")).status == 200


async def test_a_connection_from_before_is_refused_even_if_it_stays_open(started, monkeypatch):
    client = started.client()
    assert (await client.ask("/healthz")).status == 200
    monkeypatch.setattr(started.api, "_end_connections", lambda: None)

    started.config_map = config_map(Authority().pem)
    await started.api.refresh()

    reply = await client.ask("/healthz")
    assert (reply.status, reply.json["kind"]) == (401, "Status")


async def test_another_allowed_name_counts_at_once(started):
    client = started.client()
    assert (await client.ask("/healthz")).status == 200

    started.config_map = config_map(started.authority.pem, allowed_names='["somebody"]')
    await started.api.refresh()

    assert (await client.ask("/healthz")).status == 401


@pytest.mark.parametrize("data", [None, {}, {"client-ca-file": "x"}], ids=["no config map", "empty", "no authority"])
async def test_without_an_authority_nobody_is_answered_and_it_says_so(standing, caplog, data):
    standing.config_map = data
    with caplog.at_level(logging.ERROR):
        await standing.api.start()

    assert await nobody(standing.client())
    assert "extension-apiserver-authentication" in standing.api.why_not_ready
    assert "--requestheader-client-ca-file" in caplog.text


async def test_an_authority_that_is_taken_away_leaves_nobody(started):
    client = started.client()
    assert (await client.ask("/healthz")).status == 200

    started.config_map = {}
    await started.api.refresh()

    assert await nobody(client)
    assert started.api.why_not_ready


async def test_an_authority_is_taken_away_even_while_there_is_no_certificate(started, monkeypatch):
    client = started.client()
    assert (await client.ask("/healthz")).status == 200
    monkeypatch.setattr(started.certificates, "current", nothing_to_read(started))
    started.config_map = {}
    await started.api.refresh()

    assert await nobody(client)


def nothing_to_read(_):
    def missing():
        raise Misconfigured("directory", "no certificate is there", "put one there")

    return missing


def a_key_that_does_not_fit(started):
    pair = started.certificates.current()
    other = started.folder / "other.key"
    other.write_bytes(pair.certificate.read_bytes())
    return lambda: type(pair)(pair.certificate, other, b"new")


@pytest.mark.parametrize("trouble", [nothing_to_read, a_key_that_does_not_fit])
async def test_an_authority_that_was_replaced_is_believed_no_longer_even_without_a_certificate_of_ones_own(
    started, monkeypatch, trouble
):
    old, new, before, current = started.authority, Authority(), started.client(), started.certificates.current
    assert (await before.ask("/healthz")).status == 200
    monkeypatch.setattr(started.certificates, "current", trouble(started))
    started.config_map = config_map(new.pem)
    await started.api.refresh()

    assert await nobody(before)
    for authority in (old, new):
        assert await nobody(started.client(authority.client(started.folder)))
    assert started.api.is_shut
    assert started.api.why_not_ready

    monkeypatch.setattr(started.certificates, "current", current)
    started.config_map = ApiServerUnavailable("no answer")
    await started.api.refresh()

    assert (await started.client(new.client(started.folder)).ask("/healthz")).status == 200
    assert await nobody(started.client(old.client(started.folder)))


async def test_another_allowed_name_counts_even_without_a_certificate_of_ones_own(started, monkeypatch):
    client = started.client()
    assert (await client.ask("/healthz")).status == 200
    monkeypatch.setattr(started.certificates, "current", nothing_to_read(started))
    started.config_map = config_map(started.authority.pem, allowed_names='["somebody"]')
    await started.api.refresh()

    assert (await client.ask("/healthz")).status == 401


async def test_an_authority_that_comes_later_is_believed(standing):
    standing.config_map = None
    await standing.api.start()
    standing.config_map = config_map(standing.authority.pem)
    await standing.api.refresh()

    assert standing.api.why_not_ready == ""
    assert (await standing.client().ask("/readyz")).status == 200


async def test_while_the_api_server_is_away_what_it_said_holds(started):
    started.config_map = ApiServerUnavailable("no answer")
    await started.api.refresh()

    assert started.api.why_not_ready == ""
    assert (await started.client().ask("/readyz")).status == 200


async def test_a_permission_that_is_taken_away_is_told_and_what_was_read_holds(started):
    started.config_map = Misconfigured("permissions", "cannot get configmaps", "grant it")
    await started.api.refresh()

    assert "cannot get configmaps" in started.api.why_not_ready
    assert (await started.client().ask(LOAD)).status == 200


async def test_before_the_api_server_has_said_anything_nobody_is_answered(standing):
    standing.config_map = ApiServerUnavailable("no answer")
    await standing.api.start()

    assert await nobody(standing.client())
    assert "does not answer" in standing.api.why_not_ready


@pytest.mark.parametrize(
    "pem", ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----"]
)
async def test_an_unusable_authority_is_told_and_the_old_one_stays(started, pem):
    started.config_map = config_map(pem)
    await started.api.refresh()

    assert "requestheader-client-ca-file: not usable" in started.api.why_not_ready
    reply = await started.client().ask("/readyz")
    assert (reply.status, "not usable" in reply.text) == (503, True)


async def test_a_spoilt_certificate_is_told_and_the_old_one_stays(started, monkeypatch):
    monkeypatch.setattr(started.certificates, "current", a_key_that_does_not_fit(started))

    await started.api.refresh()

    assert "other.key" in started.api.why_not_ready
    assert (await started.client().ask("/healthz")).status == 200


async def test_it_looks_for_changes_by_itself(standing, monkeypatch):
    monkeypatch.setattr(server, "REFRESH_SECONDS", 0.01)
    await standing.api.start()
    new = Authority()
    standing.config_map = config_map(new.pem)

    client = standing.client(new.client(standing.folder))
    for _ in range(500):
        with contextlib.suppress(aiohttp.ClientError, ConnectionError, ssl.SSLError):
            assert (await client.ask("/healthz")).status == 200
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the new authority is never believed")


async def test_the_same_problem_is_logged_once(standing, caplog):
    standing.config_map = None
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            await standing.api.refresh()

    assert len(caplog.records) == 1


async def test_after_stop_nobody_listens(started):
    client, port = started.client(), started.api.port
    assert (await client.ask("/healthz")).status == 200

    await started.api.stop()

    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_port_that_is_taken_is_an_error_with_a_remedy(standing, tmp_path):
    await standing.api.start()
    second = type(standing)(tmp_path / "second")
    second.api._address = ("127.0.0.1", standing.api.port)

    with pytest.raises(
        Misconfigured, match=r"--metrics-api-address: cannot listen .* in use; write host and port that are free"
    ):
        await second.api.start()


def test_the_names_are_those_that_the_tests_show():
    assert ALLOWED in config_map("")["requestheader-allowed-names"]
