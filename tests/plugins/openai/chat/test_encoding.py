from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given

from llmproxy.canonical import Format, GenerateRequest, Losses, Message, Text, Thinking, ToolCall, ToolResult
from llmproxy.plugin import Quirks
from llmproxy_openai.chat.decoding import decode_chat
from llmproxy_openai.chat.encoding import encode_chat

from .drawn import GENEROUS, requests

HELLO = (Message("user", (Text("hi"),)),)


def written(losses: Losses, quirks: Quirks | None = None, **wishes: Any) -> dict[str, Any]:
    return encode_chat(
        GenerateRequest(model="m", messages=HELLO, **wishes), "own", quirks or Quirks(), losses
    )


@given(requests())
def test_a_request_comes_back_as_it_went(request: GenerateRequest) -> None:
    losses = Losses()
    body = orjson.loads(orjson.dumps(encode_chat(request, "m", GENEROUS, losses)))
    back = decode_chat(body, losses)

    assert msgspec.structs.replace(back, include_usage=True) == request
    assert [loss for loss in losses if loss.field != "document.title"] == []


@given(requests())
def test_the_next_turns_request_starts_with_the_bytes_of_this_one(request: GenerateRequest) -> None:
    turn = (
        Message("assistant", (ToolCall("c9", "look"),)),
        Message("user", (ToolResult("c9"), Text("and?"))),
    )
    longer = msgspec.structs.replace(request, messages=(*request.messages, *turn))

    this = orjson.dumps(encode_chat(request, "m", GENEROUS, Losses()))
    following = orjson.dumps(encode_chat(longer, "m", GENEROUS, Losses()))
    assert following.startswith(this.removesuffix(b"]}"))


def test_the_endpoints_model_is_written(losses: Losses) -> None:
    assert written(losses) == {"model": "own", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("quirks", "wishes", "members"),
    [
        (Quirks(max_tokens="max_completion_tokens"), {"max_tokens": 5}, {"max_completion_tokens": 5}),
        (Quirks(), {"max_tokens": 5}, {"max_tokens": 5}),
        (Quirks(), {"seed": 3}, {"seed": 3}),
        (Quirks(extras=("random_seed",)), {"seed": 3}, {"random_seed": 3}),
        (Quirks(extras=("top_k",)), {"top_k": 3}, {"top_k": 3}),
        (Quirks(), {"service_tier": "flex"}, {"service_tier": "flex"}),
        (Quirks(), {"streamed": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        (Quirks(stream_usage="always"), {"streamed": True}, {"stream": True}),
        (Quirks(), {"format": Format("json")}, {"response_format": {"type": "json_object"}}),
        (
            Quirks(),
            {"format": Format("schema", {"a": 1})},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": {"a": 1}},
                }
            },
        ),
        (Quirks(), {"thinking": Thinking(True, "low")}, {"reasoning_effort": "low"}),
        (Quirks(), {"thinking": Thinking(False, "none")}, {"reasoning_effort": "none"}),
        (Quirks(thinking="thinking"), {"thinking": Thinking(False)}, {"thinking": {"type": "disabled"}}),
        (Quirks(thinking="thinking"), {"thinking": Thinking(True)}, {"thinking": {"type": "enabled"}}),
        (
            Quirks(thinking="reasoning"),
            {"thinking": Thinking(True, budget=5)},
            {"reasoning": {"max_tokens": 5}},
        ),
        (
            Quirks(thinking="reasoning"),
            {"thinking": Thinking(True, show="omitted")},
            {"reasoning": {"enabled": True, "exclude": True}},
        ),
    ],
)
def test_a_wish_is_written_as_the_provider_takes_it(
    quirks: Quirks, wishes: dict[str, Any], members: dict[str, Any], losses: Losses
) -> None:
    body = written(losses, quirks, **wishes)

    assert {key: value for key, value in body.items() if key not in ("model", "messages")} == members
    assert len(losses) == 0


@pytest.mark.parametrize(
    ("quirks", "wishes", "field", "members"),
    [
        (Quirks(), {"top_k": 3}, "top_k", {}),
        (Quirks(), {"min_p": 0.1}, "min_p", {}),
        (Quirks(refused=("seed",)), {"seed": 3}, "seed", {}),
        (Quirks(refused=("user",)), {"user": "u"}, "user", {}),
        (Quirks(), {"service_tier": "standard_only"}, "service_tier", {}),
        (Quirks(), {"metadata": {"a": "b"}}, "metadata", {}),
        (Quirks(), {"modalities": ("audio",)}, "modalities", {}),
        (Quirks(), {"stop": tuple("abcde")}, "stop", {"stop": list("abcd")}),
        (Quirks(format="none"), {"format": Format("json")}, "format", {}),
        (
            Quirks(format="json_object"),
            {"format": Format("schema", {})},
            "format",
            {"response_format": {"type": "json_object"}},
        ),
        (Quirks(), {"thinking": Thinking(True, budget=2048)}, "thinking.budget", {"reasoning_effort": "low"}),
        (
            Quirks(),
            {"thinking": Thinking(True, budget=99999)},
            "thinking.budget",
            {"reasoning_effort": "high"},
        ),
        (Quirks(), {"thinking": Thinking(True, "low", 9)}, "thinking.budget", {"reasoning_effort": "low"}),
        (Quirks(), {"thinking": Thinking(False)}, "thinking", {}),
        (Quirks(), {"thinking": Thinking(show="auto")}, "thinking.show", {}),
        (
            Quirks(thinking="thinking"),
            {"thinking": Thinking(True, "low")},
            "thinking.effort",
            {"thinking": {"type": "enabled"}},
        ),
        (
            Quirks(thinking="thinking"),
            {"thinking": Thinking(True, budget=9)},
            "thinking.budget",
            {"thinking": {"type": "enabled"}},
        ),
        (
            Quirks(thinking="reasoning"),
            {"thinking": Thinking(True, "low", 9)},
            "thinking.budget",
            {"reasoning": {"effort": "low"}},
        ),
        (Quirks(thinking="none"), {"thinking": Thinking(True, "low")}, "thinking", {}),
    ],
)
def test_what_the_provider_does_not_take_is_told(
    quirks: Quirks, wishes: dict[str, Any], field: str, members: dict[str, Any], losses: Losses
) -> None:
    body = written(losses, quirks, **wishes)

    assert [loss.field for loss in losses] == [field]
    assert {key: value for key, value in body.items() if key not in ("model", "messages")} == members


def test_a_long_name_of_a_user_is_told_as_its_digest(losses: Losses) -> None:
    first, again = written(losses, user="u" * 65)["user"], written(losses, user="u" * 65)["user"]

    assert first == again
    assert len(first) == 64
    assert [loss.field for loss in losses] == ["user"]
    assert written(losses, user="u" * 64)["user"] == "u" * 64


@pytest.mark.shared
def test_every_recorded_request_means_the_same_again(chats: list[dict[str, Any]], judge: Any) -> None:
    compared, changed = 0, []
    for record in chats:
        body = (record.get("request") or {}).get("body")
        # The judge does not read functions, which tools were once called.
        if not isinstance(body, dict) or record["response"]["status"] >= 400 or "functions" in body:
            continue
        losses = Losses()
        again = encode_chat(decode_chat(body, losses), body.get("model", ""), GENEROUS, losses)
        wanted = {**body, "tools": [{"type": "function", **tool} for tool in body.get("tools") or []]}
        problems = judge.compare_requests(
            judge.parse_request("openai.chat", wanted), judge.parse_request("openai.chat", again)
        )
        compared += 1
        # A picture in a tool's result moves behind it, which is told.
        if problems and not any(loss.field == "tool_result.content" for loss in losses):
            changed.append((record["id"], problems))

    assert changed == []
    assert compared > 700
