from __future__ import annotations

import asyncio

import pytest

from llmproxy.errors import StartError
from llmproxy.plugin import Postgres, PostgresUrl

STEPS = ["CREATE TABLE things (name text PRIMARY KEY)", "INSERT INTO things VALUES ('first')"]


async def build(url: str, name: str, steps: list[str]) -> None:
    postgres = Postgres(PostgresUrl(url), "llmproxy_test")
    try:
        await postgres.build(name, steps)
    finally:
        await postgres.close()


async def names(url: str) -> list[str]:
    postgres = Postgres(PostgresUrl(url), "llmproxy_test")
    try:
        found = await postgres.run(
            lambda connection: connection.fetch("SELECT name FROM things ORDER BY name")
        )
        return [row["name"] for row in found]
    finally:
        await postgres.close()


async def test_each_step_is_taken_once_whoever_comes_at_once(postgres_url: str) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(build(postgres_url, "things", STEPS))

    assert await names(postgres_url) == ["first"]


async def test_a_later_gateway_takes_the_further_steps_alone(postgres_url: str) -> None:
    await build(postgres_url, "things", STEPS)
    await build(postgres_url, "things", [*STEPS, "INSERT INTO things VALUES ('second')"])

    assert await names(postgres_url) == ["first", "second"]


async def test_tables_of_several_names_stand_beside_one_another(postgres_url: str) -> None:
    await build(postgres_url, "things", STEPS)
    await build(postgres_url, "others", ["CREATE TABLE others (name text)"])
    await build(postgres_url, "things", STEPS)

    assert await names(postgres_url) == ["first"]


async def test_tables_of_a_newer_gateway_are_left_alone(postgres_url: str) -> None:
    await build(postgres_url, "things", STEPS)

    with pytest.raises(StartError, match="of step 2, and this gateway knows 1"):
        await build(postgres_url, "things", STEPS[:1])
