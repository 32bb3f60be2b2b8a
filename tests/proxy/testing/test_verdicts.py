import asyncio

import pytest

from llmproxy.tasks import spawn
from llmproxy.testing.verdicts import Verdicts


def test_what_is_sent_counts_for_request_line_and_totals():
    verdicts = Verdicts()
    line = verdicts.open_line()
    served = verdicts.begin("a", line, "GET", "/")
    verdicts.sent(served, 10, 2)
    verdicts.finish(served)

    assert (served.bytes_out, line.bytes_out, verdicts.totals.bytes_out) == (10, 10, 10)
    assert (served.events, verdicts.totals.events, verdicts.totals.complete, served.complete) == (
        2,
        2,
        1,
        True,
    )


def test_a_request_without_an_id_is_named_by_connection_and_place():
    verdicts = Verdicts()
    line = verdicts.open_line()

    assert [verdicts.begin("", line, "GET", "/").request_id for _ in range(2)] == ["1.1", "1.2"]


def test_a_request_may_be_named_later():
    verdicts = Verdicts()
    served = verdicts.begin("", verdicts.open_line(), "GET", "/")
    verdicts.name(served, "late")

    assert verdicts.of("late")[0]["request_id"] == "late"
    assert verdicts.of("1.1") == []


def test_a_reset_forgets_all_but_open_connections():
    verdicts = Verdicts()
    gone, still = verdicts.open_line(), verdicts.open_line()
    served = verdicts.begin("a", still, "GET", "/")
    verdicts.close_line(gone, None)
    verdicts.reset()
    verdicts.name(served, "b")

    assert (verdicts.open, verdicts.lines, verdicts.served) == (1, {2: still}, {})
    assert verdicts.summary()["opened"] == 0


async def test_a_close_is_waited_for_with_its_time():
    verdicts = Verdicts()
    waiting = spawn(verdicts.closed("a"), name="waits")
    await asyncio.sleep(0)
    line = verdicts.open_line()
    served = verdicts.begin("a", line, "GET", "/")
    await asyncio.sleep(0)
    verdicts.close_line(line, served)

    assert await waiting == line.closed == served.closed
    assert verdicts.totals.abandoned == 1


async def test_a_close_that_does_not_come_is_a_timeout():
    verdicts = Verdicts()
    verdicts.begin("a", verdicts.open_line(), "GET", "/")

    with pytest.raises(TimeoutError):
        await verdicts.closed("a", within=0.02)
    with pytest.raises(TimeoutError):
        await verdicts.arrived("b", within=0.02)
