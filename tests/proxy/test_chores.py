import asyncio

from structlog.testing import capture_logs

from llmproxy.chores import Chore, do_chores


async def test_what_fails_or_takes_too_long_is_told_and_stops_nobody() -> None:
    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0.05)
        done.append("work")

    async def fail() -> None:
        raise ValueError("secret")

    async def hang() -> None:
        await asyncio.sleep(60)

    with capture_logs() as lines:
        await do_chores(
            [Chore("p", "fails", fail, 5), Chore("p", "hangs", hang, 0.01), Chore("p", "works", work, 5)]
        )

    assert done == ["work"]
    assert sorted((line["event"], line["chore"]) for line in lines) == [
        ("chore_failed", "fails"),
        ("chore_given_up", "hangs"),
    ]


async def test_nothing_to_do_is_done() -> None:
    await do_chores([])
