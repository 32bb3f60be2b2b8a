from __future__ import annotations

import msgspec
import pytest

from llmproxy_openai.config import OpenAIConfig


def test_there_is_nothing_to_configure() -> None:
    assert msgspec.convert({}, OpenAIConfig) == OpenAIConfig()


def test_a_key_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="base_url"):
        msgspec.convert({"base_url": "x"}, OpenAIConfig)
