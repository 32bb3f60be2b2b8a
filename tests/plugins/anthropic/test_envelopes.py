"""The envelopes of other clouds, put on and taken off; what is inside keeps its bytes."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import BadRequest, Headers
from llmproxy_anthropic.envelopes import (
    Call,
    bedrock_call,
    bedrock_target,
    into_vertex,
    out_of_vertex,
    rewrapped,
    vertex_call,
    vertex_counter,
    vertex_target,
    written,
)

VERTEX = "/v1/projects/p/locations/us-east5/publishers/anthropic/models/"
JSON = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(max_size=4), lambda inner: st.lists(inner, max_size=3)
)


@pytest.mark.parametrize(
    ("path", "call"),
    [
        (
            VERTEX + "claude-3-7-sonnet@20250219:rawPredict",
            Call("claude-3-7-sonnet@20250219", "claude-3-7-sonnet@20250219"),
        ),
        (VERTEX + "claude%40x:streamRawPredict", Call("claude@x", "claude%40x", streamed=True)),
        (VERTEX + "count-tokens:rawPredict", Call("", "count-tokens", counts=True)),
        (VERTEX + "a/b:rawPredict", Call("a/b", "a/b")),
        (VERTEX + "claude:predict", None),
        (VERTEX + ":rawPredict", None),
        ("/v1/publishers/google/models/gemini:rawPredict", None),
        (VERTEX + "claude:rawPredict/more", None),
    ],
)
def test_a_path_of_vertex_tells_model_and_kind(path, call):
    assert vertex_call(path) == call


@pytest.mark.parametrize(
    ("path", "call"),
    [
        (
            "/model/us.anthropic.claude-x-v1%3A0/invoke",
            Call("us.anthropic.claude-x-v1:0", "us.anthropic.claude-x-v1%3A0"),
        ),
        ("/team/model/claude/invoke-with-response-stream", Call("claude", "claude", streamed=True)),
        (
            "/model/arn:aws:bedrock:eu:1:x/claude/invoke",
            Call("arn:aws:bedrock:eu:1:x/claude", "arn:aws:bedrock:eu:1:x/claude"),
        ),
        ("/model/claude/converse", None),
        ("/model//invoke", None),
    ],
)
def test_a_path_of_bedrock_tells_model_and_kind(path, call):
    assert bedrock_call(path) == call


def test_paths_are_written_as_they_are_read():
    assert vertex_target("m", streamed=True, prefix="/publishers/anthropic").endswith(
        "/models/m:streamRawPredict"
    )
    assert vertex_counter() == "/models/count-tokens:rawPredict"
    assert bedrock_call(bedrock_target("m", streamed=True)) == Call("m", "m", streamed=True)
    assert written("claude-3-7-sonnet@20250219") == "claude-3-7-sonnet@20250219"
    assert written("us.anthropic.claude-v1:0", ":") == "us.anthropic.claude-v1:0"


@pytest.mark.parametrize("model", ["", "..", "a/../b", "./a", "a/.."])
def test_a_name_that_leads_elsewhere_is_not_written(model):
    with pytest.raises(BadRequest) as told:
        written(model)
    assert told.value.status == 404


def test_a_message_goes_into_vertex_and_comes_out_again():
    inside = b'"max_tokens": 9,  "messages":[ {"role":"user","content":"\\u00e9 caf\xc3\xa9"} ]'
    body = b'{"model":"claude", ' + inside + b', "stream":true}'
    put = into_vertex(body, Headers.of({"anthropic-version": "2023-06-01"}))
    headers = Headers()
    taken = out_of_vertex(put, headers, "claude", streamed=True)

    assert orjson.loads(put) == {
        **orjson.loads(b"{" + inside + b"}"),
        "stream": True,
        "anthropic_version": "vertex-2023-10-16",
    }
    assert b'[ {"role":"user","content":"\\u00e9 caf\xc3\xa9"} ]' in put
    assert orjson.loads(taken) == orjson.loads(body)
    assert headers.get("anthropic-version") == "2023-06-01"


def test_a_later_version_stays_one_in_either_envelope():
    put = into_vertex(b'{"model":"m"}', Headers.of({"anthropic-version": "2026-10-21"}))
    headers = Headers.of({"anthropic-version": "2023-06-01"})
    out_of_vertex(put, headers, "m", streamed=False)

    assert orjson.loads(put) == {"anthropic_version": "2026-10-21"}
    assert headers.get("anthropic-version") == "2026-10-21"


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=5), st.sets(st.text(max_size=2), max_size=2))
def test_members_are_left_out_and_added_and_all_others_stay(told, dropped):
    body = rewrapped(orjson.dumps(told), frozenset(dropped), {"new": [1]})
    rest = {key: value for key, value in told.items() if key not in dropped | {"new"}}

    assert orjson.loads(body) == {"new": [1], **rest}


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b'{"a":', b"\xff", b'{"a": "\xff"}', b"[" * 9000])
def test_what_is_no_object_is_refused(body):
    with pytest.raises(BadRequest):
        rewrapped(body, frozenset(), {})
