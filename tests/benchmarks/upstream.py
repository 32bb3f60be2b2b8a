"""The judge as a process of its own, with TLS if wanted: `python -m tests.benchmarks.upstream [CHAIN.pem]`."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop
from tests.benchmarks.site import allow_many_files
from tests.integration.process import clean_environ

from llmproxy.testing import Judge


@contextmanager
def judging(chain: Path | None = None) -> Iterator[str]:
    """Run the judge; give its address."""
    arguments = [] if chain is None else [str(chain)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.upstream", *arguments],
        cwd=Path(__file__).parents[2],
        env=clean_environ(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


async def _serve(chain: str | None) -> None:
    context = None
    if chain is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(chain)
    async with Judge(tls=context) as judge:
        sys.stdout.write(judge.url + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    allow_many_files()
    uvloop.run(_serve(sys.argv[1] if len(sys.argv) > 1 else None))
