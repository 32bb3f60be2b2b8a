"""`llmproxy serve` with nothing but providers' keys in the environment: each provider's own SDK gets its answer.

The providers' real names are asked for; a proxy on loopback leads them to a server here that holds a certificate for
them.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trustme
from anthropic import AsyncAnthropic
from google import genai
from google.genai.types import HttpOptions
from openai import AsyncOpenAI

from llmproxy.testing import FakeUpstream

from .process import GatewayProcess

KEYS = {"GROQ_API_KEY": "sk-groq", "ANTHROPIC_API_KEY": "sk-anthropic", "GOOGLE_API_KEY": "sk-google"}
HOSTS = ("api.groq.com", "api.anthropic.com", "generativelanguage.googleapis.com")

CHAT = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "llama-3.1-8b-instant",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "from Groq"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-5",
    "content": [{"type": "text", "text": "from Anthropic"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 2},
}
CONTENT = {
    "candidates": [
        {"index": 0, "content": {"role": "model", "parts": [{"text": "from Google"}]}, "finishReason": "STOP"}
    ],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3},
}


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def leading_to(port: int) -> AsyncIterator[str]:
    """A proxy that leads every CONNECT to one port of this machine; its URL."""

    open_ones: set[asyncio.Task[None]] = set()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for ends in ((reader, there_writer), (there_reader, writer)):
            open_ones.add(asyncio.create_task(_pipe(*ends)))

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        if open_ones:
            await asyncio.wait(open_ones, timeout=5)


@pytest.fixture
async def providers(tmp_path: Path) -> AsyncIterator[tuple[FakeUpstream, GatewayProcess]]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*HOSTS).configure_cert(context)
    async with FakeUpstream(tls=context) as upstream, leading_to(upstream.port) as proxy:
        environ = {**KEYS, "HTTPS_PROXY": proxy, "SSL_CERT_FILE": str(tmp_path / "ca.pem")}
        with GatewayProcess("--listen", "127.0.0.1:0", environ=environ) as gateway:
            yield upstream, gateway


async def test_each_providers_sdk_is_served_by_its_key_alone(
    providers: tuple[FakeUpstream, GatewayProcess],
) -> None:
    upstream, gateway = providers
    upstream.reply(json=CHAT, path="/openai/v1/chat/completions")
    upstream.reply(json=MESSAGE, path="/v1/messages")
    upstream.reply(json=CONTENT, path="/v1beta/models/gemini-2.5-flash:generateContent")
    openai = AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0)
    anthropic = AsyncAnthropic(base_url=gateway.url, api_key="unused", max_retries=0)
    google = genai.Client(api_key="unused", http_options=HttpOptions(base_url=gateway.url))

    async with openai, anthropic:
        chat = await openai.chat.completions.create(
            model="groq/llama-3.1-8b-instant", messages=[{"role": "user", "content": "Hi"}]
        )
        message = await anthropic.messages.create(
            model="anthropic/claude-opus-5", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
        )
    content = await asyncio.to_thread(
        google.models.generate_content, model="gemini/gemini-2.5-flash", contents="Hi"
    )
    google.close()

    asked = await upstream.received(3)
    assert chat.choices[0].message.content == "from Groq"
    assert getattr(message.content[0], "text", None) == "from Anthropic"
    assert content.text == "from Google"
    assert [each.header("host") for each in asked] == list(HOSTS)
    assert asked[0].header("authorization") == "Bearer sk-groq"
    assert asked[1].header("x-api-key") == "sk-anthropic"
    assert asked[2].header("x-goog-api-key") == "sk-google"
