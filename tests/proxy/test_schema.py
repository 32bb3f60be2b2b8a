from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

import jsonschema
import msgspec
import pytest

from llmproxy.config import default_config, effective
from llmproxy.references import Secret
from llmproxy.schema import json_schema
from llmproxy.units import Duration


class CacheConfig(msgspec.Struct, frozen=True):
    ttl: Duration = 5.0
    entries: int = 10
    key: Secret | None = None


class OpenSecret(Secret):
    __slots__ = ()
    accepts_literal = True


class OpenConfig(msgspec.Struct, frozen=True):
    key: OpenSecret


def fits(tree: dict[str, Any], **structs: type[msgspec.Struct]) -> bool:
    return bool(judge(**structs).is_valid(tree))


@cache
def judge(**structs: type[msgspec.Struct]) -> jsonschema.Draft202012Validator:
    schema = json_schema(structs)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_what_the_gateway_prints_fits_its_schema() -> None:
    assert fits(effective(default_config({"OPENAI_API_KEY": "sk"})))


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"listen": "127.0.0.1:1"},
        {"listen": ["127.0.0.1:1", {"address": "127.0.0.1:2"}]},
        {"server": {"max_body": "1MiB", "backlog": "${env:BACKLOG}", "body_timeout": 5}},
        {"stores": {"a": "memory://", "b": {"url": "memory://"}}},
        {"stores": {"a": {"url": "lmdb:/c", "near": "memory://", "near_ttl": "1s", "compress": "zstd"}}},
        {"stores": {"a": {"url": "lmdb:/c", "compress_above": "4KiB", "encryption_key": "${env:KEY}"}}},
        {"stores": {"a": {"url": "lmdb:/c", "encryption_key": ["${env:NEW}", "${file:/run/old}"]}}},
        {"plugins": {"cache": None, "other": {"free": 1}, "fast": {"use": "cache", "ttl": "5m"}}},
        {"plugins": {"cache": {"ttl": "5m", "entries": "${env:N}", "key": "${env:K}", "on_error": "open"}}},
        {"plugins": {"cache": {"use": "other", "free": 1}}},
        {"pipeline": ["cache", {"cache": {"ttl": 1}}, {"cache": None}]},
        {
            "upstreams": {
                "groq": None,
                "x": "groq",
                "y": {"provider": "mistral", "quirks": {"format": "none"}},
            }
        },
        {"upstreams": {"a": {"base_url": "https://h", "api_key": ["${env:A}", "${file:/b}"]}}},
        {"upstreams": {"a": {"base_url": "https://h", "api_key": None}}},
        {"models": {"fast": "groq/m", "slow": {"alias": "fast"}, "m": {"upstream": "groq"}}},
        {"models": {"fast": ["groq/m", {"pool": "p"}], "slow": {"targets": ["a"], "strategy": "p2c"}}},
    ],
)
def test_what_can_be_decoded_fits(tree: dict[str, Any]) -> None:
    assert fits(tree, cache=CacheConfig)


@pytest.mark.parametrize(
    "tree",
    [
        {"sever": {}},
        {"listen": 80},
        {"server": {"backlog": "many"}},
        {"server": {"body_timeout": -1}},
        {"log": {"level": "loud"}},
        {"stores": {"a": {"url": "lmdb:/c", "compress": "gzip"}}},
        {"stores": {"a": {"url": "lmdb:/c", "encryption_key": "written out"}}},
        {"upstreams": {"a": {"base_url": "https://h", "api_key": "sk-literal"}}},
        {"upstreams": {"a": {"base_url": "https://h", "api_key": ["${env:A}", "sk-literal"]}}},
        {"upstreams": {"a": "grok2"}},
        {"upstreams": {"a": {"provider": "mistrall"}}},
        {"plugins": {"cache": {"tll": "5m"}}},
        {"plugins": {"fast": {"use": "cache", "tll": "5m"}}},
        {"pipeline": [{"a": {}, "b": {}}]},
    ],
)
def test_what_would_be_refused_does_not_fit(tree: dict[str, Any]) -> None:
    assert not fits(tree, cache=CacheConfig)


@pytest.mark.parametrize(
    ("pool", "right"),
    [
        (["openai/gpt-4o", {"pool": "other", "weight": 2}], True),
        ({"targets": ["a"], "strategy": "p2c"}, True),
        ({"targets": ["a"], "strategy": {"cheapest": {"output": 5}}}, True),
        ([{"upstream": "a", "capabilities": ["tools", "vision"]}], True),
        ([{"upstream": "a", "capabilities": {"tools": False, "window": 8192}}], True),
        ([{"upstream": "a", "after": "window"}, {"upstream": "b", "after": ["policy"]}], True),
        ([{"upstream": "a", "capabilities": ["telepathy"]}], False),
        ([{"upstream": "a", "wieght": 1}], False),
        ({"targets": ["a"], "strategy": {"cheapest": {}, "p2c": {}}}, False),
        ("a", False),
    ],
)
def test_pools_fit_in_their_short_forms(pool: Any, right: bool) -> None:
    assert fits({"pools": {"p": pool}}) == right


def test_a_secret_that_may_be_written_out_is_any_text() -> None:
    assert fits({"plugins": {"open": {"key": "local"}}}, open=OpenConfig)


def test_plugins_whose_structs_share_a_name_are_kept_apart() -> None:
    other = msgspec.defstruct("CacheConfig", [("size", int, 0)], module="elsewhere")

    assert fits({"plugins": {"cache": {"ttl": 1}, "more": {"size": 1}}}, cache=CacheConfig, more=other)
    assert not fits({"plugins": {"more": {"ttl": 1}}}, cache=CacheConfig, more=other)


def test_a_section_of_a_plugin_says_what_it_is_in_short() -> None:
    class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        at: str = ""
        shorthand: ClassVar[dict[str, str]] = {"type": "string"}

    config = msgspec.defstruct("Config2", [("place", Place | None, None), ("places", list[Place], [])])

    assert fits({"plugins": {"p": {"place": "/a", "places": [{"at": "/b"}, "/c"]}}}, p=config)
    assert not fits({"plugins": {"p": {"place": 7}}}, p=config)


def test_a_type_that_no_text_can_hold_is_refused_by_name() -> None:
    odd = msgspec.defstruct("Odd", [("made", complex)])

    with pytest.raises(TypeError, match="complex"):
        json_schema({"odd": odd})
