"""Requests that went upstream to be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest

from llmproxy.plugin import Fresh, StoredReply
from llmproxy_semantic.features import features_of
from llmproxy_semantic.judging import Comparison
from llmproxy_semantic.overseeing import Candidate
from llmproxy_semantic.trials import Pending, Trial, text_of

if TYPE_CHECKING:
    from llmproxy_semantic.overseeing import Oversight

ASKED = features_of("Which food does a cat like?")
BEST = Candidate(b"key", 0.9, 0)


class Heard:
    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def compare(self, *told: Any) -> None:
        self.told.append(told)


def reply(text: str, *, streamed: bool = False) -> StoredReply:
    if streamed:
        events = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in text]
        body = b"".join(b"data: %b\n\n" % orjson.dumps(event) for event in events) + b"data: [DONE]\n\n"
        return StoredReply(200, [(b"Content-Type", b"text/event-stream; charset=utf-8")], body)
    message = {"role": "assistant", "content": text}
    body = orjson.dumps({"id": "x", "choices": [{"index": 0, "message": message}]})
    return StoredReply(200, [(b"Content-Type", b"application/json")], body)


def fresh(kept: StoredReply | None, now: StoredReply) -> Fresh:
    async def other(key: bytes) -> StoredReply | None:
        assert key == b"key"
        return kept

    return Fresh(now, other)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def trial(heard: Heard) -> Trial:
    return Trial(cast("Oversight", heard), ASKED, BEST)


async def test_the_kept_answer_is_compared_with_the_fresh_one_once(trial: Trial, heard: Heard) -> None:
    for _ in range(2):
        await trial.compare("q", fresh(reply("fish"), reply("meat")))
    await trial.left(0)

    assert heard.told == [(ASKED, BEST, Comparison("q", "fish", "meat"))]


async def test_what_is_gone_would_not_have_been_served(trial: Trial, heard: Heard) -> None:
    await trial.compare("q", fresh(None, reply("meat")))

    assert heard.told == [(ASKED, None, None)]


async def test_an_answer_that_says_nothing_is_left_out(trial: Trial, heard: Heard) -> None:
    await trial.compare("q", fresh(reply(""), reply("meat")))

    assert heard.told == [(ASKED, BEST, None)]


async def test_a_request_whose_answer_is_not_kept_is_left_out(trial: Trial, heard: Heard) -> None:
    await trial.left(0)
    await trial.compare("q", fresh(reply("fish"), reply("meat")))

    assert heard.told == [(ASKED, BEST, None)]


def test_a_stream_says_what_a_whole_answer_says() -> None:
    assert text_of(reply("a fish", streamed=True)) == text_of(reply("a fish")) == "a fish"


def test_trials_wait_by_what_they_ask_within_bounds(trial: Trial) -> None:
    pending = Pending()
    for number in range(2000):
        pending.add((b"p", str(number)), trial)
    for _ in range(100):
        pending.add((b"p", "1999"), trial)

    assert len(pending) == 1024
    assert len(pending.take((b"p", "1999"))) == 64
    assert pending.take((b"p", "1999")) == pending.take((b"q", "1998")) == []
