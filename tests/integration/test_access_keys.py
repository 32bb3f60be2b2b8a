"""Keys of a database, through a gateway of two workers: made, used, revoked, and nowhere written down."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from llmproxy.plugin import Clock
from llmproxy.testing import FakeUpstream, RawClient

from .process import GatewayProcess, clean_environ

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")

TOKEN = "the-admin-token-of-this-test"
PEPPER = "canary-pepper-0123456789abcdef-0123456789"
CONFIG = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0, token: "${{env:ADMIN_TOKEN}}"}}
upstreams:
  api: {{base_url: "{url}", dialect: openai, api_key: "${{env:UPSTREAM}}"}}
models: {{fast: api/gpt-fast, slow: api/gpt-slow}}
plugins: {{access: {{database: {{path: "{path}", pepper: "${{env:PEPPER}}"}}}}, accesslog: {{}}}}
pipeline: [access, accesslog]
routes: [{{name: chat, match: {{path: /v1/*}}}}, {{name: other, match: {{path: /other/*}}, upstream: api}}]
"""
TOKENS = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0, token: "${{env:ADMIN_TOKEN}}"}}
upstreams:
  api: {{base_url: "{url}", dialect: openai, api_key: "${{env:UPSTREAM}}"}}
models: {{fast: api/gpt-fast, slow: api/gpt-slow}}
plugins:
  access:
    jwt:
      - name: corp
        issuer: corp
        audience: [llmproxy]
        jwks: "{corp}/keys"
        claims: {{tenant: org, user: sub}}
        models: [fast]
  accesslog: {{}}
pipeline: [access, accesslog]
routes: [{{name: chat, match: {{path: /v1/*}}}}]
"""
ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "model": "gpt-fast",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
ENVIRON = {"ADMIN_TOKEN": TOKEN, "PEPPER": PEPPER, "UPSTREAM": "canary-upstream-key"}


class Site:
    """A gateway, and those who ask it."""

    def __init__(self, gateway: GatewayProcess, file: Path) -> None:
        self.gateway = gateway
        self._file = file

    async def admin(self, method: str, path: str, body: object = None) -> Any:
        data = b"" if body is None else orjson.dumps(body)
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: admin\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        async with RawClient(self.gateway.admin_url) as client:
            return (await client.exchange(head.encode() + data)).json()

    async def ask(self, key: str, model: str = "fast", path: str = "/v1/chat/completions") -> tuple[int, Any]:
        """Ask on a connection of its own, which any worker may take."""
        data = orjson.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]})
        head = (
            f"POST {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        async with RawClient(self.gateway.url) as client:
            answer = await client.exchange(head.encode() + data)
        return answer.status, answer.json()

    async def models(self, key: str) -> list[str]:
        head = f"GET /v1/models HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {key}\r\n\r\n"
        async with RawClient(self.gateway.url) as client:
            told: Any = (await client.exchange(head.encode())).json()
        return [each["id"] for each in told["data"]]

    async def statuses(self, key: str, times: int = 16) -> set[int]:
        """Return how a key fares on many connections, which both workers take."""
        return {status for status, _ in [await self.ask(key) for _ in range(times)]}

    async def becomes(self, key: str, wanted: set[int]) -> None:
        """Wait until a key fares so on all workers."""
        async with asyncio.timeout(15.0):
            while await self.statuses(key) != wanted:
                await asyncio.sleep(0.02)

    async def command(self, *arguments: str) -> Any:
        """Run `llmproxy keys` in another process."""
        run = [sys.executable, "-m", "llmproxy", "keys", *arguments, "-c", str(self._file), "--json"]
        environ = {**clean_environ(), **ENVIRON}
        done = await asyncio.to_thread(subprocess.run, run, env=environ, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return orjson.loads(done.stdout)


@pytest.fixture
async def site(tmp_path: Path) -> Any:
    file = tmp_path / "gateway.yaml"
    async with FakeUpstream().reply(json=ANSWER) as api:
        file.write_text(CONFIG.format(url=f"{api.url}/v1", path=tmp_path / "state" / "access.db"))
        with GatewayProcess("-c", file, "--workers", "2", environ=ENVIRON) as gateway:
            yield Site(gateway, file)


async def test_a_key_made_and_revoked_over_the_admin_listener_is_so_on_both_workers_at_once(
    site: Site,
) -> None:
    made = await site.admin("POST", "/access/keys", {"name": "web", "tenant": "shop"})
    before = await site.statuses(made["key"])
    revoked = await site.admin("POST", "/access/keys/web/revoke")
    after = await site.statuses(made["key"])

    # A worker that was too busy to answer is named, and hears of it a moment later.
    aware = "workers_unaware" not in {*made, *revoked}
    assert not aware or (before, after) == ({200}, {401})
    await site.becomes(made["key"], {401})


async def test_the_commands_are_noticed_by_a_gateway_that_runs(site: Site) -> None:
    first = await site.command("create", "web", "--tenant", "shop")
    await site.becomes(first["key"], {200})
    second = await site.command("rotate", "web", "--overlap", "1h")
    await site.becomes(second["key"], {200})
    both = await site.statuses(first["key"])
    await site.command("revoke", first["id"])
    await site.becomes(first["key"], {401})

    assert both == {200}
    assert await site.statuses(second["key"]) == {200}


async def test_a_team_has_its_models_and_routes_and_others_are_refused_in_the_callers_dialect(
    site: Site,
) -> None:
    await site.admin("PUT", "/access/orgs/acme", {})
    await site.admin("PUT", "/access/teams/search", {"org": "acme", "models": ["fast"], "routes": ["chat"]})
    made = await site.admin("POST", "/access/keys", {"name": "web", "team": "search"})
    key = made["key"]
    answers = [
        await site.ask(key, "fast"),
        await site.ask(key, "slow"),
        await site.ask(key, path="/other/chat/completions"),
    ]

    assert [status for status, _ in answers] == [200, 403, 403]
    assert [answer["error"]["code"] for _, answer in answers[1:]] == [
        "model_not_allowed",
        "route_not_allowed",
    ]
    assert await site.models(key) == ["fast"]


async def test_a_reload_loses_no_key_and_brings_none_back(site: Site, tmp_path: Path) -> None:
    kept, gone = [
        (await site.admin("POST", "/access/keys", {"name": name, "tenant": "shop"}))["key"]
        for name in ("a", "b")
    ]
    await site.admin("POST", "/access/keys/b/revoke")
    file = tmp_path / "gateway.yaml"
    file.write_text(file.read_text().replace("slow: api/gpt-slow", "slower: api/gpt-slow"))
    reloaded = await site.admin("POST", "/reload")
    statuses = [await site.statuses(kept), await site.statuses(gone)]
    models = await site.models(kept)
    await site.admin("POST", "/access/keys/a/revoke")

    assert reloaded["reloaded"]
    assert statuses == [{200}, {401}]
    assert "slower" in models
    assert await site.statuses(kept) == {401}


async def test_no_key_and_no_pepper_is_in_a_log_an_answer_or_a_file(site: Site, tmp_path: Path) -> None:
    made = await site.admin("POST", "/access/keys", {"name": "web", "tenant": "shop"})
    secret = made["key"].rpartition("-")[2]
    wrong = made["key"][:-6] + "canary"
    told = [await site.ask(made["key"]), await site.ask(wrong), await site.ask(made["key"], "none")]
    told += [
        await site.admin("GET", path) for path in ("/access/keys", "/access/keys/web", "/config", "/plugins")
    ]
    told += [await site.admin("POST", "/access/keys", {"name": "web", "tenant": "shop"})]
    await site.admin("POST", "/access/keys/web/revoke")
    told.append(await site.ask(made["key"]))

    files = [file.read_bytes() for file in sorted((tmp_path / "state").iterdir())]
    assert files
    shown = f"{told} {site.gateway.text} {files}"
    assert [word for word in (secret, wrong, PEPPER, TOKEN) if word in shown] == []


async def test_a_gateway_does_not_start_without_a_pepper_or_with_another(site: Site, tmp_path: Path) -> None:
    await site.admin("POST", "/access/keys", {"name": "web", "tenant": "shop"})
    file = tmp_path / "gateway.yaml"

    assert "database.pepper" in await _refused(
        file, {**ENVIRON, "PEPPER": "another-0123456789abcdef-0123456789"}
    )
    file.write_text(file.read_text().replace(', pepper: "${env:PEPPER}"', ""))
    assert "pepper: missing" in await _refused(file, ENVIRON)


async def _refused(file: Path, environ: dict[str, str]) -> str:
    gateway = GatewayProcess("-c", file, "--no-watch", environ=environ).start()
    assert await gateway.exited() != 0
    return gateway.text


async def test_a_token_of_an_issuer_is_let_in_by_both_workers_and_written_down_nowhere(
    tmp_path: Path,
) -> None:
    key = ECKey.generate_key("P-256", {"kid": "one"})
    file = tmp_path / "gateway.yaml"
    async with FakeUpstream().reply(json=ANSWER) as api, FakeUpstream() as corp:
        corp.reply(json={"keys": [key.as_dict(private=False)]})
        file.write_text(TOKENS.format(url=f"{api.url}/v1", corp=corp.url))
        claims = {
            "iss": "corp",
            "aud": "llmproxy",
            "exp": int(Clock().wall()) + 600,
            "org": "acme",
            "sub": "ann",
        }
        good = jwt.encode({"alg": "ES256", "kid": "one"}, claims, key)
        forged = good.rpartition(".")[0] + ".canarycanarycanary"
        with GatewayProcess("-c", file, "--workers", "2", environ=ENVIRON) as gateway:
            site = Site(gateway, file)
            statuses = [await site.statuses(good), await site.statuses(forged, 4)]
            told = [await site.ask(forged), await site.ask(good, "slow")]
            text = gateway.text

    assert statuses == [{200}, {401}]
    assert [status for status, _ in told] == [401, 403]
    assert {request.header("authorization") for request in api.requests} == {"Bearer canary-upstream-key"}
    assert 1 <= len(corp.requests) <= 2
    assert [
        word for word in (good, forged, good.split(".")[1], "canarycanary") if word in f"{told} {text}"
    ] == []
