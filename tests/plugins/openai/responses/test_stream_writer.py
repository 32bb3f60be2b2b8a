from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from llmproxy.canonical import (
    Answer,
    BlockEnded,
    BlockStarted,
    Choice,
    Citation,
    Cited,
    Counted,
    Delta,
    Failed,
    Finished,
    Foreign,
    Ping,
    Reasoning,
    Signed,
    Started,
    StreamEvent,
    Text,
    ToolCall,
    events_of,
)
from llmproxy.plugin import Attempt, Endpoint, Exchange, GatewayError, ProviderError, Usage
from llmproxy_openai.responses.answer_writer import encode_answer
from llmproxy_openai.responses.stream_writer import stream_encoder, stream_error

from .drawn import answers

if TYPE_CHECKING:
    from .conftest import AskedFor

ANY_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
ANSWER = Answer(
    id="x",
    model="m",
    created=7,
    choices=(
        Choice(
            content=(
                Reasoning(text="hm", signature="s", origin="anthropic"),
                Text(
                    text="a",
                    citations=(Citation(kind="url", url="https://a.test", text_start=0, text_end=1),),
                ),
                ToolCall(id="c1", name="look", arguments='{"a":1}'),
            ),
            finish="tool_calls",
        ),
    ),
    usage=Usage(1, 0, 0, 2, 0),
)


def told(exchange: Exchange, events: list[StreamEvent], *, close: bool = True) -> list[dict[str, Any]]:
    encoder = stream_encoder(exchange)
    pieces = [piece for event in events for piece in encoder.feed(event)]
    if close:
        pieces += encoder.close()
    return read(b"".join(pieces))


def read(data: bytes) -> list[dict[str, Any]]:
    """Read events whose name must be their type, and whose numbers must grow by one."""
    events = []
    for block in data.decode().removesuffix("\n\n").split("\n\n"):
        if block.startswith(":"):
            continue
        name, _, line = block.partition("\n")
        event = orjson.loads(line.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        assert event["sequence_number"] == len(events)
        events.append(event)
    return events


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_the_events_stand_in_the_order_that_sdks_expect(asked_for: AskedFor) -> None:
    events = told(asked_for(), list(events_of(ANSWER)))

    assert kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.annotation.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert [event["output_index"] for event in events if "output_index" in event] == sorted(
        event["output_index"] for event in events if "output_index" in event
    )


@given(answer=answers())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_a_stream_says_what_the_whole_answer_says(asked_for: AskedFor, answer: Answer) -> None:
    exchange = asked_for()

    events = told(exchange, list(events_of(answer)))
    whole = orjson.loads(encode_answer(exchange, answer).body)  # type: ignore[arg-type]

    last = events[-1]["response"]
    assert {**last, "completed_at": 0} == {**whole, "completed_at": 0}
    for event in events:
        ANY_EVENT.validate_python(event)
    Response.model_validate(last)


@given(answer=answers(), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_deltas_add_up_to_the_items(asked_for: AskedFor, answer: Answer, data: st.DataObject) -> None:
    events = told(asked_for(), _in_pieces(list(events_of(answer)), data))

    texts: dict[tuple[str, int], str] = {}
    for event in events:
        if event["type"].endswith(".delta"):
            key = (event["item_id"], event.get("content_index", 0))
            texts[key] = texts.get(key, "") + event["delta"]
    done = {}
    for item in events[-1]["response"]["output"]:
        if item["type"] == "function_call":
            done[item["id"], 0] = item["arguments"]
        for number, part in enumerate(item.get("content") or item.get("summary") or ()):
            done[item["id"], number] = part.get("text") or part.get("refusal")
    assert texts == {key: text for key, text in done.items() if text}


def _in_pieces(events: list[StreamEvent], data: st.DataObject) -> list[StreamEvent]:
    out: list[StreamEvent] = []
    for event in events:
        if isinstance(event, Delta) and event.text:
            cut = data.draw(st.integers(0, len(event.text)))
            out += [Delta(event.index, event.text[:cut]), Delta(event.index, event.text[cut:])]
        else:
            out.append(event)
    return out


def test_calls_that_come_at_once_are_told_one_after_another(asked_for: AskedFor) -> None:
    events = told(
        asked_for(),
        [
            Started(),
            BlockStarted(0, ToolCall(id="a", name="look", arguments="")),
            BlockStarted(1, ToolCall(id="b", name="look", arguments="")),
            Delta(1, '{"b":'),
            Delta(0, '{"a":1}'),
            Delta(1, "2}"),
            Finished("tool_calls"),
        ],
    )

    items = events[-1]["response"]["output"]
    assert [(item["call_id"], item["arguments"]) for item in items] == [("a", '{"a":1}'), ("b", '{"b":2}')]
    assert [event["output_index"] for event in events[2:-1]] == [0] * 4 + [1] * 5


def test_a_custom_tool_is_called_as_one(asked_for: AskedFor) -> None:
    exchange = asked_for(tools=[{"type": "custom", "name": "patch"}])
    call = ToolCall(id="c1", name="patch", arguments='{"input":"*** Begin"}')
    answer = Answer(choices=(Choice(content=(call,), finish="tool_calls"),))

    events = told(exchange, list(events_of(answer)))
    whole = orjson.loads(encode_answer(exchange, answer).body)  # type: ignore[arg-type]

    assert events[-1]["response"]["output"] == whole["output"]
    assert whole["output"][0]["input"] == "*** Begin"
    for event in events:
        ANY_EVENT.validate_python(event)


def test_blocks_that_cannot_be_shown_leave_the_open_message_alone(asked_for: AskedFor) -> None:
    hidden = Foreign(origin="anthropic", value={"type": "server_tool_use"})

    events = told(
        asked_for(),
        [
            BlockStarted(0, Text(text="")),
            Delta(0, "a"),
            BlockEnded(0),
            BlockStarted(1, hidden),
            Delta(1, "x"),
            Signed(1, "x"),
            Cited(1, Citation(kind="url")),
            BlockEnded(1),
            BlockStarted(2, Text(text="")),
            Delta(2, "b"),
            BlockEnded(2),
            Finished("stop"),
        ],
    )

    (item,) = events[-1]["response"]["output"]
    assert [part["text"] for part in item["content"]] == ["a", "b"]


def test_counts_may_come_after_the_end(asked_for: AskedFor) -> None:
    events = told(asked_for(), [Started(usage=Usage(9)), Finished("length"), Counted(Usage(1, 0, 0, 2, 0))])

    assert events[-1]["type"] == "response.incomplete"
    assert events[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert events[-1]["response"]["usage"]["total_tokens"] == 3


def test_a_failure_ends_the_response_with_what_there_is(asked_for: AskedFor) -> None:
    error = ProviderError(429, "rate_limit_exceeded", "Slow down.", kind="rate_limit")

    events = told(
        asked_for(),
        [Started(), BlockStarted(0, Text(text="")), Delta(0, "ha"), Failed(error), Finished("stop")],
    )

    assert kinds(events)[-2:] == ["output_item.done", "failed"]
    response = events[-1]["response"]
    assert response["error"] == {"code": "rate_limit_exceeded", "message": "Slow down."}
    assert (response["status"], response["output"][0]["status"]) == ("failed", "incomplete")
    assert response["output"][0]["content"][0]["text"] == "ha"


def test_a_failure_may_be_all_there_is(asked_for: AskedFor) -> None:
    assert kinds(told(asked_for(), [Failed(GatewayError(502, "x", "X."))])) == [
        "created",
        "in_progress",
        "failed",
    ]


def test_a_provider_that_is_alive_is_told_of_in_a_comment(asked_for: AskedFor) -> None:
    encoder = stream_encoder(asked_for())

    assert encoder.feed(Ping()) == []
    encoder.feed(Started())
    assert encoder.feed(Ping()) == [b": ping\n\n"]


def test_a_stream_that_breaks_later_fails_with_the_next_number(asked_for: AskedFor) -> None:
    exchange = asked_for()
    begun = told(exchange, [Started(), BlockStarted(0, Text(text="")), Delta(0, "a")], close=False)

    rest = stream_error(exchange, GatewayError(502, "upstream_cut", "Cut."))

    assert rest is not None
    numbers = [
        orjson.loads(line[6:])["sequence_number"] for line in rest.split(b"\n") if line[:6] == b"data: "
    ]
    assert numbers == list(range(len(begun), len(begun) + 4))
    assert rest.rstrip().rpartition(b"event: ")[2].startswith(b"response.failed\n")
    assert stream_error(exchange, GatewayError(502, "x", "X.")) == b""


def test_a_stream_that_nobody_translates_is_not_ended_here(asked_for: AskedFor) -> None:
    exchange = asked_for()
    assert stream_error(exchange, GatewayError(502, "x", "X.")) is None

    told(exchange, [Started()], close=False)
    exchange.attempts.append(Attempt(2, Endpoint("up"), 0.0))
    assert stream_error(exchange, GatewayError(502, "x", "X.")) is None
