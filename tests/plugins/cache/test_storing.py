"""Which answers are good enough to be given again."""

from __future__ import annotations

import orjson
from tests.plugins.cache.talking import (
    ASK,
    KEEP,
    answering,
    bench,
    completion,
)


async def test_strangers_do_not_share_what_can_be_read_in_two_ways() -> None:
    twice = orjson.dumps(ASK)[:-1] + b',"messages":[{"role":"user","content":"?"}]}'
    async with bench(answering(completion()), **KEEP, scope="public") as b:
        await b.ask(twice, content_type="application/json")
        await b.ask(twice, content_type="application/json")

        assert b.calls == 2
