"""Fixtures for tests of plugins; everything is imported when a fixture is first used.

`fake_upstream` is a scripted upstream on loopback; `start_gateway` starts whole gateways, which end with the
test. Both are async: they need pytest-asyncio with `asyncio_mode = auto`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from llmproxy.testing.gateways import RunningGateway
    from llmproxy.testing.upstream import FakeUpstream

StartGateway = Callable[..., Awaitable["RunningGateway"]]


@pytest.fixture
async def fake_upstream() -> AsyncIterator[FakeUpstream]:
    """Serve scripted answers on loopback."""
    from llmproxy.testing.upstream import FakeUpstream  # noqa: PLC0415

    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
async def start_gateway() -> AsyncIterator[StartGateway]:
    """Start gateways by configurations, as `running_gateway` takes them."""
    from llmproxy.testing.gateways import running_gateway  # noqa: PLC0415

    async with AsyncExitStack() as stack:

        async def start(*args: object, **how: object) -> RunningGateway:
            return await stack.enter_async_context(running_gateway(*args, **how))  # type: ignore[arg-type]

        yield start
