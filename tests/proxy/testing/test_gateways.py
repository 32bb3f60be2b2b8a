"""A whole gateway in the test's own loop."""

from __future__ import annotations

import pytest

from llmproxy.errors import StartError
from llmproxy.plugin import Exchange, NoConfig, Plugin, Reply, Runtime, hookimpl
from llmproxy.testing import FakeUpstream, RawClient, RawReply, running_gateway


class HelloPlugin(Plugin[NoConfig]):
    """Answer everything, reload on demand."""

    def __init__(self, name: str, config: NoConfig) -> None:
        super().__init__(name, config)
        self.runtime: Runtime | None = None

    @hookimpl
    async def contribute_config(self, runtime: Runtime) -> None:
        self.runtime = runtime

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        if exchange.request.path == "/reload" and self.runtime is not None:
            result = await self.runtime.request_reload()
            return Reply.text(str(getattr(result, "generation", None)))
        return Reply.text(self.name)


HELLO = {"plugins": {"hello": {"use": HelloPlugin}}, "routes": [{"name": "all", "plugins": ["hello"]}]}
YAML = """
upstreams: {{api: {{dialect: http, base_url: "{url}", proxy: null}}}}
routes: [{{name: api, upstream: api}}]
"""


async def ask(url: str, path: str = "/") -> RawReply:
    async with RawClient(url) as client:
        return await client.exchange(f"GET {path} HTTP/1.1\r\nHost: gateway\r\n\r\n".encode())


async def test_it_serves_a_tree_with_classes() -> None:
    async with running_gateway(HELLO) as gateway:
        reply = await ask(gateway.url)

    assert (reply.status, reply.body) == (200, b"hello")


async def test_it_serves_yaml() -> None:
    async with (
        FakeUpstream().reply(json={"a": 1}) as upstream,
        running_gateway(YAML.format(url=upstream.url)) as gateway,
    ):
        reply = await ask(gateway.url, "/things")

    assert reply.json() == {"a": 1}
    assert upstream.requests[0].path == "/things"


async def test_its_admin_listener_answers() -> None:
    async with running_gateway(HELLO) as gateway:
        reply = await ask(gateway.admin_url, "/readyz")

    assert reply.status == 200


async def test_it_reloads_another_configuration_or_says_why_not() -> None:
    other = {**HELLO, "plugins": {"hello": {"use": HelloPlugin}, "spare": {"use": HelloPlugin}}}
    async with running_gateway(HELLO) as gateway:
        done = await gateway.reload(other)
        refused = await gateway.reload({"routes": [{"name": "all", "upstream": "nowhere"}]})
        reply = await ask(gateway.url)

    assert (done.ok, refused.ok) == (True, False)
    assert "nowhere" in refused.reason
    assert reply.body == b"hello"


async def test_a_plugin_may_ask_for_a_reload() -> None:
    async with running_gateway(HELLO) as gateway:
        reply = await ask(gateway.url, "/reload")

    assert reply.body == b"2"


async def test_what_is_logged_is_kept() -> None:
    class BrokenPlugin(Plugin[NoConfig]):
        @hookimpl
        async def pre_route(self, exchange: Exchange) -> Reply | None:
            raise ValueError

    tree = {"plugins": {"broken": {"use": BrokenPlugin}}, "routes": [{"name": "all", "plugins": ["broken"]}]}
    async with running_gateway(tree) as gateway:
        reply = await ask(gateway.url)

    assert reply.status == 500
    assert any(b"plugin_failed" in line for line in gateway.log)


async def test_the_environment_is_the_tests_own() -> None:
    tree = {**HELLO, "admin": {"listen": "127.0.0.1:0", "token": "${env:TOKEN}"}}
    async with running_gateway(tree, environ={"TOKEN": "0123456789abcdef"}) as gateway:
        assert gateway.gateway.current.config.admin.token is not None


async def test_a_bad_configuration_does_not_start() -> None:
    with pytest.raises(StartError, match="pipelin"):
        async with running_gateway({"pipelin": []}):
            pass
