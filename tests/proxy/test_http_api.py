import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import GenerateRequest, Losses
from llmproxy.exchange import Endpoint, Exchange
from llmproxy.http_api import HttpApi
from llmproxy.messages import HOP_BY_HOP, ClientRequest, Headers, Reply
from llmproxy.route import Route
from llmproxy.settings import Match

GATEWAY = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id", "traceparent"}


def make_exchange(fields=(), *, client="203.0.113.7"):
    request = ClientRequest(
        "PATCH", "/a%20b?c=d", Headers.of(fields), scheme="https", host="api.test", client=client
    )
    exchange = Exchange(request, Route("r", Match()), "req-1", 0.0)
    exchange.trace = "00-1-2-00"
    return exchange


def encode(fields=(), body=b"", **request):
    return HttpApi().encode(make_exchange(fields, **request), Endpoint("main"), body)


def test_method_target_and_body_pass_untouched():
    request = encode(body=b"data")

    assert (request.method, request.target, request.body) == ("PATCH", "/a%20b?c=d", b"data")


def test_fields_pass_in_order_and_spelling_before_the_gateways_own():
    request = encode([("X-B", "1"), ("x-a", "2"), ("X-B", "3"), ("Authorization", "Bearer k")])

    assert list(request.headers) == [
        ("X-B", "1"),
        ("x-a", "2"),
        ("X-B", "3"),
        ("Authorization", "Bearer k"),
        ("X-Forwarded-For", "203.0.113.7"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "api.test"),
        ("X-Request-Id", "req-1"),
        ("traceparent", "00-1-2-00"),
    ]


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP | {b"host", b"expect", b"forwarded"}))
def test_fields_of_one_hop_and_the_gateways_own_stay_behind(name):
    """RFC 9110 §7.6.1."""
    assert name.decode() not in encode([(name.title(), "x-none")]).headers


@pytest.mark.parametrize("name", sorted(GATEWAY))
def test_the_callers_word_is_not_passed_on_as_the_gateways(name):
    assert "made-up" not in encode([(name.upper(), "made-up")]).headers.get_all(name)


def test_an_underscore_does_not_make_it_the_callers_word():
    assert "X_Forwarded_For" not in encode([(b"X_Forwarded_For", "made-up")]).headers


@given(st.lists(st.sampled_from(["X-A", "X-B", "Cookie"]), unique=True), st.booleans())
def test_what_connection_lists_stays_behind(listed, one_line):
    given = [("X-A", "1"), ("x-b", "2"), ("cookie", "3")]
    lines = [", ".join(listed)] if one_line else listed
    headers = encode([*given, *[("Connection", line) for line in lines]]).headers

    assert {name for name, _ in given if name in headers} == {
        name for name, _ in given if name.lower() not in {each.lower() for each in listed}
    }
    assert "connection" not in headers


def test_what_was_meant_for_the_gateway_alone_goes_no_further():
    exchange = make_exchange([("X-Api-Key", "secret"), ("X-Other", "1")])
    exchange.spent = frozenset({b"x-api-key"})
    headers = HttpApi().encode(exchange, Endpoint("main"), b"").headers

    assert "x-api-key" not in headers
    assert "x-other" in headers


def test_a_caller_without_an_address_is_unknown():
    """RFC 7239 §6.2."""
    assert encode(client="").headers.get("x-forwarded-for") == "unknown"


def test_an_upload_that_streams_through_is_as_long_as_its_caller_said():
    assert encode([("Content-Length", "5")]).headers.get_all("content-length") == ["5"]


@pytest.mark.parametrize("edited", [b"", b"longer than before"])
async def test_a_body_that_is_at_hand_is_measured_when_it_is_sent(edited):
    exchange = make_exchange([("Content-Length", "5")])
    exchange.upload = b"hello"
    await exchange.body()
    exchange.set_body(edited)

    assert "content-length" not in HttpApi().encode(exchange, Endpoint("main"), edited).headers


def test_a_key_is_sent_as_a_bearer_token():
    """RFC 6750 §2.1."""
    assert HttpApi().credentials("k") == [(b"Authorization", b"Bearer k")]


def test_nothing_is_read_of_an_answer():
    face, exchange = HttpApi(), make_exchange()

    assert face.tap(exchange, Reply(200)) is None
    assert face.stream_filter(exchange) is None


def test_nothing_is_translated():
    face, exchange = HttpApi(), make_exchange()

    assert face.encode_request(exchange, Endpoint("main"), GenerateRequest(model="m"), Losses()) is None
    assert face.stream_decoder(exchange, Reply(200)) is None
    with pytest.raises(ValueError, match="not translated"):
        face.decode_answer(exchange, Reply(200), b"")


def test_every_request_without_a_dialect_goes_through_as_it_is():
    assert HttpApi().native(make_exchange())
