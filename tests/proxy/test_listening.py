"""TLS of listeners: certificates that can be replaced, clients that need one."""

import ssl

import pytest
import trustme

from llmproxy.errors import StartError
from llmproxy.listening import Certificates, server_context
from llmproxy.settings import TlsConfig
from llmproxy.testing import RawClient, running_gateway

ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def files(authority, tmp_path):
    """Write a server's certificate and the authority's; return how a listener names them."""
    written = {name: tmp_path / f"{name}.pem" for name in ("certificate", "key", "client_ca")}
    issue(authority, written)
    authority.cert_pem.write_to_path(written["client_ca"])
    return {name: str(path) for name, path in written.items()}


def issue(authority, files):
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    leaf.private_key_pem.write_to_path(str(files["key"]))
    leaf.cert_chain_pems[0].write_to_path(str(files["certificate"]))
    return ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())


def client_of(authority, *, certificate=False):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if certificate:
        authority.issue_cert("client@example.com").configure_cert(context)
    return context


def tree(files, mode="none"):
    return {"listen": [{"address": "127.0.0.1:0", "tls": {**files, "client_auth": mode}}], "routes": []}


async def ask(gateway, context):
    async with RawClient(gateway.url, tls=context) as client:
        reply = await client.exchange(ASK)
        return reply.status, client._writer.get_extra_info("ssl_object").getpeercert(True)


@pytest.mark.parametrize(
    ("mode", "certificate", "served"),
    [
        ("none", False, True),
        ("optional", False, True),
        ("optional", True, True),
        ("required", True, True),
        ("required", False, False),
    ],
)
async def test_clients_show_a_certificate_where_they_must(mode, certificate, served, files, authority):
    context = client_of(authority, certificate=certificate)
    async with running_gateway(tree(files, mode)) as gateway:
        if served:
            assert (await ask(gateway, context))[0] == 404
        else:
            with pytest.raises((OSError, EOFError, ValueError)):
                await ask(gateway, context)


async def test_a_strangers_certificate_is_refused(files, authority):
    context = client_of(authority)
    trustme.CA().issue_cert("stranger@example.com").configure_cert(context)
    async with running_gateway(tree(files, "optional")) as gateway:
        with pytest.raises((OSError, EOFError, ValueError)):
            await ask(gateway, context)


async def test_a_reload_takes_the_new_certificate(files, authority):
    context = client_of(authority)
    async with running_gateway(tree(files)) as gateway:
        _, before = await ask(gateway, context)
        new = issue(authority, files)
        result = await gateway.reload({"routes": [], "listen": gateway._tree["listen"]})
        _, after = await ask(gateway, context)

    assert result.ok
    assert before != after
    assert after == new


async def test_a_broken_certificate_refuses_the_reload_and_the_old_one_stays(files, authority):
    context = client_of(authority)
    async with running_gateway(tree(files)) as gateway:
        _, before = await ask(gateway, context)
        with open(files["key"], "w") as key:
            key.write(authority.issue_cert("other").private_key_pem.bytes().decode())
        result = await gateway.reload(tree(files))
        _, after = await ask(gateway, context)

    assert not result.ok
    assert files["certificate"] in result.reason
    assert before == after


def test_a_refresh_loads_all_or_none(files, authority, tmp_path):
    certificates = Certificates()
    certificates.context(TlsConfig(certificate=files["certificate"], key=files["key"]))
    (tmp_path / "key.pem").unlink()

    with pytest.raises(StartError, match="certificate"):
        certificates.refresh()


def test_old_versions_and_other_protocols_are_not_spoken(files):
    context = server_context(TlsConfig(certificate=files["certificate"], key=files["key"]))

    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StartError, match="nowhere"):
        server_context(TlsConfig(certificate=str(tmp_path / "nowhere.pem"), key="x"))
