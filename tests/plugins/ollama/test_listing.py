from __future__ import annotations

import orjson

from llmproxy_ollama.listing import VERSION, described, listing


def test_models_are_listed_by_their_public_names():
    (model,) = orjson.loads(listing("tags", ["team/fast"]).body)["models"]

    assert model["name"] == model["model"] == "team/fast"
    assert len(model["digest"]) == 64


def test_the_version_and_what_runs_are_told():
    assert orjson.loads(listing("version", ()).body) == {"version": VERSION}
    assert orjson.loads(listing("ps", ()).body) == {"models": []}


def test_other_calls_are_not_answered():
    assert listing("chat", ["m"]) is None
    assert listing("", ["m"]) is None


def test_a_model_is_described():
    told = orjson.loads(described("fast").body)

    assert "completion" in told["capabilities"]
    assert told["model_info"]["general.basename"] == "fast"
