from __future__ import annotations

import pytest

from llmproxy.plugin import ConfigError
from llmproxy_compression import coders
from llmproxy_compression.config import CompressionConfig


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setattr(coders, "find_spec", lambda name: None if name == package else object())


def test_all_that_are_installed_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CompressionConfig().chosen == ("zstd", "br", "gzip")
    without(monkeypatch, "brotli")
    assert CompressionConfig().chosen == ("zstd", "gzip")


def test_the_written_order_is_the_order() -> None:
    assert CompressionConfig(codings=("gzip", "zstd")).chosen == ("gzip", "zstd")


def test_what_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "zstandard")

    with pytest.raises(ConfigError, match=r"codings\[1\].*llmproxy-gateway\[compression\]"):
        CompressionConfig(codings=("gzip", "zstd"))


@pytest.mark.parametrize("kind", ["text", "*/*", "text/plain; charset=utf-8", "Text/Plain", ""])
def test_what_is_no_type_is_told(kind: str) -> None:
    with pytest.raises(ConfigError, match=r"types\[0\]"):
        CompressionConfig(types=(kind,))
