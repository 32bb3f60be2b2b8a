from __future__ import annotations

import msgspec
import pytest

from llmproxy_demo.config import DemoConfig


def test_there_is_nothing_to_configure() -> None:
    assert msgspec.convert({}, DemoConfig) == DemoConfig()


def test_a_key_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="model"):
        msgspec.convert({"model": "x"}, DemoConfig)
