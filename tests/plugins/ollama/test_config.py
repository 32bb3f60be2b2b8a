from __future__ import annotations

import msgspec
import pytest

from llmproxy_ollama.config import OllamaConfig


def test_there_is_nothing_to_configure():
    assert msgspec.convert({}, OllamaConfig) == OllamaConfig()


def test_an_unknown_key_is_refused():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"key": 1}, OllamaConfig)
