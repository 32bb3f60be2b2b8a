"""What a translation would send, without a network and without a memory."""

import orjson
import pytest

from llmproxy.assembly import Assembly
from llmproxy.config import decode
from llmproxy.errors import BadRequest
from llmproxy.exchange import Endpoint, Exchange
from llmproxy.foreseeing import foresee
from llmproxy.messages import ClientRequest, Headers
from llmproxy.routebuilding import build_routes
from llmproxy.testing import make_process
from llmproxy.testing.classes import with_names

from .toy_dialects import WHY, ToyPlugin

TREE = {
    "plugins": {"toy": {"use": ToyPlugin}},
    "upstreams": {"dots": {"base_url": "http://dots.invalid", "dialect": "dots", "proxy": None}},
    "routes": [{"name": "toys", "match": {"path": "/toy/*"}, "upstream": "dots"}],
}


async def foreseen(path="/toy/ask", **body):
    assembly = Assembly(decode(with_names(TREE), environ={}, read_file=str))
    (route,) = build_routes(assembly, make_process(), {})
    request = ClientRequest("POST", path, Headers.of({"Content-Type": "application/json"}))
    exchange = Exchange(request, route, "foreseen", 0.0)
    exchange.client_face = route.face_of(request)
    exchange.set_body(orjson.dumps({"model": "m", "say": "hi", **body}))
    return await foresee(exchange, Endpoint("dots", "d-1"), route.targets["dots"].face), exchange


async def test_the_wire_request_is_that_of_the_other_dialect():
    told, exchange = await foreseen(mood="good", k=3)

    assert (told.wire.target, told.wire.body) == ("/ask", b'{"to":"d-1","ask":["hi"]}')
    assert {loss.field: loss.why for loss in exchange.losses}["mood"] == WHY
    assert told.notes == []


async def test_what_only_a_running_gateway_knows_is_not_asked_for():
    told, _ = await foreseen(after="a-1")

    assert told.wire.body == b'{"to":"d-1","ask":["hi"]}'
    assert "earlier answer" in told.notes[0]


async def test_a_count_that_the_gateway_makes_itself_sends_nothing():
    told, _ = await foreseen("/toy/count")

    assert told.wire is None
    assert "counts" in told.notes[0]


async def test_what_cannot_be_said_is_refused():
    with pytest.raises(BadRequest, match="embed"):
        await foreseen("/toy/embed")
