from types import SimpleNamespace

import pytest

from llmproxy.canonical import Answer, GenerateRequest, Losses
from llmproxy.dialects import LocalUpstream, Tap, Untranslated, UntranslatedClient, no_translation
from llmproxy.errors import BadRequest
from llmproxy.exchange import Endpoint
from llmproxy.http_api import HttpApi
from llmproxy.messages import Reply
from llmproxy.testing import make_exchange


class Whole:
    first_output = False
    terminal = True
    usage = None

    def feed(self, data):
        """Read nothing."""

    def end(self):
        """Nothing follows."""

    def fail(self, error):
        """Nothing follows."""


class Local(HttpApi):
    async def send(self, exchange, request):
        """Answer nothing."""


def test_a_face_that_sends_is_known_to_answer_in_this_process():
    assert isinstance(Local(), LocalUpstream)
    assert not isinstance(HttpApi(), LocalUpstream)


def test_a_tap_is_known_by_its_findings():
    assert isinstance(Whole(), Tap)
    assert not isinstance(Local(), Tap)


class OnlyPassing(Untranslated):
    wire = "mine"


def test_what_only_passes_on_takes_its_own_callers_and_those_who_speak_nothing():
    face, exchange = OnlyPassing(), make_exchange()
    exchange.client_face = None
    silent = face.native(exchange)
    exchange.client_face = SimpleNamespace(wire="mine")
    own = face.native(exchange)
    exchange.client_face = SimpleNamespace(wire="theirs")

    assert (silent, own, face.native(exchange)) == (True, True, False)


def test_what_only_passes_on_has_no_calls_to_translate_to():
    face, exchange = OnlyPassing(), make_exchange()

    assert face.encode_request(exchange, Endpoint("u"), GenerateRequest(model="m"), Losses()) is None
    assert face.stream_decoder(exchange, Reply(200)) is None
    assert face.stream_filter(exchange) is None
    assert face.for_upstream(None) is face
    with pytest.raises(ValueError, match="not translated"):
        face.decode_answer(exchange, Reply(200), b"{}")


def test_an_error_of_any_shape_is_read_all_the_same():
    error = OnlyPassing().decode_error(make_exchange(), Reply(429), b'{"detail":"Slow down"}')

    assert (error.status, error.kind, error.message) == (429, "rate_limit", "Slow down")


async def test_callers_of_a_dialect_without_a_canonical_form_are_refused_clearly():
    face, exchange = UntranslatedClient(), make_exchange()
    request = GenerateRequest(model="m")
    calls = [
        lambda: face.decode_request(exchange, b"{}", Losses()),
        lambda: face.encode_answer(exchange, Answer()),
        lambda: face.stream_encoder(exchange),
    ]

    for call in calls:
        with pytest.raises(BadRequest, match="cannot be translated") as refused:
            call()
        assert refused.value.code == "no_translation"
    assert await face.recall(exchange, request, None) is request
    assert await face.remember(exchange, request, Answer(), None) is None
    assert face.stream_type(exchange) == b"text/event-stream"
    assert no_translation().status == 400
