"""What the tests of chat completions share: the recorded traffic, and a list of losses."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import Losses


@pytest.fixture(scope="session")
def chats(recordings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every recorded exchange of chat completions, of all providers."""
    return [record for record in recordings if record["dialect"] == "openai.chat"]


@pytest.fixture
def losses() -> Losses:
    return Losses()
