"""`llmproxy serve` as an operator meets it: the first answer, what is refused at start, what is never said."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from llmproxy.testing import FakeUpstream, RawClient, RawReply

from .process import GatewayProcess, clean_environ

CONFIG = "listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}\nserver: {drain_pause: 1ms}\n"
ECHO = b'{"model":"demo/echo","messages":[{"role":"user","content":"Hello!"}]}'


def request(path: str, *headers: str, body: bytes = b"", method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: gateway", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


# The first answer.


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_without_a_file_the_printed_command_is_answered(workers: str) -> None:
    with GatewayProcess("--listen", "127.0.0.1:0", "--workers", workers) as gateway:
        await gateway.said("curl")
        (printed,) = (line for line in gateway.lines if "curl" in line)
        ran = subprocess.run([*shlex.split(printed), "-s"], capture_output=True, check=True)

    answer = orjson.loads(ran.stdout)
    assert answer["choices"][0]["message"]["content"] == "Hello!"


async def test_a_unix_socket_is_served_and_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    with GatewayProcess("--listen", f"unix:{path}", "--workers", "2") as gateway:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
        async with RawClient(f"unix:{path}") as client:
            reply = await client.exchange(request("/v1/chat/completions", body=ECHO))
        gateway.signal(signal.SIGTERM)

        assert await gateway.exited() == 0

    assert reply.json()["choices"][0]["message"]["content"] == "Hello!"
    assert not path.exists()


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_nothing_to_complain_of(
    tmp_path: Path, workers: str, number: signal.Signals
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(CONFIG)
    pid_file = tmp_path / "pid"
    with GatewayProcess("-c", file, "--workers", workers, "--pid-file", pid_file) as gateway:
        assert int(pid_file.read_text()) == gateway.pid
        async with RawClient(gateway.url) as client:
            await client.exchange(request("/nowhere"))  # its connection stays open, idle
            gateway.signal(number)

            assert await gateway.exited() == 0

    assert not pid_file.exists()
    assert "Traceback" not in gateway.text


# What is refused at start.


def refused(*arguments: str | Path, **environ: str) -> list[str]:
    """Start a gateway that must not start; return the lines that say why, one a mistake."""
    ran = subprocess.run(
        [sys.executable, "-m", "llmproxy", "serve", *map(str, arguments)],
        env={**clean_environ(), **environ},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ran.returncode == 78, ran.stderr
    assert ran.stdout == ""
    return ran.stderr.splitlines()


@pytest.fixture(params=["1", "2"])
def workers(request: pytest.FixtureRequest) -> str:
    number: str = request.param
    return number


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("routs: []", ["routs", "did you mean 'routes'"]),
        ("server: {drain_timout: 3s}", ["server.drain_timout", "drain_timeout"]),
        ('upstreams: {a: {base_url: "http://x.test", api_key: "${env:NOT_SET}"}}', ["api_key", "NOT_SET"]),
        ("plugins: {x: {use: acess}}\npipeline: [x]", ["plugins.x", "acess", "access"]),
        ("pipeline: [acces]\nplugins: {access: {mode: open}}", ["pipeline[0]", "acces", "access"]),
        ("routes: [{name: a, upstream: b}]", ["routes[0].upstream", "b"]),
        ("listen: nowhere", ["listen", "nowhere"]),
        ("listen: [\n", ["gateway.yaml:2:"]),
    ],
    ids=["key", "nested key", "environment", "plugin", "instance", "upstream", "address", "syntax"],
)
def test_a_mistake_in_the_file_is_one_line_that_names_it(
    tmp_path: Path, workers: str, text: str, words: list[str]
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(text)

    (line,) = refused("-c", file, "--workers", workers)

    assert line.startswith("llmproxy: ")
    assert [word for word in words if word not in line] == []


def test_a_file_that_is_not_there_is_named(tmp_path: Path, workers: str) -> None:
    (line,) = refused("-c", tmp_path / "gone.yaml", "--workers", workers)

    assert "gone.yaml" in line


def test_a_busy_port_is_named(workers: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as held:
        address = f"127.0.0.1:{held.getsockname()[1]}"
        (line,) = refused("--listen", address, "--workers", workers)

    assert address in line


@pytest.mark.parametrize("given", [False, True], ids=["without a file", "with one"])
def test_open_mode_is_for_this_machine_alone(tmp_path: Path, workers: str, given: bool) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(CONFIG + "plugins: {access: {mode: open}}\npipeline: [access]\n")
    options = ["-c", file] if given else []

    (line,) = refused(*options, "--listen", "0.0.0.0:0", "--workers", workers)

    assert "'access'" in line
    assert "0.0.0.0:0" in line


# What is never said.

CANARIES = {
    "CANARY_CALLER": "canary-caller-0123456789",
    "CANARY_UPSTREAM": "canary-upstream-0123456789",
    "CANARY_HEADER": "canary-header-0123456789",
    "CANARY_ADMIN": "canary-admin-0123456789",
    "OPENAI_API_KEY": "canary-environment-0123456789",
}
SECRETIVE = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0, token: "${{env:CANARY_ADMIN}}"}}
server: {{drain_pause: 1ms}}
log: {{level: debug, format: {format}}}
upstreams:
  main: {{base_url: "{url}/v1", api_key: "${{env:CANARY_UPSTREAM}}", headers: {{x-own: "${{env:CANARY_HEADER}}"}}}}
  dead: {{base_url: "http://127.0.0.1:1/v1", api_key: "${{env:CANARY_UPSTREAM}}"}}
  shy: {{base_url: "http://x.test/v1", proxy: "http://user:canary-proxy-0123@127.0.0.1:1"}}
plugins:
  access: {{keys: [{{name: web, tenant: shop, key: "${{env:CANARY_CALLER}}"}}]}}
  metrics: {{}}
  accesslog: {{}}
pipeline: [accesslog, metrics, access]
routes:
  - {{name: dead, match: {{path: "/v1/dead/*"}}, upstream: dead}}
  - {{name: shy, match: {{path: "/v1/shy/*"}}, upstream: shy}}
  - {{name: models, match: {{path: "/v1/*"}}, upstream: main}}
"""
RIGHT = f"Authorization: Bearer {CANARIES['CANARY_CALLER']}"
WRONG = "canary-wrong-0123456789"


def telling_requests() -> Iterator[bytes]:
    """Write requests that each hold a credential, well-formed and not."""
    body = b'{"model":"m","messages":[]}'
    for path in ("/v1/chat/completions", "/v1/dead/chat/completions", "/v1/shy/chat/completions", "/nowhere"):
        yield request(path, RIGHT, body=body)
    for name in ("x-api-key", "api-key", "x-goog-api-key"):
        yield request("/v1/chat/completions", f"{name}: {CANARIES['CANARY_CALLER']}", body=body)
        yield request("/v1/chat/completions", f"{name}: {WRONG}", body=body)
    yield request("/v1/chat/completions", f"Authorization: Bearer {WRONG}", body=body)
    yield request("/v1/chat/completions", f"Authorization: Basic {WRONG}", RIGHT, body=body)
    yield request(f"/v1/models?key={WRONG}&api_key={WRONG}", RIGHT, method="GET")
    yield request("/v1/models", f"Cookie: session={WRONG}", method="GET")
    yield request("/v1/chat/completions", RIGHT, body=b'{"model":')
    yield request("/v1/chat/completions", f"Authorization Bearer {WRONG}", body=body)
    yield request("/v1/chat/completions", f"Authorization: Bearer \0{WRONG}", body=body)
    yield request("/v1/chat/completions", f"Authorization: Bearer {WRONG}\r\n {WRONG}", body=body)
    yield request("/v1/chat/completions", f"Authorization: {WRONG * 1000}", body=body)
    yield f"GET /v1/{WRONG} HTTP/9.9\r\nAuthorization: {WRONG}\r\n\r\n".encode()
    yield f"{WRONG}\r\n\r\n".encode()


async def answered(url: str, data: bytes) -> bytes:
    async with RawClient(url) as client:
        await client.send(data)
        reply: RawReply = await client.read_reply()
        return reply.head.raw + reply.body


@pytest.mark.parametrize(("style", "workers"), [("json", "1"), ("console", "2")], indirect=["workers"])
async def test_no_credential_is_ever_said(tmp_path: Path, style: str, workers: str) -> None:
    file = tmp_path / "gateway.yaml"
    async with FakeUpstream().reply(500, json={"error": {"message": "no"}}) as upstream:
        file.write_text(text := SECRETIVE.format(url=upstream.url, format=style))
        with GatewayProcess("-c", file, "--workers", workers, environ=CANARIES) as gateway:
            answers = [await answered(gateway.url, data) for data in telling_requests()]
            for path in ("/config", "/plugins", "/", "/metrics", "/reload"):
                for token in (CANARIES["CANARY_ADMIN"], WRONG):
                    data = request(path, f"Authorization: Bearer {token}", method="GET")
                    answers.append(await answered(gateway.admin_url, data))
            file.write_text(text.replace("tenant: shop", 'tenant: "", name: "${env:CANARY_ADMIN}"'))
            gateway.signal(signal.SIGHUP)
            await gateway.said("reload_refused")
            gateway.signal(signal.SIGTERM)
            assert await gateway.exited() == 0

    said = gateway.text + b"\n".join(answers).decode("latin-1")
    assert upstream.requests[0].header("authorization") == f"Bearer {CANARIES['CANARY_UPSTREAM']}"
    assert len(gateway.lines) > 10
    assert [line for line in said.splitlines() if "canary" in line] == []


async def test_an_error_says_no_credential_either(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(
        'plugins: {access: {keys: [{name: a, tenant: b, key: "${env:SHORT}"}]}}\npipeline: [access]\n'
    )

    lines = refused("-c", file, SHORT="canary")

    assert "plugins.access.keys[0].key" in lines[0]
    assert [line for line in lines if "canary" in line] == []
