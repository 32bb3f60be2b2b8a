import orjson
import pytest

from llmproxy.plugin import ClientRequest, Headers
from llmproxy_anthropic.listing import models_reply

NAMES = [f"m{number}" for number in range(5)]


def listed(target, names=NAMES):
    return orjson.loads(models_reply(ClientRequest("GET", target, Headers()), names).body)


def test_models_are_listed_as_anthropic_lists_them():
    got = listed("/v1/models")

    assert [model["id"] for model in got["data"]] == NAMES
    assert (got["has_more"], got["first_id"], got["last_id"]) == (False, "m0", "m4")
    assert got["data"][0]["type"] == "model"
    assert got["data"][0]["display_name"] == "m0"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=2", (["m0", "m1"], True)),
        ("limit=2&after_id=m1", (["m2", "m3"], True)),
        ("limit=9&after_id=m3", (["m4"], False)),
        ("limit=2&before_id=m4", (["m2", "m3"], True)),
        ("limit=0", (["m0"], True)),
        ("limit=x&after_id=gone", (NAMES, False)),
        ("limit=" + "9" * 5000, (NAMES, False)),
    ],
)
def test_the_list_is_paged(query, expected):
    got = listed(f"/v1/models?{query}")

    assert ([model["id"] for model in got["data"]], got["has_more"]) == expected


def test_no_models_are_an_empty_list():
    assert listed("/v1/models", []) == {"data": [], "has_more": False, "first_id": None, "last_id": None}


def test_one_model_is_described():
    assert listed("/v1/models/a%2Fb", ["a/b"])["id"] == "a/b"


def test_an_unknown_model_is_not_found():
    reply = models_reply(ClientRequest("GET", "/v1/models/gone", Headers()), NAMES)

    assert (reply.status, orjson.loads(reply.body)["error"]["type"]) == (404, "not_found_error")


def test_another_call_is_not_answered():
    assert models_reply(ClientRequest("GET", "/v1/files", Headers()), NAMES) is None
