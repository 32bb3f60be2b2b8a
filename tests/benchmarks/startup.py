"""From start to first answer, an idle worker's memory, and import times.

`python -m tests.benchmarks.startup --rounds 5` starts the bench gateway over and over and asks it without a pause
until it answers; medians are printed.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

from tests.benchmarks.site import BenchGateway, chat, resident, say
from tests.benchmarks.upstream import judging
from tests.integration.process import clean_environ

#: What is imported, and whether aiohttp may come along.
IMPORTS = {
    "llmproxy.plugin": "llmproxy.plugin",
    "all that serve imports": (
        "llmproxy.cli, llmproxy.commands.serve, llmproxy.worker, uvloop,"
        " llmproxy_access, llmproxy_metrics, llmproxy_openai"
    ),
}
_TIMED = """
import sys, time
begun = time.perf_counter(), time.process_time()
import {}
print(time.perf_counter() - begun[0], time.process_time() - begun[1], "aiohttp" in sys.modules)
"""


def first_answer(folder: Path, upstream: str, workers: int) -> tuple[float, list[int]]:
    """Start the gateway; return the seconds to its first answer, and the idle workers' resident bytes."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    gateway = BenchGateway(folder, upstream, listen=f"127.0.0.1:{port}", workers=workers)
    begun = time.perf_counter()
    gateway.process.start()
    try:
        while not _answers(port):
            time.sleep(0.002)
        took = time.perf_counter() - begun
        time.sleep(0.5)
        pids = gateway.process.workers() if workers > 1 else [gateway.process.pid]
        return took, [resident(pid) for pid in pids]
    finally:
        gateway.process.__exit__()


def _answers(port: int) -> bool:
    try:
        with closing(socket.create_connection(("127.0.0.1", port), timeout=5)) as sock:
            sock.sendall(chat(stream=False))
            return b" 200 " in sock.recv(65536)[:20]
    except OSError:
        return False


def import_seconds(modules: str) -> tuple[float, float, bool]:
    """Import in a fresh interpreter; return seconds of clock and of CPU, and whether aiohttp came along."""
    ran = subprocess.run(
        [sys.executable, "-c", _TIMED.format(modules)],
        env=clean_environ(),
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, cpu, aiohttp = ran.stdout.split()
    return float(seconds), float(cpu), aiohttp == "True"


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for name, modules in IMPORTS.items():
        found = [import_seconds(modules) for _ in range(options.rounds)]
        seconds, cpu = (round(statistics.median(each[n] for each in found), 3) for n in (0, 1))
        say(imports=name, seconds=seconds, cpu_seconds=cpu, aiohttp=found[0][2])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(judging())
        for workers in (1, 2):
            starts = [first_answer(folder, url, workers) for _ in range(options.rounds)]
            say(
                workers=workers,
                seconds_to_first_answer=round(statistics.median(took for took, _ in starts), 3),
                idle_worker_mib=[round(size / 2**20, 1) for size in starts[-1][1]],
            )


if __name__ == "__main__":
    main()
