from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest

from llmproxy.plugin import Caller, CallNext, Exchange, NoConfig, Plugin, Reply, hookimpl
from llmproxy.tasks import spawn
from llmproxy.testing import FakeUpstream, PluginContract, Serving, make_exchange, make_process
from llmproxy_ledger import LedgerPlugin
from llmproxy_ledger.auditing import Audit
from llmproxy_ledger.books import FILE, Books
from llmproxy_ledger.reporting import Period

from .stage import answer, asked, event, ledger, rows


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "ledger"


KEPT = {"kept": {"url": "memory://"}}


class TestContract(PluginContract):
    plugin_class = LedgerPlugin
    config: ClassVar[dict[str, Any]] = {"directory": "ledger"}
    route: ClassVar[dict[str, Any]] = {"on_abort": "estimate"}


async def only_row(directory: Path, upstream: FakeUpstream, **how: Any) -> dict[str, Any]:
    """Serve one request whole, and return its row."""
    async with ledger(directory, upstream, **how) as serving:
        await serving.serve(asked())
    (row,) = rows(directory)
    return row


async def test_a_whole_answer_is_exact_and_costs_its_price(directory: Path) -> None:
    async with FakeUpstream().reply(json=answer(5)) as upstream, ledger(directory, upstream) as serving:
        caller = Caller("shop", "web", (("org", "o"), ("team", "t"), ("user", "u")))
        exchange = asked(name="one")
        exchange.caller = caller
        await serving.serve(exchange)

    (row,) = rows(directory)
    whose = {
        name: row[name] for name in ("tenant", "key", "org", "team", "user", "route", "model", "upstream")
    }
    assert (row["state"], row["basis"], row["result"], called(row)) == ("exact", "told", "ok", "one/1")
    assert (row["input"], row["output"], row["cost"]) == (7, 5, 57)
    assert whose == {
        "tenant": "shop",
        "key": "web",
        "org": "o",
        "team": "t",
        "user": "u",
        "route": "test",
        "model": "gpt",
        "upstream": "upstream",
    }


def called(row: dict[str, Any]) -> str:
    """Return what its caller called the exchange of a row, and which attempt it is of."""
    return f"{row['exchange']}/{row['id'].rpartition('/')[2]}"


async def test_a_whole_stream_is_exact(directory: Path) -> None:
    events = [event("a"), event("b"), event(usage=2), event()]
    async with FakeUpstream().stream(events) as upstream, ledger(directory, upstream) as serving:
        await serving.serve(asked(stream=True))

    (row,) = rows(directory)
    assert (row["state"], row["input"], row["output"]) == ("exact", 7, 2)


@pytest.mark.parametrize(("script", "result"), [(429, "status_429"), (500, "status_500")])
async def test_what_the_provider_refuses_is_free(directory: Path, script: int, result: str) -> None:
    async with FakeUpstream().reply(script, json={"error": {"message": "no"}}) as upstream:
        row = await only_row(directory, upstream)

    assert (row["state"], row["cost"], row["result"]) == ("free", 0, result)


async def test_what_never_left_is_free(directory: Path) -> None:
    async with ledger(directory, None) as serving:
        await serving.serve(asked())

    (row,) = rows(directory)
    assert (row["state"], row["cost"], row["result"]) == ("free", 0, "upstream_unreachable")


async def test_a_call_without_any_answer_is_unknown(directory: Path) -> None:
    async with FakeUpstream().raw(b"") as upstream:
        row = await only_row(directory, upstream)

    assert (row["state"], row["basis"], row["output"]) == ("unknown", "seen", 0)
    assert row["cost"] == row["input"] > 0


async def test_a_stream_that_was_cut_is_estimated_by_what_was_seen(directory: Path) -> None:
    upstream = FakeUpstream().stream([event("one ")] * 9, then="reset", after=1200)
    async with upstream, ledger(directory, upstream) as serving:
        await serving.serve(asked(stream=True))

    (row,) = rows(directory)
    assert (row["state"], row["basis"]) == ("estimated", "seen")
    assert 1 <= row["output"] <= 9
    assert row["cost"] == row["input"] + 10 * row["output"]


class Early(Plugin[NoConfig]):
    """Answers at once."""

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        return Reply.text("at once")


async def test_an_exchange_that_made_no_attempt_has_a_free_row(directory: Path) -> None:
    async with ledger(directory, None, plugins={"early": Early}) as serving:
        await serving.serve(asked(name="e"))

    (row,) = rows(directory)
    assert (called(row), row["state"], row["result"], row["upstream"]) == ("e/0", "free", "answered", "")


async def test_a_request_id_that_is_sent_twice_hides_no_call(directory: Path) -> None:
    async with FakeUpstream().reply(json=answer()) as upstream, ledger(directory, upstream) as serving:
        same = [spawn(serving.serve(asked(name="same")), name="same") for _ in range(100)]
        await asyncio.wait(same)

    found = rows(directory)
    assert [called(row) for row in found] == ["same/1"] * 100
    assert len({row["id"] for row in found}) == len({row["entry"] for row in found}) == 100


async def leave(
    serving: Serving, upstream: FakeUpstream, exchange: Exchange, when: Callable[[], Awaitable[object]]
) -> None:
    """Ask, and leave when `when` has come."""
    serving_it = asyncio.ensure_future(serving.serve(exchange))
    await upstream.received()
    await when()
    serving_it.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving_it


async def output_of(exchange: Exchange) -> None:
    """Wait until output has begun to leave."""
    while not exchange.attempts or exchange.attempts[0].first_output_at is None:
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)


async def at_once() -> None:
    await asyncio.sleep(0.02)


async def test_a_caller_who_leaves_before_the_answer_is_charged_for_the_question(directory: Path) -> None:
    async with FakeUpstream().stall() as upstream, ledger(directory, upstream) as serving:
        await leave(serving, upstream, asked(), at_once)

    (row,) = rows(directory)
    assert (row["state"], row["basis"], row["output"]) == ("estimated", "seen", 0)
    assert row["input"] > 0


async def test_a_caller_who_leaves_a_stream_is_charged_for_what_was_seen(directory: Path) -> None:
    upstream = FakeUpstream().stream([event("one "), event("two ")], delay=5.0)
    async with upstream, ledger(directory, upstream) as serving:
        exchange = asked(stream=True)
        await leave(serving, upstream, exchange, lambda: output_of(exchange))

    (row,) = rows(directory)
    assert (row["state"], row["basis"], row["output"]) == ("estimated", "seen", 1)


async def test_a_stream_that_is_drained_is_exact_though_its_caller_left(directory: Path) -> None:
    events = [event("one "), event("two "), event(usage=2), event()]
    upstream = FakeUpstream().stream(events, delay=0.1)
    async with upstream, ledger(directory, upstream, options={"on_abort": "drain"}) as serving:
        exchange = asked(stream=True)
        await leave(serving, upstream, exchange, lambda: output_of(exchange))
        while exchange.attempts[0].ended is None:
            await asyncio.sleep(0.01)

    (row,) = rows(directory)
    assert (row["state"], row["input"], row["output"], row["cost"]) == ("exact", 7, 2, 27)


async def test_an_answer_is_drained_though_its_caller_left_before_it_came(directory: Path) -> None:
    body = orjson.dumps(answer(5))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    upstream = FakeUpstream().raw(0.1, head, body)
    async with upstream, ledger(directory, upstream, on_abort="drain") as serving:
        exchange = asked()
        await leave(serving, upstream, exchange, at_once)
        while exchange.attempts[0].ended is None:
            await asyncio.sleep(0.01)

    (row,) = rows(directory)
    assert (row["state"], row["cost"], row["result"]) == ("exact", 57, "ok")


async def test_a_provider_s_impossible_count_spoils_no_row(directory: Path) -> None:
    usages = [{"prompt_tokens": 7, "completion_tokens": count} for count in (2**63, 2**64 - 1)]
    upstream = FakeUpstream()
    for usage in usages:
        upstream.reply(json=answer() | {"usage": usage})
    upstream.reply(json=answer(5))
    async with upstream, ledger(directory, upstream) as serving:
        for _ in range(3):
            await serving.serve(asked())

    assert sorted(row["state"] for row in rows(directory)) == ["estimated", "estimated", "exact"]


class Hesitant(Plugin[NoConfig]):
    """Waits before a call, and makes it a second time."""

    Config = NoConfig
    began = asyncio.Event()

    @hookimpl
    async def around_upstream(self, exchange: Exchange, call_next: CallNext) -> Reply:
        Hesitant.began.set()
        await asyncio.sleep(0.05)
        await call_next(exchange)
        return await call_next(exchange)


async def test_what_was_not_sent_when_its_caller_left_is_not_sent(directory: Path) -> None:
    Hesitant.began = asyncio.Event()
    plugins = {"hesitant": Hesitant}
    async with (
        FakeUpstream().reply(json=answer(5)) as upstream,
        ledger(directory, upstream, on_abort="drain", plugins=plugins) as serving,
    ):
        asking = asyncio.ensure_future(serving.serve(asked()))
        await Hesitant.began.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.sleep(0.1)

        assert upstream.requests == []

    (row,) = rows(directory)
    assert (row["state"], row["cost"]) == ("free", 0)


async def test_an_attempt_that_is_drained_is_followed_by_no_other(directory: Path) -> None:
    head = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    plugins = {"hesitant": Hesitant}
    async with (
        FakeUpstream().raw(0.1, head).reply(json=answer(5)) as upstream,
        ledger(directory, upstream, on_abort="drain", plugins=plugins) as serving,
    ):
        exchange = asked()
        await leave(serving, upstream, exchange, at_once)
        while exchange.attempts[0].ended is None:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)

        assert len(upstream.requests) == 1


async def test_draining_ends_with_its_time(directory: Path) -> None:
    async with (
        FakeUpstream().stream([event("one "), event("two "), event()], delay=5.0) as upstream,
        ledger(directory, upstream, options={"on_abort": "drain", "drain_time": "50ms"}) as serving,
    ):
        exchange = asked(stream=True)
        await leave(serving, upstream, exchange, lambda: output_of(exchange))
        while exchange.attempts[0].ended is None:
            await asyncio.sleep(0.01)

    (row,) = rows(directory)
    assert (row["state"], row["output"]) == ("estimated", 1)


async def test_a_caller_who_leaves_is_charged_the_ceiling_where_that_is_said(directory: Path) -> None:
    upstream = FakeUpstream().stream([event("one "), event("two ")], delay=5.0)
    async with upstream, ledger(directory, upstream, on_abort="ceiling") as serving:
        exchange = asked(stream=True, max_tokens=100)
        await leave(serving, upstream, exchange, lambda: output_of(exchange))
        sent = len(upstream.requests[0].body)

    (row,) = rows(directory)
    assert (row["state"], row["basis"], row["output"]) == ("estimated", "ceiling", 100)
    assert row["input"] == sent
    assert row["cost"] == sent + 1000


async def test_an_unknown_price_is_refused_before_anything_is_sent(directory: Path) -> None:
    upstream = FakeUpstream().reply(json=answer())
    async with upstream, ledger(directory, upstream, prices={}, unknown_price="refuse") as serving:
        served = await serving.serve(asked())

        assert (served.reply.status, served.json()["error"]["code"]) == (503, "price_unknown")
        assert upstream.requests == []
    assert [row["state"] for row in rows(directory)] == ["free"]


@pytest.mark.parametrize(
    ("policy", "cost", "version"), [("zero", 0, "unknown"), ("ceiling", 4050, "ceiling:")]
)
async def test_an_unknown_price_is_never_silent(
    directory: Path, policy: str, cost: int, version: str
) -> None:
    process = make_process()
    async with FakeUpstream().reply(json=answer(5)) as upstream:
        row = await only_row(directory, upstream, process=process, prices={}, unknown_price=policy)

    unpriced = process.metrics.counter("llmproxy_ledger_unpriced_total", "", ("upstream",))
    assert (row["state"], row["cost"]) == ("exact", cost)
    assert row["prices"].startswith(version)
    assert unpriced.labels("upstream").value == 1


async def test_a_journal_that_cannot_be_written_refuses_calls(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    async with FakeUpstream().reply(json=answer()) as upstream, ledger(directory, upstream) as serving:
        with monkeypatch.context() as patched:
            patched.setattr("llmproxy_ledger.journal.os.write", full)
            served = await serving.serve(asked())

        assert (served.reply.status, served.json()["error"]["code"]) == (503, "ledger_unavailable")
        assert upstream.requests == []
    assert [row["state"] for row in rows(directory)] == ["free"]


async def test_two_generations_share_one_journal(directory: Path) -> None:
    process = make_process()
    async with (
        FakeUpstream().reply(json=answer()) as upstream,
        ledger(directory, upstream, process=process) as old,
        ledger(directory, upstream, process=process) as new,
    ):
        await old.serve(asked(name="a"))
        await new.serve(asked(name="b"))

        assert len(list(directory.glob("*.lock"))) == 1
    assert [row["exchange"] for row in rows(directory)] == ["a", "b"]


async def test_a_generation_whose_journals_are_kept_otherwise_has_its_own(directory: Path) -> None:
    process = make_process()
    async with (
        FakeUpstream().reply(json=answer()) as upstream,
        ledger(directory, upstream, process=process) as old,
        ledger(directory, upstream, process=process, journal_limit="64MiB") as new,
    ):
        await old.serve(asked(name="a"))
        await new.serve(asked(name="b"))
        journals = len(list(directory.glob("*.lock")))

    assert journals == 2
    assert sorted(row["exchange"] for row in rows(directory)) == ["a", "b"]


async def test_nothing_of_a_request_but_names_and_numbers_is_kept(directory: Path) -> None:
    canary = "canary-3f9a"
    async with FakeUpstream().reply(json=answer()) as upstream, ledger(directory, upstream) as serving:
        exchange = asked(headers={"Authorization": f"Bearer {canary}"}, user=canary)
        await serving.serve(exchange)
        await serving.serve(make_exchange("GET", f"/v1/models?{canary}"))

    assert canary.encode() not in b"".join(path.read_bytes() for path in directory.iterdir())


async def test_a_cache_s_answer_is_a_free_row(directory: Path) -> None:
    upstream = FakeUpstream().reply(json=answer())
    cache = {"cache": {"use": "cache", "store": "kept"}}
    async with upstream, ledger(directory, upstream, plugins=cache, stores=KEPT) as serving:
        await serving.serve(asked(name="a", temperature=0))
        await serving.serve(asked(name="b", temperature=0))

    found = [(called(row), row["state"], row["result"], row["cost"]) for row in rows(directory)]
    assert found == [("a/1", "exact", "ok", 57), ("b/0", "free", "hit", 0)]
    assert len(upstream.requests) == 1


async def test_a_hit_is_charged_the_share_of_its_price_that_the_route_says(directory: Path) -> None:
    upstream = FakeUpstream().reply(json=answer())
    cache = {"cache": {"use": "cache", "store": "kept"}}
    charging = {"hits": 0.1}
    async with (
        upstream,
        ledger(directory, upstream, plugins=cache, stores=KEPT, charging=charging) as serving,
    ):
        for name in ("a", "b", "c"):
            await serving.serve(asked(name=name, temperature=0))

    found = [(called(row), row["state"], row["basis"], row["output"], row["cost"]) for row in rows(directory)]
    assert found == [("a/1", "exact", "told", 5, 57), *((f"{n}/0", "exact", "hit", 5, 6) for n in "bc")]
    assert {row["upstream_model"] for row in rows(directory)} == {"gpt"}
    assert [row["prices"].rpartition(":")[0] for row in rows(directory)] == [
        "config",
        "config*0.1",
        "config*0.1",
    ]
    with closing(Books(directory / FILE, reading=True)) as books:
        assert list(Audit(books).run(Period())) == []


async def test_followers_are_charged_what_the_route_says(directory: Path) -> None:
    upstream = FakeUpstream().stream([event("one "), event(usage=2), event()], delay=0.05)
    cache = {"cache": {"use": "cache", "store": "kept"}}
    charging = {"followers": 0.5}
    async with (
        upstream,
        ledger(directory, upstream, plugins=cache, stores=KEPT, charging=charging) as serving,
    ):
        leading = asyncio.ensure_future(serving.serve(asked(stream=True, temperature=0, name="leader")))
        await upstream.received()
        asking = [serving.serve(asked(stream=True, temperature=0, name=name)) for name in ("b", "c")]
        following = [asyncio.ensure_future(each) for each in asking]
        await asyncio.sleep(0.02)
        following.pop().cancel()
        await leading
        await following[0]

    found = sorted((called(row), row["state"], row["basis"], row["cost"]) for row in rows(directory))
    assert found == [
        ("b/0", "exact", "follower", 14),
        ("c/0", "free", "none", 0),
        ("leader/1", "exact", "told", 27),
    ]


@pytest.mark.parametrize("first", ["ledger", "cache"])
async def test_callers_who_share_a_call_pay_for_one_though_its_leader_leaves(
    directory: Path, first: str
) -> None:
    events = [event("one "), event("two "), event(usage=2), event()]
    upstream = FakeUpstream().stream(events, delay=0.1)
    cache = {"cache": {"use": "cache", "store": "kept"}}
    async with upstream, ledger(directory, upstream, plugins=cache, stores=KEPT, first=first) as serving:
        leader, follower = (asked(stream=True, temperature=0, name=name) for name in ("leader", "follower"))
        leading = asyncio.ensure_future(serving.serve(leader))
        await upstream.received()
        following = asyncio.ensure_future(serving.serve(follower))
        await asyncio.sleep(0.05)
        leading.cancel()
        served = await following
        with pytest.raises(asyncio.CancelledError):
            await leading

    assert served.broken is None
    assert len(upstream.requests) == 1
    found = sorted((called(row), row["state"], row["output"]) for row in rows(directory))
    assert found == [("follower/0", "free", 0), ("leader/1", "exact", 2)]


async def test_pictures_and_sound_are_priced_by_what_they_are(directory: Path) -> None:
    usage = {
        "input_tokens": 50,
        "output_tokens": 100,
        "total_tokens": 150,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
        "output_tokens_details": {"text_tokens": 0, "image_tokens": 100},
    }
    prices = {"upstream/gpt": {"input": 1, "output": 10, "input_image": 2, "output_image": 40}}
    prices["upstream/spoken"] = {"input": 0, "output": 0, "unit": 0.00001}
    provider = FakeUpstream().reply(json={"created": 1, "data": [{"b64_json": "AAAA"}], "usage": usage})
    provider.reply(json={"data": [{"url": "https://e.com/a"}], "usage": {"cost_in_usd_ticks": 1}})
    provider.reply(body=b"ID3", headers=[("Content-Type", "audio/mpeg")]).reply(json={"text": "Hello"})
    async with provider as upstream, ledger(directory, upstream, prices=prices) as serving:
        await serving.serve(
            make_exchange(path="/v1/images/generations", body={"model": "gpt", "prompt": "a cat"})
        )
        await serving.serve(
            make_exchange(path="/v1/images/generations", body={"model": "gpt", "prompt": "a cat"})
        )
        told = {"model": "upstream/spoken", "input": "Hello", "voice": "alloy"}
        await serving.serve(make_exchange(path="/v1/audio/speech", body=told))
        form = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nupstream/spoken\r\n--x--'
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        await serving.serve(make_exchange(path="/v1/audio/transcriptions", body=form, headers=kind))

    found = rows(directory)

    assert [(row["cost"], row["prices"][:6], row["units"], row["state"]) for row in found] == [
        (10 + 40 * 2 + 100 * 40, "config", 0, "exact"),
        (0, "unknow", 1, "exact"),
        (50, "config", 5, "exact"),
        (0, "unknow", 0, "estimated"),
    ]
    assert found[0]["parts"] == '{"input_image":40,"output_image":100}'
    with closing(Books(directory / FILE, reading=True)) as books:
        assert list(Audit(books).run(Period())) == []
