from __future__ import annotations

import msgspec
import pytest

from llmproxy.plugin import ConfigError
from llmproxy_local.config import LocalConfig, ModelSettings


def test_the_model_that_comes_in_a_package_needs_no_word():
    assert list(LocalConfig().models) == ["smollm2"]


def test_models_have_files_windows_and_times():
    tree = {"models": {"m": {"path": "/m.gguf", "context": 1024, "threads": 2, "parallel": 1}}}
    config = msgspec.convert(tree, LocalConfig)

    assert config.models["m"] == ModelSettings(path="/m.gguf", context=1024, threads=2, parallel=1)


@pytest.mark.parametrize(
    "given",
    [
        {"models": {"m": ModelSettings()}},
        {"models": {"a/b": ModelSettings(path="/m.gguf")}},
        {"start_timeout": 0.5},
    ],
)
def test_what_cannot_be_meant_is_refused(given):
    with pytest.raises(ConfigError):
        LocalConfig(**given)


def test_nobody_is_idle_at_once():
    with pytest.raises(ConfigError):
        ModelSettings(idle=0.1)
