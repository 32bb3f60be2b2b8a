from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from llmproxy.testing import FakeUpstream

from .asking import ANSWER


@pytest.fixture
async def api() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        upstream.reply(json=ANSWER)
        yield upstream
