"""What the tests of chat completions share: the recorded traffic, and the judge that reads it in its own way."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from llmproxy.canonical import Losses

TOOLS = Path(__file__).parents[5] / "shared" / "tools"


@pytest.fixture(scope="session")
def chats(recordings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every recorded exchange of chat completions, of all providers."""
    return [record for record in recordings if record["dialect"] == "openai.chat"]


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The team's own reading of requests and answers, which shares no code with the gateway."""
    if not TOOLS.is_dir():
        pytest.skip("the team's tools are not beside the project")
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("wiresem")


@pytest.fixture
def losses() -> Losses:
    return Losses()
