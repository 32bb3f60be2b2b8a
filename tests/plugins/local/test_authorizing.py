from __future__ import annotations

import pytest

from llmproxy.plugin import Headers, Reply, StartError, UpstreamRequest
from llmproxy_local.authorizing import LocalAuthorizer


class Server:
    changed = False
    socket = "/run/m.sock"

    async def key(self):
        return "secret"

    def has_changed(self):
        return self.changed


async def test_a_request_gets_the_servers_key_in_place_of_the_callers():
    request = UpstreamRequest(
        "POST", "/chat/completions", Headers.of({"authorization": "Bearer canary"}), b""
    )
    await LocalAuthorizer("m", {"m": Server()}).authorize("http://localhost/v1/chat/completions", request)

    assert request.headers.get_all("authorization") == ["Bearer secret"]


@pytest.mark.parametrize(
    ("status", "changed", "again"), [(401, True, True), (401, False, False), (403, True, False)]
)
async def test_another_try_is_worth_it_where_another_server_came(status, changed, again):
    server = Server()
    server.changed = changed

    assert await LocalAuthorizer("m", {"m": server}).renew(Reply(status)) is again


async def test_the_socket_is_known_once_the_plugin_has_started():
    servers = {}
    authorizer = LocalAuthorizer("m", servers)
    assert authorizer.socket is None
    with pytest.raises(StartError, match="has no server"):
        await authorizer.renew(Reply(401))

    servers["m"] = Server()
    assert authorizer.socket == "/run/m.sock"
