"""`llmproxy cache`, against a gateway that caches and against others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from llmproxy.caches import entry_slots
from llmproxy.cli import main
from llmproxy.plugin import CacheSpace, Entry, Plugin, Runtime, hookimpl
from llmproxy.testing import RunningGateway, running_gateway

TOKEN = "0123456789abcdef"
SPACES: dict[str, CacheSpace] = {}


class Caching(Plugin[Any]):
    """A cache: holds the spaces of two stores."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, runtime: Runtime) -> AsyncIterator[None]:
        async with runtime.cache_space("main") as main, runtime.cache_space("other") as other:
            SPACES.update(main=main, other=other)
            yield


@asynccontextmanager
async def caching(plugins: dict[str, Any] | None = None) -> AsyncIterator[RunningGateway]:
    tree = {
        "admin": {"listen": "127.0.0.1:0", "token": "${env:TOKEN}"},
        "stores": {"main": "memory://", "other": "memory://?max_bytes=1MiB"},
        "plugins": {"caching": {"use": Caching}} if plugins is None else plugins,
        "routes": [],
    }
    async with running_gateway(tree, environ={"TOKEN": TOKEN}) as gateway:
        yield gateway


async def purge(gateway: RunningGateway, *options: str) -> Result:
    arguments = ["cache", "purge", *options, "--admin", gateway.admin_url, "--token-env", "TOKEN"]
    return await asyncio.to_thread(CliRunner().invoke, main, arguments, env={"TOKEN": TOKEN})


async def fill() -> None:
    for space in SPACES.values():
        for tag in ("a", "b"):
            slots = entry_slots(tenant="t", route="r", url=f"/{tag}/x", tags=[tag])
            await space.put(tag.encode(), Entry(200, b"", b"", mark=space.now(), slots=slots), 60)


def held(store: str) -> str:
    found = {tag: SPACES[store].peek(tag.encode()) for tag in ("a", "b")}
    return " ".join(tag + "*" * each.stale for tag, each in found.items() if each is not None)


@pytest.mark.parametrize(
    ("options", "says", "left"),
    [
        (["--tag", "a"], "purged: 1 tag in main, other", ("b", "b")),
        (["--prefix", "/a/", "--tag", "b"], "purged: 2 tags in main, other", ("", "")),
        (["--tag", "a", "--soft"], "purged softly: 1 tag in main, other", ("a* b", "a* b")),
        (["--all", "--store", "other"], "purged: 1 tag in other", ("a b", "")),
        (["--tenant", "t"], "purged: 1 tag in main, other", ("", "")),
        (["--tenant", "u", "--tag", "a"], "purged: 1 tag in main, other", ("a b", "a b")),
    ],
)
async def test_what_is_named_is_purged(options: list[str], says: str, left: tuple[str, str]) -> None:
    async with caching() as gateway:
        await fill()
        run = await purge(gateway, *options)

        assert (run.stdout, run.exit_code) == (says + "\n", 0), run.stderr
        assert (held("main"), held("other")) == left


@pytest.mark.parametrize(
    ("options", "says", "code"),
    [
        ([], "Nothing is named", 2),
        (["--prefix", "a"], "neither a URL nor a path", 2),
        (["--tag", "a", "--store", "third"], "used: main, other", 78),
    ],
)
async def test_what_cannot_be_purged_says_why(options: list[str], says: str, code: int) -> None:
    async with caching() as gateway:
        run = await purge(gateway, *options)

    assert says in run.stderr
    assert run.exit_code == code


async def test_a_gateway_that_caches_nothing_says_so() -> None:
    async with caching({}) as gateway:
        run = await purge(gateway, "--all")

    assert "No store is used as a cache" in run.stderr
    assert run.exit_code == 78


def test_somebody_has_to_be_asked(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("{}")
    nobody = CliRunner().invoke(main, ["cache", "purge", "--all"])
    closed = CliRunner().invoke(main, ["cache", "purge", "--all", "-c", str(path)])

    assert (nobody.exit_code, closed.exit_code) == (2, 78)
    assert "name the gateway" in nobody.stderr
    assert "no fixed address" in closed.stderr
