from __future__ import annotations

import orjson
import pytest

from llmproxy_gemini.models import listing

NAMES = ["gemini-3-pro", "groq/llama:8b"]


@pytest.mark.parametrize("path", ["/v1/models", "/v1beta/models/", "/team/v1beta1/models"])
def test_models_are_listed_as_google_lists_them(path: str) -> None:
    reply = listing(path, NAMES)

    assert reply is not None
    models = orjson.loads(reply.body)["models"]
    assert [model["name"] for model in models] == ["models/gemini-3-pro", "models/groq/llama:8b"]
    assert models[0]["displayName"] == "gemini-3-pro"
    assert "generateContent" in models[0]["supportedGenerationMethods"]


def test_vertex_lists_publisher_models() -> None:
    reply = listing("/v1beta1/publishers/google/models", NAMES)

    assert reply is not None
    models = orjson.loads(reply.body)["publisherModels"]
    assert models[0]["name"] == "publishers/google/models/gemini-3-pro"


@pytest.mark.parametrize("path", ["/v1beta/models/groq/llama:8b", "/v1beta/models/groq%2Fllama%3A8b"])
def test_one_model_is_told_by_name(path: str) -> None:
    reply = listing(path, NAMES)

    assert reply is not None
    assert orjson.loads(reply.body)["name"] == "models/groq/llama:8b"


def test_one_model_of_another_publisher_is_told_by_both() -> None:
    reply = listing("/v1beta1/publishers/groq/models/llama:8b", NAMES)

    assert reply is not None
    told = orjson.loads(reply.body)
    assert (told["name"], told["displayName"]) == ("publishers/groq/models/llama:8b", "groq/llama:8b")


def test_a_model_that_is_not_served_is_not_found() -> None:
    reply = listing("/v1beta/models/other", NAMES)

    assert reply is not None
    assert reply.status == 404
    assert orjson.loads(reply.body)["error"]["status"] == "NOT_FOUND"


@pytest.mark.parametrize("path", ["/v1beta/files", "/v1beta/tunedModels", "/"])
def test_other_calls_are_left_to_the_provider(path: str) -> None:
    assert listing(path, NAMES) is None
