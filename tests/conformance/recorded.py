"""What providers once answered, asked for again through the gateway in each client's dialect.

    python -m tests.conformance.recorded [--client NAME ...] [--chunking HOW] [arguments of the judge]

Starts the team's replay of recorded traffic and a gateway before it, one upstream for each provider and dialect, and
runs the team's judge, which shares no code with the gateway.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
from tests.integration.process import GatewayProcess
from tests.integration.replaying import RECORDINGS, SHARED, replaying

CLIENTS = ("same", "openai.chat", "openai.responses", "anthropic.messages", "gemini")
DIALECTS = {
    "openai.chat": ("openai", "/v1"),
    "openai.responses": ("openai-responses", "/v1"),
    "anthropic.messages": ("anthropic", "/v1"),
    "gemini": ("gemini", "/v1beta"),
    "bedrock.converse": ("bedrock", ""),
    "ollama.chat": ("ollama", ""),
    "cohere.chat_v2": ("cohere", ""),
}
FAMILIES = {
    "gemini.generate": "gemini",
    "gemini.stream": "gemini",
    "anthropic.vertex": "anthropic.messages",
    "bedrock.converse_stream": "bedrock.converse",
}
#: Providers that have a dialect in an envelope of their own.
_PROJECT = "/v1/projects/p/locations/l"
ENVELOPES = {
    ("vertex", "anthropic.messages"): ("anthropic-vertex", _PROJECT),
    ("vertex", "gemini"): ("gemini-vertex", _PROJECT),
    ("azure", "openai.chat"): ("openai", "/openai"),
}
#: What upstreams need beside an address and a dialect, by the end of their address.
QUIRKS = {"/openai": {"api_version": "2024-10-21"}}
_JUDGE = SHARED / "tools" / "translate_check.py"


def providers() -> dict[tuple[str, str], None]:
    """Return each provider and dialect that was recorded."""
    found = {}
    for path in sorted(RECORDINGS.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            record = orjson.loads(line)
            family = FAMILIES.get(record["dialect"], record["dialect"])
            if family in DIALECTS:
                found[record["provider"], family] = None
    return found


def config(replay: str) -> bytes:
    """Return a gateway's configuration with every recorded provider before the replay."""
    upstreams = {}
    for provider, family in providers():
        dialect, prefix = ENVELOPES.get((provider, family), DIALECTS[family])
        upstreams[f"{provider}.{family}"] = {
            "base_url": replay + prefix,
            "dialect": dialect,
            "quirks": QUIRKS.get(prefix, {}),
        }
    tree = {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "log": {"level": "warning"},
        "upstreams": upstreams,
        "routes": [{"name": "models"}],
    }
    return orjson.dumps(tree)


@contextmanager
def gateway(chunking: str = "event") -> Iterator[tuple[str, str]]:
    """Serve the recordings behind a gateway; give the gateway's address and the replay's."""
    with TemporaryDirectory() as folder, replaying(chunking=chunking) as replay:
        file = Path(folder) / "gateway.json"
        file.write_bytes(config(replay))
        with GatewayProcess("-c", file, environ={}) as process:
            yield process.url, replay


def judge(address: str, replay: str, client: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Run the judge for one client dialect; its last line counts what passed, failed and was skipped."""
    command = [sys.executable, str(_JUDGE), str(RECORDINGS), "--gateway", address, "--replay", replay]
    command += ["--strict-route", "--client", client, "--model", "{provider}.{dialect}/{model}--{id}"]
    for dialect in DIALECTS:
        command += ["--dialect", dialect]
    return subprocess.run([*command, *more], capture_output=True, text=True, check=False, timeout=600)


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge the clients that were asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", action="append", choices=CLIENTS)
    parser.add_argument("--chunking", default="event", choices=("event", "whole", "merge", "split"))
    known, more = parser.parse_known_args(arguments)
    failed = 0
    with gateway(known.chunking) as (address, replay):
        for client in known.client or CLIENTS:
            verdict = judge(address, replay, client, *more)
            sys.stdout.write(f"{verdict.stdout}{verdict.stderr}\n")
            failed |= verdict.returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
