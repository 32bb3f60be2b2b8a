"""Nobody is answered with another's bytes, nor with what was purged once the purge has returned."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from .process import GatewayProcess
from .walking import TENANTS, TOKEN, Origin, Walk, key_of

CONFIG = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0, token: "${{env:ADMIN_TOKEN}}"}}
stores:
  main: {{url: "{store}"{near}}}
upstreams:
  origin: {{base_url: "{origin}", dialect: http}}
  provider: {{base_url: "{origin}/v1", dialect: openai}}
plugins:
  access: {{keys: [{keys}]}}
  httpcache: {{store: main}}
  answers: {{use: cache, store: main}}
pipeline: [access]
log: {{level: warning}}
routes:
  - name: items
    match: {{path: "/items/*"}}
    upstream: origin
    plugins: [httpcache: {{profile: {profile}}}]
  - name: things
    match: {{path: "/things/*"}}
    upstream: origin
    plugins: [httpcache: {{profile: {profile}}}]
  - name: chat
    match: {{path: "/v1/*"}}
    upstream: provider
    plugins: [answers: {{profile: deterministic}}]
"""


async def walk(folder: Path, store: str, *, near: bool, workers: int, instances: int, steps: int) -> Walk:
    keys = ", ".join(
        f'{{name: {name}, tenant: {name}, key: "${{env:KEY_{name.upper()}}}"}}' for name in TENANTS
    )
    environ = {"ADMIN_TOKEN": TOKEN, **{f"KEY_{name.upper()}": key_of(name) for name in TENANTS}}
    async with Origin() as origin:
        text = CONFIG.format(
            store=store,
            near=', near: "memory://?max_bytes=8MiB"' if near else "",
            origin=origin.url,
            keys=keys,
            profile="rfc9111",
        )
        (folder / "gateway.yaml").write_text(text)
        command = ("-c", folder / "gateway.yaml", "--workers", str(workers))
        with ExitStack() as stack:
            started = [
                stack.enter_context(GatewayProcess(*command, environ=environ)) for _ in range(instances)
            ]
            walk = Walk(origin, tuple((each.url, each.admin_url) for each in started), seed=20261122)
            await walk.run(steps)
            walk.outcomes["upstream"] = origin.asked
    return walk


def judge(walk: Walk, steps: int) -> None:
    print(dict(walk.outcomes))

    assert walk.wrong == []
    assert walk.outcomes["hit"] > steps // 40  # else nothing was tested
    assert walk.outcomes["purge"] > steps // 50


STORES = ["memory", "lmdb", "lmdb-near", "valkey", "valkey-near"]


def url_of(name: str, folder: Path, request: pytest.FixtureRequest) -> str:
    engine = name.partition("-")[0]
    if engine == "valkey":
        server = request.getfixturevalue("valkey")
        return f"valkey://{server.host}:{server.port}/0?timeout=5s&prefix={name}:"
    return {"memory": "memory://?max_bytes=16MiB", "lmdb": f"lmdb://{folder}/store?map_size=64MiB"}[engine]


@pytest.mark.parametrize("store", ["memory", "lmdb-near", "valkey-near"])
async def test_a_walk_meets_no_foreign_byte_and_no_purged_one(
    store: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = url_of(store, tmp_path, request)
    judge(await walk(tmp_path, url, near="near" in store, workers=2, instances=1, steps=1000), 1000)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("store", STORES)
async def test_nor_does_one_of_200_000_steps(
    store: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = url_of(store, tmp_path, request)
    judge(await walk(tmp_path, url, near="near" in store, workers=2, instances=1, steps=200_000), 200_000)
