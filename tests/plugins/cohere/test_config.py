from __future__ import annotations

import msgspec
import pytest

from llmproxy_cohere.config import CohereConfig


def test_there_is_nothing_to_configure() -> None:
    assert msgspec.convert({}, CohereConfig) == CohereConfig()


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"key": 1}, CohereConfig)
