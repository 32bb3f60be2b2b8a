from __future__ import annotations

import contextlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Format, Losses, Text, Thinking, Tool
from llmproxy.plugin import BadRequest
from llmproxy_ollama.decoding import decode_chat, decode_generate

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
SAID = [{"role": "user", "content": "Hi"}]


def chat(**told):
    losses = Losses()
    return decode_chat({"model": "m", "messages": SAID, **told}, losses, streamed=True), [
        loss.field for loss in losses
    ]


def generate(**told):
    losses = Losses()
    return decode_generate({"model": "m", **told}, losses, streamed=False), [loss.field for loss in losses]


def test_a_chat_is_read():
    tool = {"type": "function", "function": {"name": "look", "description": "d", "parameters": SCHEMA}}
    request, lost = chat(tools=[tool], options={"num_predict": 3}, logprobs=True, top_logprobs=2)

    assert not lost
    assert (request.model, request.streamed, request.max_tokens) == ("m", True, 3)
    assert request.tools == (Tool(name="look", description="d", schema=SCHEMA),)
    assert (request.logprobs, request.top_logprobs) == (True, 2)


def test_a_prompt_is_a_users_turn():
    request, lost = generate(prompt="Hi", system="Be brief.", images=["iVBORw0KGgo"], context=[], raw=False)

    assert not lost
    assert request.system == (Text(text="Be brief."),)
    assert [type(block).__name__ for block in request.messages[0].content] == ["Text", "Image"]
    assert not request.streamed


@pytest.mark.parametrize(
    ("told", "form"),
    [("", None), (None, None), ("json", Format("json")), (SCHEMA, Format("schema", SCHEMA))],
)
def test_a_format_is_any_json_or_a_schema(told, form):
    assert chat(format=told)[0].format == form


@pytest.mark.parametrize(
    ("told", "thinking"),
    [
        (None, None),
        ("", None),
        (True, Thinking(True)),
        (False, Thinking(False)),
        ("high", Thinking(enabled=True, effort="high")),
    ],
)
def test_thinking_is_a_switch_or_an_effort(told, thinking):
    assert chat(think=told)[0].thinking == thinking


def test_what_is_for_the_server_alone_is_reported():
    assert chat(keep_alive="5m", mood="good")[1] == ["mood", "keep_alive"]
    assert generate(prompt="Hi", raw=True, template="t")[1] == ["raw", "template"]
    assert chat(keep_alive=None)[1] == []


@pytest.mark.parametrize("told", [{"context": [1, 2]}, {"suffix": "x"}])
def test_what_only_the_model_itself_can_go_on_with_is_refused(told):
    with pytest.raises(BadRequest) as refused:
        generate(prompt="Hi", **told)
    assert refused.value.code == "not_translatable"


@pytest.mark.parametrize(
    "told",
    [
        {"format": 1},
        {"format": "xml"},
        {"think": "very"},
        {"think": 1},
        {"tools": [{"function": {}}]},
        {"tools": [1]},
        {"messages": "Hi"},
        {"options": []},
        {"logprobs": "yes"},
    ],
)
def test_what_is_broken_is_refused(told):
    with pytest.raises(BadRequest):
        chat(**told)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["messages", "tools", "format", "think", "options", "prompt", "images", "keep_alive", "logprobs"]
)


@given(st.dictionaries(KEYS, JSON), st.sampled_from([decode_chat, decode_generate]))
def test_odd_requests_are_read_or_refused(told, decode):
    with contextlib.suppress(BadRequest):
        decode(orjson.loads(orjson.dumps(told)), Losses(), streamed=True)


def test_recorded_requests_are_read_without_a_loss(recordings):
    for record in recordings:
        read = {"ollama.chat": chat, "ollama.generate": generate}[record["dialect"]]
        request, lost = read(**record["request"]["body"])

        assert request.messages, record["id"]
        assert not lost
