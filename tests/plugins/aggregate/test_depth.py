from __future__ import annotations

from llmproxy.testing import FakeUpstream

from .stage import ask, merged, serving


async def test_an_answer_made_of_itself_is_refused() -> None:
    one, two = merged("/one", calls={"two": "/two"}), merged("/two", calls={"one": "/one"})
    async with FakeUpstream() as api, serving(api, one, two) as running:
        served = await ask(running, "/one")

        assert (served.reply.status, served.json()["code"]) == (508, "aggregate_loop")


async def test_aggregations_within_aggregations_are_bounded() -> None:
    routes = [merged(f"/{n}", calls={"next": f"/{n + 1}"}) for n in range(4)]
    wide = merged("/wide", calls={f"c{n}": "/x" for n in range(5)})
    async with (
        FakeUpstream().reply(json=1) as api,
        serving(api, *routes, wide, max_depth=3, max_calls=4) as running,
    ):
        deep = await ask(running, "/0")
        enough = await ask(running, "/1")
        many = await ask(running, "/wide")

        assert deep.reply.status == 508
        assert enough.json() == {"next": {"next": {"next": 1}}}
        assert (many.reply.status, many.json()["code"]) == (508, "aggregate_too_deep")
