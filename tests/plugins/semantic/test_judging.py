"""Whether a kept answer would have done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, ClassVar, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.errors import GatewayError
from llmproxy.messages import Reply
from llmproxy.metrics import Metrics
from llmproxy.plugin import ChildRequest, Clock, NoConfig, Plugin, Runtime, hookimpl
from llmproxy.tasks import spawn
from llmproxy.testing import FakeUpstream, running_gateway
from llmproxy_semantic.judging import LONGEST, MOST_WAITING, Comparison, JudgeSettings, Judging, agree, said

DIFFERENT = Comparison("What is the capital of France?", "Paris.", "It is Paris.")
SETTINGS = JudgeSettings("judge")


class Running:
    """What a runtime is to a judge: gives the replies it was given, the last one for ever."""

    name = "semantic"

    def __init__(self, *replies: Reply | Exception) -> None:
        self.replies = list(replies)
        self.metrics = Metrics()
        self.clock = Clock()
        self.log = self
        self.told: list[str] = []
        self.asked: list[ChildRequest] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.tasks: list[asyncio.Task[Any]] = []

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        self.tasks.append(spawn(work, name=name))
        return self.tasks[-1]

    def warning(self, event: str, *, why: str) -> None:
        self.told.append(why)

    async def call(self, request: ChildRequest) -> Reply:
        self.asked.append(request)
        await self.may_answer.wait()
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    def counted(self) -> dict[tuple[str, str], float]:
        family = self.metrics.families([self.metrics.snapshot()])["llmproxy_semantic_judged_total"]
        return {(key[1], key[2]): vector[0] for key, vector in family.series.items() if vector[0]}


def answer(text: str | None) -> Reply:
    return Reply(200, body=body(text))


def body(text: str | None) -> bytes:
    return orjson.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]})


async def judged(
    running: Running, *comparisons: Comparison, settings: JudgeSettings | None = SETTINGS
) -> list[bool | None]:
    verdicts: list[bool | None] = []
    judging = Judging(cast("Runtime", running), settings)
    for comparison in comparisons or (DIFFERENT,):
        judging.judge(comparison, verdicts.append)
    while running.tasks:
        await running.tasks.pop()
    return verdicts


@pytest.mark.parametrize(
    ("kept", "fresh", "how"),
    [
        ("Paris", "Paris", "text"),
        ("Paris is\nit. ", "Paris is it.", "text"),
        ('{"a": 1, "b": [2]}', '{"b":[2],"a":1}', "value"),
        ('```json\n{"a": 1}\n```', '{"a":1}', "value"),
        ('{"a": 1}', '{"a": true}', ""),
        ("[1, 2]", "[2, 1]", ""),
        ("1.0", "1.00", ""),
        ("Paris", "paris", ""),
        ("", "null", ""),
    ],
)
def test_answers_agree_by_their_text_or_their_value(kept: str, fresh: str, how: str) -> None:
    assert agree(kept, fresh) == how


@given(st.text(), st.text())
def test_whether_answers_agree_does_not_depend_on_which_was_kept(kept: str, fresh: str) -> None:
    assert agree(kept, fresh) == agree(fresh, kept)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("SAME", True),
        (" Same.\n", True),
        ("OTHER", False),
        ("**other**", False),
        ("SAME or OTHER", None),
        ("They are the same", None),
        ("", None),
        (None, None),
    ],
)
def test_the_model_says_one_of_two_words(text: str | None, verdict: bool | None) -> None:
    assert said(body(text)) is verdict


@given(st.binary())
def test_nothing_else_is_a_verdict(data: bytes) -> None:
    assert said(data) is None


async def test_equal_answers_are_told_at_once_and_no_model_is_asked() -> None:
    running = Running(answer("OTHER"))
    verdicts = await judged(running, Comparison("q", "Paris", "Paris"))

    assert verdicts == [True]
    assert running.asked == []
    assert running.counted() == {("same", "text"): 1.0}


async def test_answers_that_differ_do_not_do_where_no_model_is_asked() -> None:
    running = Running(answer("SAME"))

    assert await judged(running, settings=None) == [False]
    assert running.counted() == {("other", "differs"): 1.0}


async def test_the_model_gets_question_and_answers_as_material_only() -> None:
    running = Running(answer("SAME"))
    verdicts = await judged(running)
    system, user = orjson.loads(running.asked[0].body)["messages"]

    assert verdicts == [True]
    assert "France" not in system["content"]
    assert orjson.loads(user["content"]) == {
        "question": DIFFERENT.question,
        "first": DIFFERENT.kept,
        "second": DIFFERENT.fresh,
    }


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(500), "status 500"),
        (answer("perhaps"), "it said neither SAME nor OTHER"),
        (GatewayError(404, "no_route", "There is no such route."), "no_route"),
        (ConnectionResetError(), "ConnectionResetError"),
    ],
)
async def test_what_the_model_cannot_say_is_left_out_counted_and_told_once(
    reply: Reply | Exception, why: str
) -> None:
    running = Running(reply)

    assert await judged(running, DIFFERENT, DIFFERENT) == [None, None]
    assert running.counted() == {("left out", "failed"): 2.0}
    assert running.told == [why]


async def test_a_model_that_takes_too_long_is_not_waited_for() -> None:
    running = Running(answer("SAME"))
    running.may_answer.clear()

    assert await judged(running, settings=JudgeSettings("judge", within=0.01)) == [None]
    assert running.told == ["it took too long"]


async def test_no_more_wait_than_may() -> None:
    running = Running(answer("SAME"))
    verdicts = await judged(running, *[DIFFERENT] * (MOST_WAITING + 3))

    assert (verdicts.count(None), verdicts.count(True)) == (3, MOST_WAITING)
    assert running.counted()["left out", "full"] == 3.0


async def test_answers_that_are_very_long_are_left_out() -> None:
    running = Running(answer("SAME"))

    assert await judged(running, Comparison("q", "a" * LONGEST, "b")) == [None]
    assert running.counted() == {("left out", "long"): 1.0}


class Holder(Plugin[NoConfig]):
    """Shows its runtime."""

    runtime: ClassVar[Runtime]

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        type(self).runtime = runtime
        yield


@pytest.mark.parametrize(("text", "verdict"), [("SAME", True), ("OTHER", False)])
async def test_a_route_of_the_gateway_judges(text: str, verdict: bool) -> None:
    async with FakeUpstream().reply(json=orjson.loads(body(text))) as upstream:
        config = {
            "upstreams": {"model": {"base_url": f"{upstream.url}/v1", "dialect": "openai"}},
            "plugins": {"holder": {"use": Holder}},
            "routes": [{"name": "judge", "upstream": "model", "plugins": ["holder"]}],
        }
        told: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
        async with running_gateway(config):
            Judging(Holder.runtime, JudgeSettings("model/gpt")).judge(DIFFERENT, told.set_result)
            async with asyncio.timeout(5):
                said_ = await told

    assert said_ is verdict
    assert orjson.loads(upstream.requests[0].body)["temperature"] == 0
