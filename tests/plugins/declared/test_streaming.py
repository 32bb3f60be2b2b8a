from __future__ import annotations

from typing import Any

import pytest

from llmproxy.config import decode_struct
from llmproxy.plugin import ConfigErrors
from llmproxy_declared.aspects import AnswerConfig
from llmproxy_declared.streaming import StreamConfig, Streamed

ANSWER = decode_struct(AnswerConfig, {"text": "/out", "finish": "/why"}, "answer")


def streamed(**config: Any) -> Streamed:
    return Streamed(decode_struct(StreamConfig, config, "stream"), ANSWER)


def test_what_is_not_said_is_as_in_a_whole_answer():
    own = streamed(text="/delta")

    assert own.aspects.text.text == "/delta"
    assert own.aspects.finish.read({"why": "length"}) == ("length", "length")


@pytest.mark.parametrize(
    ("end", "mark", "closes", "finishes"),
    [
        ("[DONE]", b"[DONE]", False, False),
        ("close", b"", True, False),
        (None, b"", False, True),
        ("/done", b"", False, False),
    ],
)
def test_an_end_is_a_mark_a_condition_or_none(end, mark, closes, finishes):
    own = streamed(end=end)

    assert (own.mark, own.closes, own.finishes) == (mark, closes, finishes)
    assert own.ends({"done": True}, "") is (end == "/done")


def test_an_end_may_be_a_named_event():
    assert streamed(end={"event": "done"}).ends({}, "done")


def test_text_counts_in_some_events():
    own = streamed(text_when={"/special": False})

    assert own.counts({"special": False}, "")
    assert not own.counts({"special": True}, "")
    assert streamed().counts({}, "")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"end": " "}, "stream.end: is empty"),
        ({"end": 7}, "stream.end: expected a path"),
        ({"text_when": "x"}, "stream.text_when: .*did you mean '/x'"),
        ({"framing": "xml"}, "stream.framing: expected"),
        ({"cumulativ": True}, "did you mean 'cumulative'"),
    ],
)
def test_a_mistake_is_told_with_its_place(config, message):
    with pytest.raises(ConfigErrors, match=message):
        streamed(**config)
