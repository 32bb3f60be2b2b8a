from __future__ import annotations

import msgspec
import pytest

from llmproxy_gemini.config import GeminiConfig


def test_there_is_nothing_to_configure() -> None:
    assert msgspec.convert({}, GeminiConfig) == GeminiConfig()


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"key": 1}, GeminiConfig)
