from __future__ import annotations

import orjson

from llmproxy.testing import make_exchange
from llmproxy_cohere.listing import models_reply


def test_models_are_listed_as_cohere_does() -> None:
    reply = models_reply(make_exchange("GET", "/v1/models").request, ["a", "b"])

    assert reply is not None
    assert isinstance(reply.body, bytes)
    assert [model["name"] for model in orjson.loads(reply.body)["models"]] == ["a", "b"]


def test_one_model_is_described_or_not_known() -> None:
    known = models_reply(make_exchange("GET", "/v1/models/a%2Fb").request, ["a/b"])
    unknown = models_reply(make_exchange("GET", "/v1/models/c").request, ["a/b"])

    assert known is not None
    assert unknown is not None
    assert (known.status, unknown.status) == (200, 404)
    assert models_reply(make_exchange("GET", "/v1/datasets").request, []) is None
