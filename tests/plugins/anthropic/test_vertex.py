"""The dialect on Vertex: paths, envelopes both ways, and what else goes nowhere."""

import orjson
import pytest

from llmproxy.canonical import CountRequest, EmbedRequest, GenerateRequest, Losses, Message, Text
from llmproxy.plugin import BadRequest, Endpoint, UpstreamConfig
from llmproxy_anthropic.faces import AnthropicClient, AnthropicUpstream
from llmproxy_anthropic.vertex import VertexClient, VertexUpstream

FROM = "/v1/projects/caller/locations/us-east5/publishers/anthropic/models/"
BODY = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
WRAPPED = {"anthropic_version": "vertex-2023-10-16", **BODY}
MODEL = "claude-sonnet-4-5@20250929"

client = VertexClient()
upstream = VertexUpstream()


def opened(exchange_for, path, body, face=client):
    exchange = exchange_for(path, body)
    exchange.client_face = face
    face.open(exchange, exchange._body)
    return exchange


def sent(face, exchange, model=None):
    request = face.encode(exchange, Endpoint("x", model), exchange._body)
    return request.target, orjson.loads(request.body), request


@pytest.mark.parametrize(("verb", "streamed"), [("rawPredict", False), ("streamRawPredict", True)])
def test_model_and_stream_are_told_by_the_path(exchange_for, verb, streamed):
    exchange = opened(exchange_for, f"{FROM}{MODEL}:{verb}", WRAPPED)

    assert (exchange.model, exchange.streamed) == (MODEL, streamed)
    assert client.form(exchange, b"") == ("anthropic", "messages", streamed, "", False)
    assert client.key_rules(exchange).kind == "messages"


def test_a_count_s_model_is_told_by_the_body(exchange_for):
    exchange = opened(exchange_for, f"{FROM}count-tokens:rawPredict", {**WRAPPED, "model": MODEL})

    assert (exchange.model, exchange.streamed) == (MODEL, False)
    assert client.form(exchange, b"").call == "count"
    assert client.key_rules(exchange).kind == "count"


def test_from_vertex_to_vertex_the_body_is_the_very_same(exchange_for):
    exchange = opened(exchange_for, f"{FROM}{MODEL}:streamRawPredict", WRAPPED)
    target, _, request = sent(upstream, exchange)
    other, _, _ = sent(upstream, exchange, "claude-opus-4-6")

    assert target == f"/publishers/anthropic/models/{MODEL}:streamRawPredict"
    assert request.body is exchange._body
    assert other == "/publishers/anthropic/models/claude-opus-4-6:streamRawPredict"


def test_from_anthropic_to_vertex_only_the_envelope_changes(exchange_for):
    exchange = opened(
        exchange_for, "/v1/messages?beta=true", {"model": "m", "stream": True, **BODY}, AnthropicClient()
    )
    target, body, _ = sent(upstream, exchange, MODEL)

    assert upstream.native(exchange)
    assert target == f"/publishers/anthropic/models/{MODEL}:streamRawPredict"
    assert body == {"anthropic_version": "vertex-2023-10-16", "stream": True, **BODY}


def test_counts_go_to_vertex_with_the_model_in_the_body(exchange_for):
    exchange = opened(exchange_for, "/v1/messages/count_tokens", {"model": "m", **BODY}, AnthropicClient())

    assert sent(upstream, exchange, MODEL)[:2] == (
        "/publishers/anthropic/models/count-tokens:rawPredict",
        {"model": MODEL, **BODY},
    )


def test_from_vertex_to_anthropic_likewise(exchange_for):
    anthropic = AnthropicUpstream()
    exchange = opened(exchange_for, f"{FROM}{MODEL}:streamRawPredict", WRAPPED)
    target, body, request = sent(anthropic, exchange, "claude-sonnet-4-5")
    counting = opened(exchange_for, f"{FROM}count-tokens:rawPredict", {**WRAPPED, "model": MODEL})

    assert anthropic.native(exchange)
    assert (target, body) == ("/messages", {"model": "claude-sonnet-4-5", "stream": True, **BODY})
    assert request.headers.get("anthropic-version") == "2023-06-01"
    assert sent(anthropic, counting, "other")[:2] == ("/messages/count_tokens", {"model": "other", **BODY})


def test_a_base_url_may_name_the_publisher(exchange_for):
    config = UpstreamConfig(base_url="https://x/v1/projects/p/locations/l/publishers/anthropic")
    exchange = opened(exchange_for, f"{FROM}{MODEL}:rawPredict", WRAPPED)

    assert sent(upstream.for_upstream(config), exchange)[0] == f"/models/{MODEL}:rawPredict"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5", VertexUpstream),
        ("https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu", VertexUpstream),
        ("https://api.anthropic.com/v1", AnthropicUpstream),
        ("https://aiplatform.googleapis.com.example.com/v1", AnthropicUpstream),
    ],
)
def test_vertex_is_told_by_its_host(url, kind):
    assert type(AnthropicUpstream().for_upstream(UpstreamConfig(base_url=url))) is kind


@pytest.mark.parametrize(
    ("path", "method"), [("/v1/files", "GET"), ("/v1/messages/batches", "POST"), ("/v1/models", "GET")]
)
def test_what_vertex_does_not_have_is_not_sent_there(exchange_for, path, method):
    exchange = exchange_for(path, {"model": "m"}, method=method)

    assert not upstream.native(exchange)


def test_a_wrapped_request_is_read_whole(exchange_for):
    exchange = opened(exchange_for, f"{FROM}{MODEL}:streamRawPredict", WRAPPED)
    losses = Losses(client.loss_names)
    request = client.decode_request(exchange, exchange._body, losses)

    assert (request.model, request.streamed, request.max_tokens) == (MODEL, True, 9)
    assert list(losses) == []


def test_a_wrapped_count_is_read_as_one(exchange_for):
    exchange = opened(exchange_for, f"{FROM}count-tokens:rawPredict", {**WRAPPED, "model": MODEL})

    assert isinstance(client.decode_request(exchange, exchange._body, Losses({})), CountRequest)


def test_a_translated_request_is_wrapped(exchange_for):
    talk = GenerateRequest(
        model="m", messages=(Message(role="user", content=(Text(text="Hi"),)),), streamed=True
    )
    exchange = exchange_for("/v1/chat/completions", b"{}")
    request = upstream.encode_request(exchange, Endpoint("x", MODEL), talk, Losses({}))
    count = upstream.encode_request(exchange, Endpoint("x", MODEL), CountRequest(request=talk), Losses({}))
    body = orjson.loads(request.body)

    assert request.target == f"/publishers/anthropic/models/{MODEL}:streamRawPredict"
    assert (body["anthropic_version"], body["stream"], "model" in body) == ("vertex-2023-10-16", True, False)
    assert "anthropic-version" not in request.headers
    assert count.target == "/publishers/anthropic/models/count-tokens:rawPredict"
    assert orjson.loads(count.body)["model"] == MODEL
    assert (
        upstream.encode_request(exchange, Endpoint("x"), EmbedRequest(model="m", inputs=("a",)), Losses({}))
        is None
    )


def test_a_model_that_leads_elsewhere_is_refused(exchange_for):
    exchange = opened(exchange_for, "/v1/messages", {"model": "../../evil", **BODY}, AnthropicClient())

    with pytest.raises(BadRequest):
        upstream.encode(exchange, Endpoint("x"), exchange._body)


def test_a_token_is_a_bearer_s():
    assert upstream.credentials("t") == [(b"Authorization", b"Bearer t")]


def test_a_path_without_a_model_calls_nothing(exchange_for):
    exchange = opened(exchange_for, f"{FROM}:rawPredict", WRAPPED)

    assert exchange.model is None
    with pytest.raises(BadRequest):
        client.decode_request(exchange, exchange._body, Losses({}))
    with pytest.raises(BadRequest):
        AnthropicUpstream().encode(exchange, Endpoint("x"), exchange._body)
