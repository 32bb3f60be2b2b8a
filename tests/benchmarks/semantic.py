"""What likeness costs: the canonical form of a question, its vector, the search for what is near.

`python -m tests.benchmarks.semantic [--questions FILE] [--rows 20000] [--rate 50] [--seconds 4] [--only form,embed]`
takes its questions from `prompt_b` of lines of JSON, or makes some. Times of `form`, `embed` and `search` are CPU time
of the thread that works, so that neighbours on the machine matter little; `asked` is wall time: questions come at
random at a rate, as a gateway asks, while another task tells for how long the event loop was held up, and for how long
it is where nobody asks, which is the machine's doing. Rows are vectors
of the questions with noise, and a search is for one of them with other noise (cosine about 0.95 to it).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from tests.benchmarks.site import say

from llmproxy_semantic.canonical import canonicalise
from llmproxy_semantic.embedder import TooLong
from llmproxy_semantic.embedding import Worker
from llmproxy_semantic.index import Index
from llmproxy_semantic.minilm import DIMS, ID, MOST_PIECES, MiniLM

_VERBS: Final = (
    "reset",
    "change",
    "delete",
    "export",
    "find",
    "share",
    "print",
    "encrypt",
    "compare",
    "merge",
)
_THINGS: Final = (
    "my password",
    "a spreadsheet",
    "the old invoices",
    "two branches",
    "a photo album",
    "my profile",
)
_PLACES: Final = (
    "on an Android phone",
    "from the command line",
    "in the web application",
    "without an account",
)
_NOISE: Final = 0.33
_WITHIN: Final = 0.025


def made() -> Iterator[str]:
    """Make questions of eleven words or so."""
    for verb in _VERBS:
        for thing in _THINGS:
            for place in _PLACES:
                yield f"Hi, how do I {verb} {thing} {place}, and what does it cost?"


def read(file: Path) -> list[str]:
    """Return the second prompt of each pair in a file."""
    return [orjson.loads(line)["prompt_b"] for line in file.read_bytes().splitlines()]


def resident() -> float:
    """Return how many MB of memory this process has."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096 / 1e6


def timed(work: Callable[[Any], object], given: list[Any], clock: Callable[[], float]) -> dict[str, float]:
    """Do work for each of what is given; return its times in ms, those at the first one left out."""
    times = []
    for each in given:
        begun = clock()
        work(each)
        times.append((clock() - begun) * 1e3)
    return spread(times[1:])


def spread(times: list[float]) -> dict[str, float]:
    """Return the middle, the 99th of a hundred, and the worst."""
    ordered = sorted(times)
    return {
        "p50": round(statistics.median(ordered), 4),
        "p99": round(ordered[int(len(ordered) * 0.99)], 4),
        "worst": round(ordered[-1], 4),
    }


def measure_form(questions: list[str]) -> None:
    """Tell what the canonical form of a question costs."""
    say(case="form", ms=timed(canonicalise, questions, time.thread_time))


def measure_embed(model: MiniLM, forms: list[str]) -> None:
    """Tell what a question's vector costs, and that of the longest text."""
    say(case="embed", ms=timed(model.embed, forms, time.thread_time))
    longest = ["word " * (MOST_PIECES - 2)] * 20
    say(case="embed longest", ms=timed(model.embed, longest, time.thread_time))


def measure_search(model: MiniLM, forms: list[str], rows: int) -> None:
    """Tell what a search among so many rows costs, how often it finds the nearest, and what a row takes."""
    rng = np.random.default_rng(7)

    def near(vector: Any) -> Any:
        noise = rng.standard_normal(DIMS).astype(np.float32)
        found = vector + noise * np.float32(_NOISE / np.sqrt(DIMS))
        return found / np.linalg.norm(found)

    vectors = np.array([model.embed(form) for form in forms[:500]])
    index, before = Index(limit=1 << 30), resident()
    begun = time.process_time()
    kept = []
    for number in range(rows):
        kept.append(near(vectors[number % len(vectors)]))
        index.add(b"p", number.to_bytes(8), kept[-1], bytes(100))
    added = time.process_time() - begun
    asked = [near(kept[number]) for number in rng.integers(0, rows, 1000)]
    index.nearest(b"p", asked[0], 8)
    times = timed(lambda vector: index.nearest(b"p", vector, 8), asked, time.thread_time)
    every = np.array(kept)
    hits = sum(
        int.from_bytes(index.nearest(b"p", vector, 1)[0].key) == int(np.argmax(every @ vector))
        for vector in asked
    )
    say(case="search", rows=rows, ms=times, recall=hits / len(asked))
    say(
        case="rows",
        add_ms=round(added * 1e3 / rows, 4),
        bytes=round(index.held / rows),
        rss=resident() - before,
    )


async def measure_asked(model: MiniLM, forms: list[str], rate: float, seconds: float) -> None:
    """Tell how long questions wait for their vectors, and for how long they hold the event loop up."""
    worker = Worker("embedder", ID, DIMS, lambda: model)
    worker.start()
    times: list[float] = []
    late = 0

    async def ask(text: str) -> None:
        nonlocal late
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(_WITHIN):
                await worker.vector(text, "lookup", lambda vector: None)
        except TimeoutError:
            late += 1
        times.append((time.perf_counter() - begun) * 1e3)

    idle = await held_up(seconds)
    watching = asyncio.ensure_future(held_up(seconds))
    rng = random.Random(7)  # a load, not a secret
    async with asyncio.TaskGroup() as group:
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            group.create_task(ask(rng.choice(forms)))
            await asyncio.sleep(rng.expovariate(rate))
    held = spread(await watching)
    await worker.close()
    say(case="asked", rate=rate, ms=spread(times), late=late, of=len(times))
    say(case="loop held", ms=held, where_nobody_asks=spread(idle), load=round(os.getloadavg()[0], 1))


async def held_up(seconds: float) -> list[float]:
    """Return by how many ms a task that wants to run each millisecond is late each time."""
    late, ends = [], time.perf_counter() + seconds
    while (begun := time.perf_counter()) < ends:
        await asyncio.sleep(0.001)
        late.append((time.perf_counter() - begun) * 1e3 - 1)
    return late


def load() -> MiniLM:
    """Load the model; tell how long that takes, and the memory."""
    before, begun = resident(), time.process_time()
    model = MiniLM()
    model.embed("what is dns")
    say(case="load", seconds=round(time.process_time() - begun, 3), mb=round(resident() - before))
    return model


def fits(model: MiniLM, form: str) -> bool:
    """Whether a text is one that is compared."""
    try:
        model.embed(form)
    except TooLong:
        return False
    return True


def main() -> None:
    """Read the command line, measure, print a line for each case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=Path)
    parser.add_argument("--most", type=int, default=600, help="So many of them.")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--only", default="form,embed,search,asked")
    given = parser.parse_args()
    questions = (read(given.questions) if given.questions else list(made()))[: given.most]
    model = load()
    forms = [form for form in map(canonicalise, questions) if fits(model, form)]
    only = given.only.split(",")
    if "form" in only:
        measure_form(questions)
    if "embed" in only:
        measure_embed(model, forms)
    if "asked" in only:
        asyncio.run(measure_asked(model, forms, given.rate, given.seconds))
    if "search" in only:
        measure_search(model, forms, given.rows)


if __name__ == "__main__":
    main()
