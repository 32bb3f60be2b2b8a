"""Files, batches and sessions by the providers' own SDKs, and what of it the ledger and limits count: each once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import groq
import openai
import orjson
import pytest
from click.testing import CliRunner
from google import genai
from mistralai.client import Mistral
from openai.types.responses import Response

from llmproxy.cli import main
from llmproxy.plugin import AccountScope, reserving
from llmproxy.testing import RunningGateway, running_gateway
from llmproxy_ledger.books import FILE, Books
from llmproxy_ledger.entries import COLUMNS
from llmproxy_quota import QuotaPlugin

from .jobs_provider import LARGE, JobsProvider

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

#: A token of input costs a microdollar, one of output ten; batches the half.
RATES = {"input": 1, "output": 10}
KEY = "key-of-the-caller"


def config(url: str, directory: Path, dialect: str) -> dict[str, Any]:
    base = url + ("/v1beta" if dialect == "gemini" else "/v1")
    budget = {"name": "budget", "counts": "money", "at_most": 1, "window": "month", "mode": "soft"}
    return {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "server": {"drain_pause": "1ms"},
        "stores": {"kept": {"url": "memory://"}},
        "memory": "kept",
        "upstreams": {"main": {"dialect": dialect, "base_url": base, "quirks": {"responses": True}}},
        "models": {"fast": "main/gpt-realtime", "*": "main/*"},
        "prices": {"main/*": RATES},
        "plugins": {
            "access": {"keys": [{"name": "web", "tenant": "shop", "key": "${env:CALLER}"}]},
            "ledger": {"directory": str(directory)},
            "quota": {"store": "kept", "unbounded": "assume", "limits": [budget], "headers": True},
        },
        "pipeline": ["access", "ledger", "quota"],
        "routes": [{"name": "models", "upstream": "main"}],
    }


class Site:
    """A provider behind a gateway that accounts."""

    def __init__(self, provider: JobsProvider, gateway: RunningGateway, directory: Path) -> None:
        self.provider, self.gateway, self.directory = provider, gateway, directory
        self.url = gateway.url

    async def money_left(self) -> int:
        """Return how many microdollars the limit still has."""
        quota = next(each for each in self.gateway.gateway.current.plugins if isinstance(each, QuotaPlugin))
        rule = quota._book.rules("shop", (AccountScope("tenant", "shop"),)).late[0]
        claim = reserving.Claim(b"look", quota._book.tag("shop"), (reserving.Want(rule.limit, 0, "shadow"),))
        return (await quota._taker._kept.reserve(claim)).standings[0].left

    def rows(self, basis: str) -> list[dict[str, Any]]:
        """Return the ledger's rows that rest on that, once the gateway has ended."""
        books = Books(self.directory / FILE, reading=True)
        try:
            found = books.ask("SELECT * FROM attempts WHERE basis = ? ORDER BY at, entry", (basis,))
            return [dict(zip(COLUMNS, values, strict=True)) for values in found]
        finally:
            books.close()


@asynccontextmanager
async def site(directory: Path, dialect: str) -> AsyncIterator[Site]:
    async with (
        JobsProvider() as provider,
        running_gateway(config(provider.url, directory, dialect), environ={"CALLER": KEY}) as gateway,
    ):
        yield Site(provider, gateway, directory)


def spent(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return model, tokens and microdollars of rows."""
    counts = ("input", "cache_read", "output", "reasoning")
    return [(row["model"], *(row[name] for name in counts), row["cost"]) for row in rows]


async def test_openais_batches_count_once_at_half_the_price(tmp_path):
    async with (
        site(tmp_path, "openai") as here,
        openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key=KEY, max_retries=0) as client,
    ):
        file = await client.files.create(file=("in.jsonl", b"{}\n" * 1000), purpose="batch")
        batch = await client.batches.create(
            input_file_id=file.id, endpoint="/v1/responses", completion_window="24h"
        )
        states = [(await client.batches.retrieve(batch.id)).status for _ in range(4)]
        results = await client.files.content(f"file-{batch.id}")
        cancelled = await client.batches.cancel(batch.id)
        left = await here.money_left()

    assert here.provider.files["file-in"] == b"{}\n" * 1000
    assert states == ["in_progress", "completed", "completed", "completed"]
    assert results.text.count("custom_id") == 2
    assert cancelled.status == "cancelling"
    assert spent(here.rows("belated")) == [("gpt-own", 36, 0, 96, 128, (36 + 2240) // 2)]
    assert here.rows("belated")[0]["tenant"] == "shop"
    audit = CliRunner().invoke(main, ["usage", "audit", "--directory", str(tmp_path)])
    assert audit.exit_code == 0, audit.output
    assert {row["cost"] for row in (*here.rows("told"), *here.rows("none"))} == {0}
    assert left == 1_000_000 - (36 + 2240) // 2


async def test_results_count_where_no_object_tells_of_them(tmp_path):
    async with (
        site(tmp_path, "openai") as here,
        groq.AsyncGroq(base_url=here.url, api_key=KEY, max_retries=0) as client,
    ):
        await client.batches.retrieve("batch_groq")
        batch = await client.batches.retrieve("batch_groq")
        for _ in range(2):
            await client.files.content(batch.output_file_id)

    assert spent(here.rows("belated")) == [("gpt-own", 36, 0, 224, 0, (36 + 2240) // 2)]


async def test_mistrals_jobs_count_by_their_results(tmp_path):
    async with site(tmp_path, "openai") as here, Mistral(server_url=here.url, api_key=KEY) as client:
        await client.files.upload_async(file={"file_name": "in", "content": b"{}"}, purpose="batch")
        job = await client.batch.jobs.create_async(
            input_files=["file-in"], model="m", endpoint="/v1/chat/completions"
        )
        for _ in range(2):
            job = await client.batch.jobs.get_async(job_id=job.id)
        results = await client.files.download_async(file_id=job.output_file)
        body = await results.aread()

    assert job.status == "SUCCESS"
    assert body.count(b"custom_id") == 2
    assert spent(here.rows("belated")) == [("gpt-own", 36, 0, 224, 0, (36 + 2240) // 2)]


async def test_other_files_pass_as_they_are(tmp_path):
    async with (
        site(tmp_path, "openai") as here,
        openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key=KEY, max_retries=0) as client,
    ):
        got = await client.files.content("file-large")

    assert got.content == LARGE
    assert here.rows("belated") == []


async def test_an_answer_in_the_background_counts_when_it_is_there(tmp_path):
    async with (
        site(tmp_path, "openai") as here,
        openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key=KEY, max_retries=0) as client,
    ):
        asked: Response = await client.responses.create(model="gpt-own", input="Hi", background=True)
        states = [(await client.responses.retrieve(asked.id)).status for _ in range(3)]

    assert states == ["queued", "completed", "completed"]
    assert spent(here.rows("belated")) == [("gpt-own", 36, 0, 96, 128, 36 + 2240)]
    assert sum(row["cost"] for row in here.rows("told")) == 0


async def test_a_realtime_session_is_settled_when_it_ends(tmp_path):
    async with (
        site(tmp_path, "openai") as here,
        openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key=KEY, max_retries=0) as client,
    ):
        client.websocket_base_url = here.url.replace("http", "ws") + "/v1"
        async with client.realtime.connect(model="gpt-realtime") as talk:
            created = await talk.recv()
            for _ in range(2):
                await talk.response.create()
                kinds = [(await talk.recv()).type, (await talk.recv()).type]

    assert created.session.model == "gpt-realtime"
    assert kinds == ["response.output_text.delta", "response.done"]
    assert spent(here.rows("told")) == [("gpt-realtime", 136, 128, 242, 0, 2 * (132 + 1210))]


@pytest.mark.parametrize(
    ("base", "query"),
    [
        ("/openai", {"deployment": "rt", "api-version": "2024-10-21"}),
        ("/v1", {"model": "rt"}),
    ],
)
async def test_azures_sessions_name_their_deployment(tmp_path, base, query):
    async with JobsProvider() as provider:
        tree = config(provider.url, tmp_path, "openai")
        azure = {"provider": "azure", "base_url": provider.url + base, "api_key": "${env:CALLER}"}
        tree["upstreams"]["main"], tree["models"] = azure, {"fast": "main/rt"}
        async with (
            running_gateway(tree, environ={"CALLER": KEY}) as gateway,
            aiohttp.ClientSession(gateway.url, headers={"api-key": KEY}) as session,
            session.ws_connect("/openai/realtime?api-version=2025-04-01-preview&deployment=fast") as talk,
        ):
            told = orjson.loads((await talk.receive()).data)

    assert told["session"]["model"] == "rt"
    assert provider.queries == [query]
    assert provider.headers[0]["api-key"] == KEY


async def test_a_session_of_responses_is_charged_by_the_models_that_answered(tmp_path):
    async with (
        site(tmp_path, "openai") as here,
        openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key=KEY, max_retries=0) as client,
    ):
        client.websocket_base_url = here.url.replace("http", "ws") + "/v1"
        async with client.responses.connect() as talk:
            for _ in range(2):
                await talk.response.create(model="gpt-own", input="Hi")
                told = await talk.recv()

    assert told.type == "response.completed"
    assert spent(here.rows("belated")) == [("gpt-own", 72, 0, 192, 256, 2 * (36 + 2240))]


async def test_a_session_may_go_to_a_pool(tmp_path):
    async with JobsProvider() as one, JobsProvider() as two:
        tree = config(one.url, tmp_path, "openai")
        tree["upstreams"]["other"] = {"dialect": "openai", "base_url": f"{two.url}/v1"}
        tree["pools"] = {
            "both": {"strategy": "round_robin", "targets": ["main/gpt-realtime", "other/gpt-realtime"]}
        }
        tree["models"], tree["routes"] = {"fast": {"pool": "both"}}, [{"name": "models"}]
        async with (
            running_gateway(tree, environ={"CALLER": KEY}) as gateway,
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session,
        ):
            for _ in range(4):
                async with session.ws_connect(f"{gateway.url}/v1/realtime?model=fast") as talk:
                    told = orjson.loads((await talk.receive()).data)

    assert told["session"]["model"] == "gpt-realtime"
    assert (one.models, two.models) == (["gpt-realtime"] * 2, ["gpt-realtime"] * 2)


async def test_a_session_that_is_cut_is_settled_by_what_it_told(tmp_path):
    async with site(tmp_path, "openai") as here, aiohttp.ClientSession() as session:
        talk = await session.ws_connect(
            f"{here.url}/v1/realtime?model=fast", headers={"Authorization": f"Bearer {KEY}"}
        )
        await talk.receive()
        await talk.send_json({"type": "response.create"})
        said = [orjson.loads((await talk.receive()).data)["type"] for _ in range(2)]
        talk._conn.transport.abort()

    assert said[-1] == "response.done"
    (row,) = here.rows("told")
    assert spent([row]) == [("fast", 68, 64, 121, 0, 132 + 1210)]
    assert (row["state"], row["result"], row["upstream_model"]) == ("partial", "client_gone", "gpt-realtime")
    assert here.provider.models == ["gpt-realtime"]


async def test_anthropics_batches_count_by_their_results(tmp_path):
    async with (
        site(tmp_path, "anthropic") as here,
        anthropic.AsyncAnthropic(base_url=here.url, api_key=KEY, max_retries=0) as client,
    ):
        params: Any = {
            "model": "claude-own",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "2+2"}],
        }
        batch = await client.messages.batches.create(
            requests=[{"custom_id": str(n), "params": params} for n in range(2)]
        )
        states = [(await client.messages.batches.retrieve(batch.id)).processing_status for _ in range(2)]
        for _ in range(2):
            results = [line.result.type async for line in await client.messages.batches.results(batch.id)]
        file = await client.beta.files.upload(file=("notes.txt", b"some notes", "text/plain"))

    assert states == ["in_progress", "ended"]
    assert results == ["succeeded", "succeeded", "expired"]
    assert here.provider.files["file-in"] == b"some notes"
    assert file.filename == "notes.txt"
    assert spent(here.rows("belated")) == [("claude-own", 20, 4, 8, 0, (20 + 4 + 80) // 2)]


@pytest.fixture
async def google(tmp_path):
    async with site(tmp_path, "gemini") as here:
        options: Any = {"base_url": here.url, "api_version": "v1beta"}
        yield here, genai.Client(api_key=KEY, http_options=options).aio


@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
async def test_googles_files_are_sent_through_the_gateway(google, tmp_path):
    here, client = google
    file = tmp_path / "notes.txt"
    file.write_bytes(b"some notes\n" * 900_000)  # two pieces

    sent = await client.files.upload(file=str(file))

    assert sent.name == "files/f"
    assert here.provider.files["files/f"] == file.read_bytes()
    assert here.provider.targets == ["POST /upload/v1beta/files"] * 3
    assert not any("x-goog-api-key" in headers for headers in here.provider.headers)


async def test_googles_batches_count_once(tmp_path):
    async with site(tmp_path, "gemini") as here:
        options: Any = {"base_url": here.url, "api_version": "v1beta"}
        client = genai.Client(api_key=KEY, http_options=options).aio
        batch = await client.batches.create(
            model="gemini-own", src=[{"contents": "2+2"}, {"contents": "3+3"}]
        )
        states = [(await client.batches.get(name=batch.name)).state for _ in range(3)]

    assert [state.name for state in states] == ["JOB_STATE_RUNNING", *["JOB_STATE_SUCCEEDED"] * 2]
    assert "POST /v1beta/models/gemini-own:batchGenerateContent" in here.provider.targets
    assert spent(here.rows("belated")) == [("gemini-own", 20, 0, 8, 6, (20 + 140) // 2)]


async def test_a_live_session_is_settled_when_it_ends(tmp_path):
    path = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
    async with (
        site(tmp_path, "gemini") as here,
        aiohttp.ClientSession(headers={"x-goog-api-key": KEY}) as session,
        session.ws_connect(here.url + path) as talk,  # the SDK speaks nothing but TLS there
    ):
        await talk.send_json({"setup": {"model": "models/gemini-live"}})
        await talk.receive()
        for _ in range(2):
            await talk.send_json({"clientContent": {"turnComplete": True}})
            said = orjson.loads((await talk.receive()).data)

    assert said["serverContent"]["turnComplete"]
    rows = [row for row in here.rows("told") if row["input"]]
    assert [(row["input"], row["output"]) for row in rows] == [(20, 14)]
