from __future__ import annotations

import pytest

from llmproxy.canonical import Answer, Choice, Image, Inline, Reasoning, Refusal, Text, ToolCall
from llmproxy.plugin import Usage
from llmproxy_ollama.answers import Stamp, created_at, read_answer, stamp_of, write_answer

from .conftest import CALL, whole

STAMP = Stamp("public", "2026-01-01T00:00:00Z", 10.0, 10.5)
CALLED = ToolCall(id="call_1", name="look", arguments='{"city":"Rome"}')


def told(reason="stop", **message):
    return {"model": "m", "message": {"role": "assistant", **message}, "done": True, "done_reason": reason}


def test_an_answer_is_read():
    answer = read_answer(
        {
            **told(content="Hi", thinking="hm", tool_calls=[CALL]),
            "created_at": "2026-08-07T06:08:14.73237Z",
            "prompt_eval_count": 5,
            "eval_count": 7,
        }
    )

    assert answer.choices[0].content == (Reasoning(text="hm"), Text(text="Hi"), CALLED)
    assert (answer.choices[0].finish, answer.choices[0].detail) == ("tool_calls", "stop")
    assert (answer.model, answer.created, answer.usage) == ("m", 1786082894, Usage(5, 0, 0, 7))


def test_what_generate_answers_is_read_likewise():
    answer = read_answer({"model": "m", "response": "Hi", "thinking": "hm", "done": True})

    assert answer.choices[0].content == (Reasoning(text="hm"), Text(text="Hi"))


def test_an_answer_that_is_not_done_has_no_reason():
    assert read_answer({**told(content="Hi"), "done": False}).choices[0].finish is None


@pytest.mark.parametrize(
    "body", [{}, {"message": 1}, told(tool_calls=[{}]), told(tool_calls=[{"function": {"arguments": []}}])]
)
def test_what_is_no_answer_is_not_read(body):
    with pytest.raises(ValueError, match=r"."):
        read_answer(body)


def test_a_call_without_an_id_gets_one():
    bare = {"function": {"name": "look", "arguments": {}}}
    blocks = read_answer(told(tool_calls=[bare, bare])).choices[0].content

    assert len({block.id for block in blocks}) == 2


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1970-01-01T00:00:09Z", 9),
        ("1970-01-01T00:00:09.123456789Z", 9),
        ("1970-01-01T01:00:09.5+01:00", 9),
        ("soon", 0),
        (None, 0),
        ("0001-01-01T00:00:00+23:59", 0),
    ],
)
def test_the_time_is_read_as_go_writes_it(written, seconds):
    assert created_at({"created_at": written}) == seconds


def test_an_answer_is_written_with_durations_and_counts():
    choice = Choice(
        content=(Reasoning(text="hm"), Text(text="Hi "), Refusal(text="no"), CALLED), finish="tool_calls"
    )
    answer = Answer(model="theirs", choices=(choice,), usage=Usage(1, 2, 0, 4, 5))

    assert write_answer(answer, STAMP, 12.0) == {
        "model": "public",
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": "Hi no", "thinking": "hm", "tool_calls": [CALL]},
        "done": True,
        "done_reason": "stop",
        "total_duration": 2_000_000_000,
        "load_duration": 0,
        "prompt_eval_duration": 500_000_000,
        "eval_duration": 1_500_000_000,
        "prompt_eval_count": 3,
        "eval_count": 9,
    }


def test_a_prompts_answer_stands_in_response():
    choice = Choice(content=(Reasoning(text="hm"), Text(text="Hi")), finish="length")
    out = write_answer(Answer(choices=(choice,)), STAMP._replace(plain=True), 12.0)

    assert (out["response"], out["thinking"], out["done_reason"]) == ("Hi", "hm", "length")
    assert "message" not in out


def test_an_answer_without_a_choice_is_a_failure():
    assert write_answer(Answer(), STAMP, 11.0)["done_reason"] == "error"


def test_what_is_written_is_read_back():
    choice = Choice(content=(Text(text="Hi"), CALLED), finish="tool_calls", detail="stop")
    answer = Answer(model="public", created=1767225600, choices=(choice,), usage=Usage(1, 0, 0, 2))

    assert read_answer(write_answer(answer, STAMP, 12.0)) == answer


def test_media_have_no_place():
    choice = Choice(content=(Image(source=Inline(media_type="image/png", data="")),), finish="stop")

    assert write_answer(Answer(choices=(choice,)), STAMP, 11.0)["message"]["content"] == ""


def test_durations_are_never_negative():
    assert min(Stamp("m", "", 10.0, 99.0).took(11.0).values()) >= 0
    assert min(Stamp("m", "", 10.0, 0.0).took(11.0).values()) >= 0


def test_the_stamp_is_of_the_exchange(exchange_for):
    stamp = stamp_of(exchange_for("/api/generate"))

    assert (stamp.model, stamp.plain) == ("m", True)
    assert stamp.created.endswith("Z")


def test_recorded_answers_are_read_whole(recordings, judge):
    for record, _ in whole(recordings):
        body = record["response"]["body"]
        answer = read_answer(body)
        (choice,) = answer.choices
        said = "".join(block.text for block in choice.content if isinstance(block, Text))

        assert said == body.get("response", body.get("message", {}).get("content"))
        assert answer.created > 1_700_000_000
        assert answer.usage.output == body["eval_count"]
        assert choice.finish in {"stop", "tool_calls"}


def test_an_answer_that_does_not_say_that_it_is_done_has_ended_all_the_same() -> None:
    told = read_answer({"message": {"content": "hi"}, "done_reason": "length"})

    assert told.choices[0].finish == "length"
