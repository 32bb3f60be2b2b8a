"""What upstreams are made of is checked before anything connects."""

import asyncio

import pytest

from llmproxy.plugin import ConfigError, Plugin, Section, UpstreamConfig, hookimpl
from llmproxy.testing import FakeUpstream, make_exchange, running_route


class StampSettings(Section, frozen=True):
    """What the test's authorizer takes."""

    text: str = "stamped"


class Stamp:
    """Puts one text on each request."""

    def __init__(self, config, options):
        if not options.text:
            raise ConfigError("text", "may not be empty")
        assert isinstance(config, UpstreamConfig)
        self.text = options.text

    async def authorize(self, url, request):
        request.headers.set("X-Stamp", self.text)

    async def renew(self, refused):
        return False


class StampPlugin(Plugin):
    """Offers it."""

    @hookimpl
    def register(self, registry):
        registry.authorizer("stamp", Stamp, StampSettings)


@pytest.fixture
async def api():
    async with FakeUpstream().reply(json={}) as upstream:
        yield upstream


def serving(api, auth, **more):
    """Serve a route of its own name to each upstream of that authorizer."""
    section = {"base_url": api.url, "dialect": "http", "proxy": None, "auth": auth, **more}
    config = {"upstreams": {"a": section}, "routes": [{"name": "a", "upstream": "a"}]}
    return running_route({"stamps": {"use": StampPlugin}}, config=config, environ={"KEY": "k"})


@pytest.mark.parametrize(("auth", "stamp"), [("stamp", "stamped"), ({"stamp": {"text": "own"}}, "own")])
async def test_an_upstream_has_the_authorizer_that_it_names_with_its_options(api, auth, stamp):
    async with serving(api, auth) as route:
        await route.serve(make_exchange())

    assert api.requests[0].header("x-stamp") == stamp


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        ("stamps", "upstreams.a.auth: 'stamps' is not known (known: stamp); did you mean 'stamp'?"),
        ({"stamp": {"txt": "x"}}, "upstreams.a.auth.stamp.txt: unknown key"),
        ({"stamp": {"text": ""}}, "upstreams.a.auth.stamp.text: may not be empty"),
        ({"stamp": {}, "other": {}}, "upstreams.a.auth: expected an authorizer's name, or {name: options}"),
    ],
)
async def test_what_is_wrong_with_an_authorizer_stops_the_start_with_its_key(api, auth, words):
    with pytest.raises(Exception, match="upstreams") as refused:
        async with serving(api, auth):
            pass

    assert words in str(refused.value)


async def test_a_key_beside_an_authorizer_is_refused(api):
    with pytest.raises(Exception, match=r"upstreams.a.auth: of no use beside api_key"):
        async with serving(api, "stamp", api_key="${env:KEY}"):
            pass


async def test_an_authorizer_may_say_on_which_socket_its_upstream_listens(api, monkeypatch, tmp_path):
    async def greet(reader, writer):
        asked = await reader.readuntil(b"\r\n\r\n")
        assert b"X-Stamp: stamped" in asked
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nthere")
        writer.close()

    path = str(tmp_path / "s")
    monkeypatch.setattr(Stamp, "socket", path, raising=False)
    async with await asyncio.start_unix_server(greet, path), serving(api, "stamp") as route:
        served = await route.serve(make_exchange(method="GET"))

    assert served.body == b"there"
    assert api.requests == []
