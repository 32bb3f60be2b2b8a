import asyncio
import socket
from pathlib import Path

import pytest

from llmproxy.addresses import Address
from llmproxy.commands.asking import Admin, NotReached, ask, find_admin
from llmproxy.commands.group import Refusal
from llmproxy.testing import running_gateway

TOKEN = "0123456789abcdef"


def test_a_url_names_the_listener_and_its_token_stays_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", TOKEN)
    admin = find_admin(None, "https://gateway.test", "TOKEN")

    assert admin == Admin(Address("gateway.test", 443), TOKEN, tls=True)
    assert TOKEN not in repr(admin)
    assert find_admin(None, None, None) is None


def test_a_file_names_it_if_it_gives_an_address_and_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", TOKEN)
    path = tmp_path / "gateway.yaml"
    path.write_text("admin: {listen: '127.0.0.1:9901', token: '${env:TOKEN}'}")
    with path.open("a") as file:
        file.write("\nupstreams: {a: {base_url: 'http://h', api_key: '${env:LLMPROXY_NO_SUCH_VARIABLE}'}}")
    other = tmp_path / "other.yaml"
    other.write_text("admin: {listen: '127.0.0.1:9901'}")

    assert find_admin(path, None, None) == Admin(Address("127.0.0.1", 9901), TOKEN)
    assert find_admin(other, None, None) is None
    assert find_admin(other, None, "TOKEN") == Admin(Address("127.0.0.1", 9901), TOKEN)


@pytest.mark.parametrize("url", ["gateway:1", "http://gateway/path", "ftp://gateway"])
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(Refusal, match="--admin"):
        find_admin(None, url, None)


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(NotReached, match="no gateway answers"):
        ask(Admin(Address("127.0.0.1", port), None), "GET", "/livez")


async def test_an_answer_has_its_status_and_says_why_not(tmp_path: Path) -> None:
    where = f"unix:{tmp_path}/admin.sock"
    tree = {"admin": {"listen": where, "token": "${env:TOKEN}"}, "routes": []}
    async with running_gateway(tree, environ={"TOKEN": TOKEN}):
        admin = find_admin(None, where, None)
        assert admin is not None
        live = await asyncio.to_thread(ask, admin, "GET", "/livez")
        refused = await asyncio.to_thread(ask, admin, "POST", "/reload", {})

    assert (live.status, live.told) == (200, {})
    assert "as no admin listener does" in live.reason
    assert refused.status == 401
    assert "permission" in refused.reason
