from __future__ import annotations

from llmproxy.testing import FakeUpstream

from .stage import staged


async def test_members_of_caches_nearer_to_the_origin_stand_first() -> None:
    headers = [("Cache-Control", "max-age=60"), ("Cache-Status", "origin; hit")]
    async with staged(FakeUpstream().reply(body=b"x", headers=headers)) as stage:
        for _ in range(2):
            members = (await stage.ask()).reply.headers.get_all("cache-status")

            assert members[0] == "origin; hit"
            assert members[1].startswith("llmproxy;")


async def test_the_key_is_told_as_a_digest() -> None:
    async with staged(FakeUpstream().reply(body=b"x")) as stage:
        told = (await stage.ask("/secret")).reply.headers.get("cache-status") or ""

        assert "key=" in told
        assert "secret" not in told
