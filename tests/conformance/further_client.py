"""The team's judge with one more client: what writes requests is given, apart from the gateway's own code."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tests.integration.replaying import RECORDINGS, SHARED

from .recorded import DIALECTS, gateway

Tree = dict[str, Any]


class FurtherClient(NamedTuple):
    """A client that the judge reads and writes nowhere.

    Attributes:
        module: what is run as a program to be the judge that knows it.
        name: what the judge calls its dialect.
        write: puts a conversation for a model in the dialect: path, query, body.
        cannot_say: what of a conversation the dialect has no field for.
        shape: what is wrong with the shape of a reply.
    """

    module: str
    name: str
    write: Callable[[Any, str], tuple[str, str, Tree]]
    cannot_say: Callable[[Any], set[str]]
    shape: Callable[[Tree], list[str]]

    def judge(self, address: str, replay: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Run the judge, in a process of its own; its last line counts what passed, failed and was skipped."""
        command = [
            sys.executable,
            "-m",
            self.module,
            str(RECORDINGS),
            "--gateway",
            address,
            "--replay",
            replay,
        ]
        command += ["--strict-route", "--client", self.name, "--model", "{provider}.{dialect}/{model}--{id}"]
        for dialect in DIALECTS:
            command += ["--dialect", dialect]
        return subprocess.run([*command, *more], capture_output=True, text=True, check=False, timeout=600)

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Judge these callers before every recorded provider; with `--gateway`, be that judge."""
        given = sys.argv[1:] if arguments is None else list(arguments)
        if "--gateway" in given:
            return int(self._taught().main(given))
        parser = argparse.ArgumentParser(prog=f"python -m {self.module}")
        parser.add_argument("--chunking", default="event", choices=("event", "whole", "merge", "split"))
        known, more = parser.parse_known_args(given)
        with gateway(known.chunking) as (address, replay):
            verdict = self.judge(address, replay, *more)
        sys.stdout.write(f"{verdict.stdout}{verdict.stderr}\n")
        return verdict.returncode

    def _taught(self) -> Any:
        """Return the judge, which knows one more client from here on."""
        sys.path.insert(0, str(SHARED / "tools"))
        import translate_check
        import wiresem

        name, render = self.name, wiresem.render_request
        cannot, shape = wiresem.cannot_say, wiresem.shape_problems
        wiresem.CLIENT_DIALECTS = (*wiresem.CLIENT_DIALECTS, name)
        wiresem.FINISH_SAYABLE[name] = {
            "refusal": {"filter", "stop"},
            "pause": {"stop", "other"},
            "other": {"stop", "other", "filter", "tool"},
        }
        wiresem.render_request = lambda dialect, talk, model: (
            self.write(talk, model) if dialect == name else render(dialect, talk, model)
        )
        wiresem.cannot_say = lambda dialect, talk: (
            self.cannot_say(talk) if dialect == name else cannot(dialect, talk)
        )
        wiresem.shape_problems = lambda dialect, reply: (
            self.shape(reply) if dialect == name else shape(dialect, reply)
        )
        return translate_check
