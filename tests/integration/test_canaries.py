"""One canary of each kind of secret, sent everywhere: no sink of the gateway shows any of them."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from llmproxy.plugin import Clock
from llmproxy.tasks import spawn
from llmproxy.testing import FakeUpstream, RawClient

from .process import GatewayProcess, clean_environ

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share sockets as Linux does")

SECRETS = {
    "UPSTREAM": "sk-canary-upstream-0123456789abcdef",
    "CALLER": "llmp-canary-caller-0123456789abcdef",
    "ADMIN": "canary-admin-0123456789abcdef",
    "PEPPER": "canary-pepper-0123456789abcdef-0123456789",
    "MODEL": "sk-canary-model-0123456789abcdef",  # where a model's name belongs
    "LITERAL": "canary-literal-0123456789abcdef",
}
PROMPT = "canary prompt of the caller 0123456789"
KINDS = (
    "ok",
    "stream",
    "refused",
    "wrong",
    "busy",
    "broken",
    "cut",
    "garbage",
    "odd",
    "stalled",
    "away",
    "nowhere",
)
CONFIG = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0, token: "${{env:ADMIN}}"}}
log: {{level: debug}}
stores: {{kept: {{url: "{store}"}}}}
upstreams:
{upstreams}
models: {{{models}}}
prices: {{{prices}}}
plugins:
  access:
    keys: [{{name: web, tenant: acme, key: "${{env:CALLER}}"}}]
    database: {{path: "{folder}/access.db", pepper: "${{env:PEPPER}}"}}
    jwt: [{{name: corp, issuer: corp, audience: [llmproxy], jwks: "{corp}/keys", claims: {{tenant: org, user: sub}}}}]
  accesslog: {{}}
  calllog: {{path: "{folder}/calls.db"}}
  ledger: {{directory: "{folder}/ledger", post_every: 100ms}}
  metrics: {{}}
  cache: {{store: kept, show_key: true}}
  quota:
    store: kept
    limits:
    - {{name: calls, scope: key, counts: requests, at_most: 1000, window: month}}
    - {{name: words, scope: user, counts: tokens, at_most: 1000000, window: month}}
    - {{name: budget, counts: money, at_most: 100, window: month}}
pipeline: [access, accesslog, calllog, metrics, ledger, cache, quota]
routes:
- {{name: chat, match: {{path: /v1/*}}, plugins: [{{cache: {{profile: faq}}}}]}}
"""
ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
}


def scripted(api: FakeUpstream) -> None:
    """Have the upstream answer in every way there is, and repeat the prompt in its errors."""
    said = {"error": {"message": f"Not {PROMPT!r}", "code": "no", "type": "x"}}
    delta = {"choices": [{"index": 0, "delta": {"content": "Hi."}}]}
    events = [b"data: " + orjson.dumps(each) + b"\n\n" for each in (delta, ANSWER | {"choices": []})]
    at = "/{}/chat/completions".format
    api.reply(json=ANSWER, path=at("ok"))
    api.stream([*events, b"data: [DONE]\n\n"], path=at("stream"))
    for kind, status in (("refused", 400), ("wrong", 401), ("busy", 429), ("broken", 500)):
        api.reply(status, json=said, path=at(kind))
    api.raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{", path=at("cut")
    )
    api.raw(f"{PROMPT} {SECRETS['UPSTREAM']}\r\n\r\n".encode(), path=at("garbage"))
    api.reply(200, body=orjson.dumps(said)[:-9], headers=[("X-Odd", "1")], path=at("odd"))
    api.raw(9.0, path=at("stalled"))


class Site:
    """A gateway, and all that can be seen of it."""

    def __init__(self, gateway: GatewayProcess, file: Path, folder: Path, corp_key: ECKey) -> None:
        claims = {
            "iss": "corp",
            "aud": "llmproxy",
            "exp": int(Clock().wall()) + 600,
            "org": "acme",
            "sub": "ann",
        }
        self.token = jwt.encode({"alg": "ES256", "kid": "one"}, claims | {"mail": "canary@mail"}, corp_key)
        self.gateway, self.file, self.folder = gateway, file, folder
        self.secrets = {
            **SECRETS,
            "PROMPT": PROMPT,
            "TOKEN": self.token,
            "SIGNATURE": self.token.rpartition(".")[2],
        }
        self.secrets["CLAIMS"] = self.token.split(".")[1]
        self.told: dict[str, bytes] = {}

    def found(self, sinks: dict[str, bytes], *, but: tuple[str, ...] = ()) -> list[tuple[str, str]]:
        """Return which canary is in which sink, as it is or as Base64 has it."""
        wanted = {name: word for name, word in self.secrets.items() if name not in but}
        forms = {
            (name, form)
            for name, word in wanted.items()
            for form in (word.encode(), *_base64(word.encode()), word.encode().hex().encode())
        }
        return sorted({(name, sink) for sink, data in sinks.items() for name, form in forms if form in data})

    async def exchange(self, url: str, method: str, path: str, bearer: str, body: object = None) -> bytes:
        """Ask, and return all that came."""
        data = b"" if body is None else orjson.dumps(body)
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {bearer}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        async with RawClient(url, timeout=10.0) as client:
            with suppress(ValueError):  # what was cut
                answer = await client.exchange(head.encode() + data)
                return repr(answer.head).encode() + b"\n" + answer.body
            return b""

    async def ask(self, model: str, bearer: str, **more: Any) -> None:
        """Ask for a completion."""
        body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "temperature": 0, **more}
        answer = await self.exchange(self.gateway.url, "POST", "/v1/chat/completions", bearer, body)
        self.told[f"answer {model} {len(self.told)}"] = answer

    async def admin(
        self, method: str, path: str, body: object = None, bearer: str = SECRETS["ADMIN"]
    ) -> bytes:
        """Ask the admin listener, and keep what it tells."""
        answer = await self.exchange(self.gateway.admin_url, method, path, bearer, body)
        self.told[f"{method} {path} {len(self.told)}"] = answer
        return answer

    async def command(self, *words: str, **environ: str) -> None:
        """Run a command, and keep what it tells."""
        run = [sys.executable, "-m", "llmproxy", *words]
        given = {**clean_environ(), **SECRETS, **environ}
        done = await asyncio.to_thread(subprocess.run, run, env=given, capture_output=True, check=False)
        self.told[f"{len(self.told)} {words[0]}"] = done.stdout + done.stderr

    def files(self) -> dict[str, bytes]:
        """Return the bytes of all files that the gateway has written."""
        return {str(path): path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}


def _base64(word: bytes) -> Iterator[bytes]:
    for shift in range(3):
        coded = base64.b64encode(b"." * shift + word)
        yield coded[4 if shift else 0 : -4]


@asynccontextmanager
async def serving(tmp_path: Path, store: str) -> AsyncIterator[Site]:
    file, folder = tmp_path / "gateway.yaml", tmp_path / "state"
    folder.mkdir()
    key = ECKey.generate_key("P-256", {"kid": "one"})
    async with FakeUpstream() as api, FakeUpstream() as corp:
        scripted(api)
        corp.reply(json={"keys": [key.as_dict(private=False)]})
        places = [
            f'  {kind}: {{base_url: "{"http://127.0.0.1:9" if kind == "away" else api.url}/{kind}", dialect: openai, '
            f'api_key: "${{env:UPSTREAM}}", timeouts: {{headers: 300ms}}}}'
            for kind in KINDS
        ]
        prices = ", ".join(f"{kind}/*: {{input: 1, output: 10}}" for kind in KINDS)
        models = ", ".join(f"{kind}: {kind}/m" for kind in KINDS[:-1])
        file.write_text(
            CONFIG.format(
                store=store,
                upstreams="\n".join(places),
                models=models,
                prices=prices,
                folder=folder,
                corp=corp.url,
            )
        )
        with GatewayProcess("-c", file, "--no-watch", "--workers", "2", environ=SECRETS) as gateway:
            yield Site(gateway, file, folder, key)


async def use(site: Site) -> None:
    """Ask for everything, rightly and wrongly."""
    made = orjson.loads(
        (await site.admin("POST", "/access/keys", {"name": "made", "tenant": "acme"})).split(b"\n", 1)[1]
    )
    site.told.popitem()  # a key is shown once, here
    site.secrets["MADE"] = made["key"]
    bearers = [SECRETS["CALLER"], made["key"], site.token]
    for number, model in enumerate((*KINDS, *KINDS)):
        await site.ask(model, bearers[number % 3], stream=model in ("stream", "cut") and number % 2 == 0)
    for wrong in (
        SECRETS["CALLER"] + "x",
        site.token[:-5] + "AAAAA",
        SECRETS["ADMIN"],
        "llmp-" + SECRETS["LITERAL"],
    ):
        await site.ask("ok", wrong)
    await site.ask(SECRETS["MODEL"], SECRETS["CALLER"])
    for path in (f"/v1/models?key={SECRETS['CALLER']}", f"/nowhere/{SECRETS['LITERAL']}", "/v1/models"):
        await site.exchange(site.gateway.url, "GET", path, SECRETS["CALLER"])


async def look(site: Site) -> None:
    """Look at everything that the admin listener tells."""
    paths = ("/", "/metrics", "/config", "/plugins", "/logs?limit=1000", "/access/keys", "/access/keys/made")
    for path in (*paths, "/nowhere"):
        await site.admin("GET", path)
    await site.admin("GET", "/config", bearer="x" + SECRETS["ADMIN"])
    await site.admin("POST", "/access/keys", {"name": "made", "tenant": "acme"})


def broken(good: str) -> list[str]:
    """Return configurations that are wrong, and hold a secret in the wrong place."""
    return [
        good.replace('token: "${env:ADMIN}"', f'tokn: "{SECRETS["LITERAL"]}"'),
        good.replace("issuer: corp", f"issuer: [{SECRETS['LITERAL']}]"),
        good.replace('key: "${env:CALLER}"', f"key: {SECRETS['LITERAL']}"),
        good + f"\n  - [{SECRETS['LITERAL']}",
    ]


async def test_no_sink_shows_a_secret_or_a_prompt(tmp_path: Path) -> None:
    async with serving(tmp_path, f"lmdb://{tmp_path}/state/kept") as site:
        await use(site)
        await look(site)
        for bad in broken(site.file.read_text()):
            site.file.write_text(bad)
            await site.admin("POST", "/reload")
        during = site.files()
        os.kill(site.gateway.workers()[0], signal.SIGABRT)
        await site.gateway.said("worker_died")
    answers = {name: told for name, told in site.told.items() if name.startswith("answer")}
    rest = {name: told for name, told in site.told.items() if name not in answers}

    assert len(answers) == 2 * len(KINDS) + 5
    assert site.found({"output": site.gateway.text.encode()}) == []
    assert site.found(during) + site.found(site.files()) == []
    assert site.found(rest) == []
    assert site.found(answers, but=("PROMPT", "MODEL")) == []  # callers may be told what they said


@pytest.mark.slow
async def test_no_command_shows_a_secret_or_a_prompt(tmp_path: Path) -> None:
    request = ("/v1/chat/completions", "-X", "POST", "-H", f"Authorization: Bearer {SECRETS['CALLER']}")
    body = orjson.dumps({"model": "ok", "messages": [{"role": "user", "content": PROMPT}]}).decode()
    async with serving(tmp_path, f"lmdb://{tmp_path}/state/kept") as site:
        await use(site)
        site.told.clear()
        at, good = ("-c", str(site.file)), site.file.read_text()
        await site.command("explain", *request, "-d", body, *at)
        await site.command("check", str(site.file))
        await site.command("check", str(site.file), UPSTREAM="")
        await site.command("keys", "list", *at)
        await site.command("logs", str(site.folder / "calls.db"))
        await site.command("usage", "export", *at)
        for number, bad in enumerate(broken(good)):
            wrong = tmp_path / f"bad-{number}.yaml"
            wrong.write_text(bad)
            await site.command("check", str(wrong))

    assert all(site.told.values())
    assert site.found(site.told) == []


@pytest.mark.slow
async def test_valkey_is_sent_no_secret_and_no_prompt(tmp_path: Path, valkey: Any) -> None:
    url = f"valkey://{valkey.host}:{valkey.port}/0?prefix={uuid4().hex}:"
    reader, writer = await asyncio.open_connection(valkey.host, valkey.port)
    writer.write(b"MONITOR\r\n")
    seen = bytearray()

    async def watch() -> None:
        while data := await reader.read(1 << 20):
            seen.extend(data)

    watching = spawn(watch(), name="monitor")
    async with serving(tmp_path, url) as site:
        await use(site)
    writer.close()
    await watching

    assert len(seen) > 10_000
    assert site.found({"monitor": bytes(seen)}) == []
