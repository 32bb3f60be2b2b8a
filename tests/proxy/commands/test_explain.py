"""`llmproxy explain`: request files in, text or JSON out."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from llmproxy.cli import main
from llmproxy.commands.explain import parse_request

BODY = b'{"model": "demo/echo", "messages": []}'
WIRE = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\r\n" + BODY
CONFIG = """
upstreams: {main: {base_url: "https://api.test/v1", api_key: "${env:KEY}"}, spare: {base_url: "http://spare.test"}}
plugins: {openai: {}, access: {mode: open}}
models: {fast: {upstream: main, model: slow}}
routes: [{name: models, match: {path: "/v1/*"}, targets: [main, spare], plugins: [access]}]
"""


def explain(tmp_path: Path, data: bytes, *options: str) -> Result:
    (tmp_path / "request").write_bytes(data)
    (tmp_path / "gateway.yaml").write_text(CONFIG)
    arguments = ["explain", str(tmp_path / "request"), *options]
    return CliRunner().invoke(main, arguments, env={"KEY": "sk-0123456789abcdef"})


@pytest.mark.parametrize(
    "data",
    [
        WIRE,
        WIRE.replace(b"\r\n", b"\n"),
        WIRE.replace(b" HTTP/1.1", b""),
        b'{"path": "/v1/chat/completions", "headers": {"Host": "x"}, "body": {"model":"demo/echo","messages":[]}}',
    ],
)
def test_a_request_is_read_as_it_is_written(data: bytes) -> None:
    request, body = parse_request(data)

    assert (request.method, request.target, request.host) == ("POST", "/v1/chat/completions", "x")
    assert request.headers.get("content-type") == "application/json"
    assert orjson.loads(body) == orjson.loads(BODY)


def test_a_body_ends_where_its_length_says() -> None:
    _, body = parse_request(b"PUT / HTTP/1.1\nContent-Length: 3\n\nabc\n")

    assert body == b"abc"


def test_a_request_without_a_body_is_a_get() -> None:
    request, body = parse_request(b'{"path": "/things"}')

    assert (request.method, body) == ("GET", b"")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "line 1 should be a request line"),
        (b"hello", "line 1 should be a request line"),
        (b"GET things HTTP/1.1\n\n", "line 1 should be a request line"),
        (b"GET / HTTP/1.1\nsecret\n\n", "line 2 should be a header field"),
        (b"GET / HTTP/1.1\n folded: secret\n\n", "line 2 should be a header field"),
        (b"{", "unexpected end of data"),
        (b'{"paht": "/"}', "unknown key 'paht'"),
        (b'{"path": "x"}', "'path' should be text"),
        (b'{"path": "/", "headers": {"a": 1}}', "'headers' should be an object of texts"),
    ],
)
def test_a_bad_request_file_is_told_in_a_line(tmp_path: Path, data: bytes, reason: str) -> None:
    run = explain(tmp_path, data)

    assert reason in run.stderr
    assert "secret" not in run.stderr
    assert (len(run.stderr.splitlines()), run.exit_code) == (1, 2)


def test_a_missing_request_file_is_named() -> None:
    run = CliRunner().invoke(main, ["explain", "nothing.json"])

    assert "nothing" in run.stderr
    assert run.exit_code == 2


def test_a_request_may_be_a_path_or_a_url_with_curls_options() -> None:
    body = '{"model": "demo/echo", "messages": [{"role": "user", "content": "Hi"}]}'
    path = CliRunner().invoke(main, ["explain", "/v1/chat/completions", "-H", "X-Any: x", "-d", body])
    url = CliRunner().invoke(main, ["explain", "-X", "DELETE", "http://api.test/v1/models/a?b=c"])

    assert path.stdout.startswith("request   POST /v1/chat/completions\nroute     models (model)\n")
    assert "header fields x-any, content-type" in path.stdout
    assert "model     demo/echo" in path.stdout
    assert url.stdout.startswith("request   DELETE /v1/models/a?b=c\n")
    assert "header fields host" in url.stdout


def test_the_text_says_what_would_be_sent(tmp_path: Path) -> None:
    data = WIRE.replace(b"demo/echo", b"fast")
    lines = explain(tmp_path, data, "-c", str(tmp_path / "gateway.yaml")).stdout.splitlines()

    assert lines[:2] == ["request   POST /v1/chat/completions", "route     models (model)"]
    assert "attempt 1 upstream main, model slow: https://api.test/v1/chat/completions" in lines
    assert "          Authorization: Bearer ${env:KEY}" in lines
    assert "          bytes 10-16 '\"fast\"' -> '\"slow\"'" in lines


def test_all_targets_are_told_in_the_order_in_which_they_would_be_tried(tmp_path: Path) -> None:
    data = WIRE.replace(b"demo/echo", b"any")
    run = explain(tmp_path, data, "-c", str(tmp_path / "gateway.yaml"))

    assert "attempt 2 upstream spare" in run.stdout
    assert "main, then spare" in run.stdout


def test_without_a_file_the_built_in_configuration_is_explained(tmp_path: Path) -> None:
    run = explain(tmp_path, WIRE)

    assert "upstream demo, model echo: answered in this process" in run.stdout, run.stderr


def test_a_refusal_is_part_of_the_answer(tmp_path: Path) -> None:
    run = explain(tmp_path, b"GET /nowhere HTTP/1.1\n\n")

    assert (
        run.stdout.splitlines()[-1]
        == "refused   404 no_upstream: Nothing on this route can answer this request."
    )
    assert run.exit_code == 0


def test_json_says_the_same(tmp_path: Path) -> None:
    told = orjson.loads(explain(tmp_path, WIRE, "--json").stdout)

    assert (told["route"], told["model"], told["attempts"][0]["local"]) == ("models", "demo/echo", True)


TRANSLATING = """
upstreams: {claude: {base_url: "https://claude.test/v1", dialect: anthropic, api_key: "${env:KEY}"}}
routes: [{name: models, match: {path: "/v1/*"}, upstream: claude}]
"""


def test_a_translation_and_its_losses_are_told(tmp_path: Path) -> None:
    (tmp_path / "claude.yaml").write_text(TRANSLATING)
    asked = {"model": "c", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9, "seed": 7}
    (tmp_path / "request").write_bytes(orjson.dumps({"path": "/v1/chat/completions", "body": asked}))
    command = ["explain", str(tmp_path / "request"), "-c", str(tmp_path / "claude.yaml")]
    environ = {"KEY": "sk-0123456789abcdef"}
    run = CliRunner().invoke(main, command, env=environ)
    tree = orjson.loads(CliRunner().invoke(main, [*command, "--json"], env=environ).stdout)
    lines = [line.strip() for line in run.stdout.splitlines()]

    assert "put from openai into anthropic" in lines
    assert "POST /v1/messages HTTP/1.1" in lines
    assert any(line.startswith("lost: seed: ") for line in lines)
    assert "lossy warn: the log and the header x-llmproxy-losses tell of them" in lines
    assert "as the caller sent them" not in run.stdout
    assert "sk-0123456789abcdef" not in run.stdout
    assert tree["attempts"][0]["translation"]["losses"].keys() == {"seed"}


def test_another_api_of_the_same_dialect_is_told_as_such(tmp_path: Path) -> None:
    data = orjson.dumps(
        {"path": "/v1/responses", "method": "POST", "body": {"model": "main/m", "input": "Hi"}}
    )
    output = explain(tmp_path, data, "-c", str(tmp_path / "gateway.yaml")).output

    assert "put into another API of openai" in output
    assert "https://api.test/v1/chat/completions" in output
