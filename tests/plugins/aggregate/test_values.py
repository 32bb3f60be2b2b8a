from __future__ import annotations

from llmproxy.testing import FakeUpstream

from .stage import ask, merged, serving


async def test_what_the_request_lacks_is_its_callers_fault() -> None:
    route = merged(calls={"a": "/a?q={query/q}"})
    async with FakeUpstream().reply(json=1) as api, serving(api, route) as running:
        served = await ask(running)

        assert (served.reply.status, served.json()["code"]) == (400, "missing_value")
        assert api.requests == []


async def test_a_body_that_is_no_json_is_refused() -> None:
    route = merged("/note", calls={"a": "/a/{body/x}"})
    async with FakeUpstream() as api, serving(api, route) as running:
        served = await ask(running, "/note", "POST", body=b"{nope")

        assert (served.reply.status, served.json()["code"]) == (400, "invalid_json")
