from __future__ import annotations

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import (
    CacheMark,
    CountRequest,
    EmbedRequest,
    Format,
    GenerateRequest,
    HostedTool,
    Losses,
    Message,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmproxy.plugin import ClientRequest, Headers
from llmproxy_anthropic.decoding import decode_generate
from llmproxy_anthropic.encoding import encode_request, write_body

from .conftest import asked

OLD, NEW = "claude-sonnet-4-5", "claude-opus-4-7"
HELLO = (Message(role="user", content=(Text(text="Hi"),)),)
LOOK = Tool(name="look", schema={"type": "object", "properties": {}})


def body(model=OLD, **fields):
    """Write a request; return its members and the losses."""
    losses = Losses()
    request = GenerateRequest(model=model, **{"messages": HELLO, **fields})
    return write_body(model, request, losses), [loss.field for loss in losses]


def sent(request, headers=None):
    caller = ClientRequest("POST", "/v1/chat/completions", Headers.of(headers or {}))
    return encode_request(caller, request.model, request, Losses())


def test_the_least_request_has_a_bound_and_its_turn():
    assert body() == (
        {
            "model": OLD,
            "max_tokens": 32_000,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        },
        [],
    )


def test_members_stand_in_a_fixed_order_messages_last():
    got, _ = body(
        system=(Text(text="s"),),
        tools=(LOOK,),
        stop=("x",),
        user="u",
        temperature=0.5,
        streamed=True,
        tool_choice=ToolChoice(mode="auto"),
        service_tier="auto",
        format=Format(kind="schema", schema={"type": "object", "additionalProperties": False}),
    )

    assert list(got) == [
        "model",
        "max_tokens",
        "stream",
        "temperature",
        "stop_sequences",
        "output_config",
        "metadata",
        "service_tier",
        "tools",
        "tool_choice",
        "system",
        "messages",
    ]


def test_the_next_turn_begins_with_the_bytes_of_the_one_before():
    call = Message(role="assistant", content=(ToolCall(id="a.b", name="look", arguments='{"a":1}'),))
    back = Message(role="user", content=(ToolResult(id="a.b", content=(Text(text="r"),)),))
    first = orjson.dumps(body(tools=(LOOK,), system=(Text(text="s"),))[0])
    second = orjson.dumps(body(tools=(LOOK,), system=(Text(text="s"),), messages=(*HELLO, call, back))[0])

    assert second.startswith(first[:-2])


@pytest.mark.parametrize(
    ("tool", "expected", "losses"),
    [
        (Tool(name="n"), {"name": "n", "input_schema": {"type": "object", "properties": {}}}, []),
        (
            Tool(name="n", description="d", schema={"properties": {}}, cache=CacheMark(ttl="1h")),
            {
                "name": "n",
                "description": "d",
                "input_schema": {"type": "object", "properties": {}},
                "cache_control": {"type": "ephemeral", "ttl": "1h"},
            },
            [],
        ),
        (
            Tool(name="n", schema={"type": "object", "additionalProperties": False}, strict=True),
            {"name": "n", "input_schema": {"type": "object", "additionalProperties": False}, "strict": True},
            [],
        ),
        (
            Tool(name="n", schema={"type": "object"}, strict=True),
            {"name": "n", "input_schema": {"type": "object"}},
            ["tools.strict"],
        ),
        (
            HostedTool(origin="anthropic", kind="k", value={"type": "k", "name": "w"}),
            {"type": "k", "name": "w"},
            [],
        ),
    ],
)
def test_tools_are_written(tool, expected, losses):
    got, told = body(tools=(tool,))

    assert (got["tools"], told) == ([expected], losses)


def test_another_providers_tool_is_lost():
    got, losses = body(tools=(HostedTool(origin="openai", kind="web_search", value={}),))

    assert "tools" not in got
    assert losses == ["tools.hosted"]


@pytest.mark.parametrize(
    ("choice", "parallel", "expected", "losses"),
    [
        (None, None, None, []),
        (None, True, None, []),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}, []),
        (ToolChoice(mode="auto"), None, {"type": "auto"}, []),
        (ToolChoice(mode="auto"), True, {"type": "auto", "disable_parallel_tool_use": False}, []),
        (ToolChoice(mode="none"), False, {"type": "none"}, []),
        (ToolChoice(mode="required"), None, {"type": "any"}, []),
        (
            ToolChoice(mode="required", names=("look",)),
            False,
            {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
            [],
        ),
        (ToolChoice(mode="required", names=("a", "b")), None, {"type": "any"}, ["tool_choice.names"]),
        (ToolChoice(mode="auto", names=("a",)), None, {"type": "auto"}, ["tool_choice.names"]),
    ],
)
def test_the_choice_of_tools_is_written(choice, parallel, expected, losses):
    got, told = body(tools=(LOOK,), tool_choice=choice, parallel_tool_calls=parallel)

    assert (got.get("tool_choice"), told) == (expected, losses)


def test_a_choice_without_tools_is_none():
    assert body(tool_choice=ToolChoice(mode="auto"))[1] == []
    assert body(tool_choice=ToolChoice(mode="required"))[1] == ["tool_choice"]


@pytest.mark.parametrize(
    ("model", "form", "losses"),
    [
        (OLD, Format(kind="schema", schema={"type": "object", "additionalProperties": False}), []),
        (OLD, Format(kind="schema", schema={"type": "object"}), ["format.schema"]),
        (
            OLD,
            Format(kind="schema", schema={"type": "null"}, name="n", description="d", strict=False),
            ["format.name", "format.description", "format.strict"],
        ),
    ],
)
def test_a_schema_is_the_output_format(model, form, losses):
    got, told = body(model, format=form)

    assert got["output_config"]["format"]["type"] == "json_schema"
    assert told == losses


@pytest.mark.parametrize(
    ("model", "form", "words"),
    [
        (OLD, Format(kind="json"), "one valid JSON value"),
        ("claude-3-haiku-20240307", Format(kind="schema", schema={"const": 7}), '{"const":7}'),
    ],
)
def test_json_without_a_mode_is_asked_for_in_words(model, form, words):
    got, losses = body(model, format=form, system=(Text(text="s"),))

    assert words in got["system"][-1]["text"]
    assert losses == (["format"] if form.schema is None else ["format.schema", "format"])


@pytest.mark.parametrize(
    ("model", "fields", "expected", "losses"),
    [
        (OLD, {"temperature": 0, "top_k": 5}, {"temperature": 0, "top_k": 5}, []),
        (OLD, {"temperature": 1.5}, {"temperature": 1}, ["temperature"]),
        (OLD, {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5}, ["top_p"]),
        ("claude-sonnet-4-0", {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}, []),
        (NEW, {"temperature": 0.5, "top_p": 0.9, "top_k": 3}, {}, ["temperature", "top_p", "top_k"]),
        (
            OLD,
            {"thinking": Thinking(budget=2000), "temperature": 0.5, "top_k": 3, "top_p": 0.5},
            {},
            ["temperature", "top_p", "top_k"],
        ),
        (OLD, {"thinking": Thinking(budget=2000), "top_p": 0.97}, {"top_p": 0.97}, []),
    ],
    ids=str,
)
def test_sampling_is_written_as_the_model_takes_it(model, fields, expected, losses):
    got, told = body(model, **fields)

    assert {key: got[key] for key in ("temperature", "top_p", "top_k") if key in got} == expected
    assert told == losses


@pytest.mark.parametrize(
    ("fields", "losses"),
    [
        ({"n": 2}, ["n"]),
        ({"n": 1, "modalities": ("text",)}, []),
        ({"modalities": ("text", "audio")}, ["modalities"]),
        ({"seed": 0}, ["seed"]),
        ({"frequency_penalty": 0.0, "presence_penalty": 1}, ["frequency_penalty", "presence_penalty"]),
        (
            {"logprobs": False, "top_logprobs": 0, "logit_bias": {}},
            ["logit_bias", "logprobs", "top_logprobs"],
        ),
        ({"min_p": 0.1, "verbosity": "low", "metadata": {"a": "b"}}, ["min_p", "verbosity", "metadata"]),
        ({"prompt_cache_key": "k"}, ["prompt_cache_key"]),
        ({"service_tier": "flex"}, ["service_tier"]),
        ({"stop": (" ", "x")}, ["stop"]),
    ],
    ids=str,
)
def test_what_has_no_place_is_told(fields, losses):
    assert body(**fields)[1] == losses


def test_headers_tell_the_version_that_fits_and_not_the_callers():
    wire = sent(
        GenerateRequest(model=OLD, messages=HELLO), {"anthropic-version": "2026-10-21", "X-Mine": "1"}
    )

    assert [(name.lower(), value) for name, value in wire.headers] == [
        ("x-mine", "1"),
        ("content-type", "application/json"),
        ("anthropic-version", "2023-06-01"),
    ]
    assert (wire.method, wire.target) == ("POST", "/messages")


def test_a_count_has_no_bound_and_tells_no_losses():
    request = GenerateRequest(model=OLD, messages=HELLO, seed=1, system=(Text(text="s"),), streamed=True)
    losses = Losses()
    wire = encode_request(ClientRequest("POST", "/x", Headers()), OLD, CountRequest(request=request), losses)

    assert wire.target == "/messages/count_tokens"
    assert set(orjson.loads(wire.body)) == {"model", "system", "messages"}
    assert len(losses) == 0


@pytest.mark.parametrize("user", ["alice@example.com", "u" * 129, '{"device_id": "9"}', "zoë"])
def test_a_users_name_that_is_no_plain_word_is_told_as_its_digest(user):
    told, lost = body(user=user)

    assert len(told["metadata"]["user_id"]) == 64
    assert told == body(user=user)[0]
    assert lost == ["user"]


def test_instructions_alone_are_the_users_turn():
    told, lost = body(messages=(), system=(Text(text="Do it."),))

    assert told["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Do it."}]}]
    assert "system" not in told
    assert lost == ["system"]


def test_there_are_no_embeddings():
    assert sent(EmbedRequest(model="m", inputs=("a",))) is None


WORDS = st.text("ab c", min_size=1, max_size=5).filter(str.strip)
TEXTS = st.builds(Text, text=WORDS, cache=st.none() | st.builds(CacheMark, ttl=st.sampled_from(["", "1h"])))
TOOLS = st.builds(
    Tool, name=WORDS, description=WORDS, schema=st.just({"type": "object"}), strict=st.none() | st.just(False)
)
SAID = st.lists(st.tuples(TEXTS, TEXTS), max_size=3)


@given(
    said=SAID,
    system=st.lists(TEXTS, max_size=2).map(tuple),
    tools=st.lists(TOOLS, min_size=1, max_size=2).map(tuple),
    choice=st.none() | st.builds(ToolChoice, mode=st.sampled_from(["auto", "none", "required"])),
    max_tokens=st.integers(1, 9999),
    temperature=st.none() | st.floats(0, 1),
    top_k=st.none() | st.integers(0, 9),
    stop=st.lists(WORDS, max_size=2).map(tuple),
    user=st.text("abc-_9", min_size=1, max_size=5),
    streamed=st.booleans(),
)
def test_what_is_written_reads_as_it_was(said, choice, **fields):
    turns = [
        Message(role=role, content=(text,))
        for pair in said
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
    request = GenerateRequest(model=OLD, messages=(*turns, *HELLO), tool_choice=choice, **fields)
    losses = Losses()
    written = orjson.dumps(write_body(OLD, request, losses))

    assert decode_generate(orjson.loads(written), losses) == request
    assert len(losses) == 0


@pytest.mark.shared
def test_every_recorded_request_means_the_same_when_it_is_written_anew(recordings, judge):
    for told in asked(recordings):
        request = decode_generate(told, Losses())
        written = orjson.loads(orjson.dumps(write_body(told["model"], request, Losses())))
        want = judge.parse_request("anthropic.messages", told)
        have = judge.parse_request("anthropic.messages", written)

        assert judge.compare_requests(want, have) == [], told


@pytest.mark.shared
def test_every_recorded_request_reads_the_same_when_it_is_written_anew(recordings):
    for told in asked(recordings):
        first = decode_generate(told, Losses())
        second = decode_generate(write_body(told["model"], first, Losses()), Losses())
        again = decode_generate(write_body(told["model"], second, Losses()), Losses())

        assert again == second
        fixed = {"messages": (), "max_tokens": None, "thinking": None}
        assert msgspec.structs.replace(second, **fixed) == msgspec.structs.replace(first, **fixed)
