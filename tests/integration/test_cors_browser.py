"""What a browser makes of the gateway's CORS answers: Chromium, without a window, on loopback alone."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

from llmproxy.testing import FakeUpstream, running_gateway

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
KEY = "browser-0123456789abcdef"

#: Each asks once, and tells what the page could see of the answer.
PAGE = """<!doctype html><meta charset="utf-8"><body><script>
const key = {Authorization: "Bearer KEY"};
const asks = {
  simple: [{headers: key}],
  put: [{method: "PUT", headers: {...key, "Content-Type": "application/json", "X-Mine": "1"}, body: "{}"}],
  patch: [{method: "PATCH", headers: key}],
  header: [{headers: {...key, "X-Not-Allowed": "1"}}],
  wrong_key: [{headers: {Authorization: "Bearer wrong-0123456789"}}],
  cookies: [{headers: key, credentials: "include"}],
};
async function ask([options]) {
  try {
    const reply = await fetch("GATEWAY/orders", options);
    return [reply.status, reply.headers.get("x-shown"), reply.headers.get("x-hidden")];
  } catch (error) { return [error.name]; }
}
(async () => {
  const told = {};
  for (const name in asks) told[name] = await ask(asks[name]);
  document.body.textContent = "TOLD" + JSON.stringify(told) + "END";
})();
</script>"""

POLICY: dict[str, Any] = {
    "headers": ["Authorization", "Content-Type", "X-Mine"],
    "methods": ["GET", "PUT"],
    "expose": ["X-Shown"],
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]


async def shown(
    policy: dict[str, Any], folder: Path, *, origins: str = "own"
) -> tuple[dict[str, Any], list[str]]:
    """Return what the page saw, and which methods reached the service."""
    headers = [("X-Shown", "s"), ("X-Hidden", "h")]
    async with FakeUpstream().reply(json={}, headers=headers) as service, FakeUpstream() as site:
        page_origin = site.url.replace("127.0.0.1", "localhost")
        named = {"own": [page_origin], "others": ["https://app.example"], "all": ["*"]}[origins]
        config = {
            "upstreams": {"api": {"base_url": service.url, "dialect": "http"}},
            "plugins": {
                "cors": {**policy, "origins": named},
                "access": {"keys": [{"name": "web", "tenant": "shop", "key": "${env:KEY}"}]},
            },
            "pipeline": ["cors", "access"],
            "routes": [{"name": "all", "match": {"methods": ["GET", "PUT"]}, "upstream": "api"}],
        }
        async with running_gateway(config, environ={"KEY": KEY}) as gateway:
            page = PAGE.replace("GATEWAY", gateway.url).replace("KEY", KEY)
            site.reply(body=page.encode(), headers=[("Content-Type", "text/html")])
            text = await browsed(page_origin + "/", folder)
        return text, [request.method for request in service.requests]


async def browsed(url: str, folder: Path) -> dict[str, Any]:
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
        f"--user-data-dir={folder}",
        "--virtual-time-budget=8000",
        "--dump-dom",
        url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 50)
    found = re.search(rb"TOLD(.*)END</body>", out)
    assert found is not None, out[-2000:]
    told: dict[str, Any] = orjson.loads(found[1])
    return told


async def test_a_page_may_do_what_the_policy_says_and_nothing_else(tmp_path: Path) -> None:
    told, methods = await shown(POLICY, tmp_path)

    assert told == {
        "simple": [200, "s", None],
        "put": [200, "s", None],
        "patch": ["TypeError"],
        "header": ["TypeError"],
        "wrong_key": [401, None, None],
        "cookies": ["TypeError"],
    }
    assert methods.count("PUT") == 1
    assert "PATCH" not in methods
    assert "OPTIONS" not in methods


async def test_a_page_of_another_origin_sees_nothing(tmp_path: Path) -> None:
    told, methods = await shown(POLICY, tmp_path, origins="others")

    assert set(map(tuple, told.values())) == {("TypeError",)}
    assert methods == []


async def test_cookies_go_along_where_the_policy_says(tmp_path: Path) -> None:
    told, _ = await shown({**POLICY, "credentials": True}, tmp_path)

    assert told["cookies"] == [200, "s", None]


async def test_all_headers_are_those_that_a_page_asks_for(tmp_path: Path) -> None:
    told, _ = await shown({**POLICY, "headers": ["*"]}, tmp_path, origins="all")

    assert told["header"] == told["simple"] == [200, "s", None]
    assert told["cookies"] == ["TypeError"]
