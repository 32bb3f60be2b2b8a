"""What is told of keys that other gateways have."""

from __future__ import annotations

import msgspec
import pytest

from llmproxy.decode import decode_struct
from llmproxy.errors import ConfigErrors
from llmproxy.installed import available
from llmproxy.sections import Section
from llmproxy.settings import Config, ModelConfig, PoolConfig, RouteConfig, UpstreamConfig

SECTIONS = [Config, ModelConfig, PoolConfig, RouteConfig, UpstreamConfig]


@pytest.mark.parametrize("section", SECTIONS)
def test_no_key_that_there_is_is_said_to_be_elsewhere(section: type[Section]) -> None:
    keys = {field.encode_name for field in msgspec.structs.fields(section)}

    assert section.elsewhere
    assert not keys & section.elsewhere.keys()


@pytest.mark.parametrize(
    ("section", "tree", "told"),
    [
        (UpstreamConfig, {"base_url": "https://h", "retries": 3}, "a route's `attempts` bounds them"),
        (UpstreamConfig, {"base_url": "https://h", "timeout": "30s"}, "write `timeouts: {total: 30s}`"),
        (RouteConfig, {"name": "a", "cors": {}}, "it is a plugin: `plugins: [cors: {...}]`"),
        (PoolConfig, {"targets": ["a"], "weights": [1]}, "a target has its `weight`"),
        (Config, {"model_list": []}, "`llmproxy import litellm FILE`"),
        (Config, {"cache": {}}, "it is a plugin: `plugins: {cache: {...}}`, listed by `pipeline` or a route"),
    ],
)
def test_a_key_of_another_gateway_is_told_with_what_to_write(
    section: type[Section], tree: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigErrors) as fault:
        decode_struct(section, tree)

    assert told in str(fault.value)


def test_what_is_said_to_be_a_plugin_is_one() -> None:
    named = {key for key, told in Config.elsewhere.items() if told.startswith("it is a plugin")}

    assert named <= available().keys()
