from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.config import Config, decode, default_config, effective, merge_fragment, parse
from llmproxy.errors import ConfigErrors
from llmproxy.references import Secret

EXAMPLE = """
listen: {address: "${env:LISTEN}", trusted_proxies: [10.0.0.0/8]}
admin: {listen: off}
server: {max_body: 64MiB, drain_pause: 250ms}
stores: {shared: "redis://:${env:REDIS_PASSWORD}@cache:6379/0"}
upstreams:
  main:
    base_url: ${env:UPSTREAM}/v1
    api_key: ${file:/run/secrets/key}
    headers: {x-team: "team ${env:TEAM:-none}"}
    timeouts: {total: 5m}
models:
  gpt-4.1: {upstream: main, model: gpt-4.1-2025}
plugins:
  cache: {ttl: 5m, salt: "${env:SALT}"}
  small: {use: cache, on_error: open, note: "costs $${5}"}
pipeline: [small]
routes:
  - name: chat
    match: {path: /v1/chat/completions, methods: [POST]}
    upstream: main
    plugins: [{cache: {ttl: 1m}}]
    timeouts: {first_token: 20s}
"""
ENVIRON = {"LISTEN": "127.0.0.1:1", "UPSTREAM": "https://h", "SALT": "s-value", "REDIS_PASSWORD": "r-value"}


def read_file(path: str) -> str:
    if path != "/run/secrets/key":
        raise FileNotFoundError(2, "No such file or directory")
    return "k-value\n"


def read(text: str, **environ: str) -> Config:
    return decode(parse(text, "yaml"), environ=environ, read_file=read_file)


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        read(text)
    return [str(error) for error in caught.value.errors]


def test_a_configuration_is_read_with_its_references() -> None:
    config = read(EXAMPLE, **ENVIRON)

    main = config.upstreams["main"]
    assert config.listeners[0].address == "127.0.0.1:1"
    assert main.base_url == "https://h/v1"
    assert main.api_key == (Secret("k-value"),)
    assert main.headers == {"x-team": "team none"}
    assert config.plugins["cache"].config == {"ttl": "5m", "salt": "s-value"}
    assert config.plugins["small"].config == {"note": "costs ${5}"}


def test_an_empty_file_is_all_defaults() -> None:
    assert read("") == Config()


def test_what_is_no_mapping_is_refused() -> None:
    with pytest.raises(ConfigErrors, match="expected a mapping, got a list"):
        decode([], environ={}, read_file=read_file)  # type: ignore[arg-type]


def test_all_mistakes_come_in_one_go_and_each_once() -> None:
    text = """
    upstreams:
      main: {base_url: "${env:NOPE}/v1", dialekt: openai}
      keyed: {base_url: "https://h", api_key: "${env:ABSENT}"}
      broken: {dialect: http}
    models: {m: {model: x}}
    plugins: {cache: {on_error: maybe}}
    pipeline: [{a: 1, b: 2}]
    admin: {token: literal}
    routes:
      - {name: a, upstreem: main, plugins: [cahce]}
      - {name: c, match: {path: /c}, targets: [broken, main], models: {}}
      - {name: b, match: {path: nowhere}, upstream: mian}
      - 5
    """

    assert mistakes(text) == [
        'upstreams.main.base_url: environment variable "NOPE" is not set',
        'upstreams.keyed.api_key: environment variable "ABSENT" is not set',
        "admin.token: a secret is not written out; write it as ${env:NAME} or ${file:PATH}",
        "upstreams.main.dialekt: unknown key \"dialekt\"; did you mean 'dialect'?",
        "upstreams.broken.base_url: missing; it has no default",
        "models.m.upstream: missing; a model leads to an upstream, to a pool, to targets, or to another name by alias",
        'plugins.cache.on_error: expected "open" or "closed", got "maybe"',
        "pipeline[0]: expected a plugin's name, or {name: options}",
        "routes[0].upstreem: unknown key \"upstreem\"; did you mean 'upstream'?",
        'routes[2].match.path: "nowhere" is not a path; it begins with "/"',
        "routes[3]: expected a mapping, got a number",
        "routes[0].plugins[0]: unknown plugin \"cahce\"; did you mean 'cache'?",
        "routes[2].upstream: unknown upstream \"mian\"; did you mean 'main'?",
    ]


def test_the_effective_configuration_shows_every_default_and_no_secret() -> None:
    tree = effective(read(EXAMPLE, **ENVIRON))

    assert tree["listen"][0]["address"] == "${env:LISTEN}"
    assert tree["server"]["max_body"] == "64MiB"
    assert tree["server"]["body_timeout"] == "1m"
    assert tree["upstreams"]["main"]["api_key"] == ["${file:/run/secrets/key}"]
    assert tree["upstreams"]["main"]["headers"] == {"x-team": "team ${env:TEAM:-none}"}
    assert tree["plugins"]["cache"] == {"use": "cache", "ttl": "5m", "salt": "${env:SALT}"}
    assert tree["pipeline"] == ["small"]
    assert tree["routes"][0]["plugins"] == [{"cache": {"ttl": "1m"}}]
    assert tree["routes"][0]["timeouts"]["first_token"] == "20s"
    assert b"-value" not in orjson.dumps(tree)


@pytest.mark.parametrize("text", [EXAMPLE, ""])
def test_the_effective_configuration_reads_back_the_same(text: str) -> None:
    config = read(text, **ENVIRON)

    assert decode(effective(config), environ=ENVIRON, read_file=read_file) == config


PROVIDERS = """
upstreams:
  groq:
  fast: groq
  deep: {provider: deepseek, dialect: anthropic, timeouts: {total: 5m}}
  azure: {}
models: {small: fast/llama-3.1-8b-instant}
"""


def test_a_provider_is_one_line() -> None:
    environ = {
        "GROQ_API_KEY": "q-value",
        "DEEPSEEK_API_KEY": "d-value",
        "AZURE_API_KEY": "z-value",
        "AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com",
    }
    config = read(PROVIDERS, **environ)
    tree = effective(config)

    assert config.upstreams["fast"].base_url == "https://api.groq.com/openai/v1"
    assert config.upstreams["deep"].base_url == "https://api.deepseek.com/anthropic/v1"
    assert config.upstreams["groq"].api_key == (Secret("q-value"),)
    assert tree["upstreams"]["azure"]["base_url"] == "${env:AZURE_OPENAI_ENDPOINT}/openai/v1"
    assert tree["upstreams"]["azure"]["api_key"] == ["${env:AZURE_API_KEY}"]
    assert b"-value" not in orjson.dumps(tree)
    assert decode(tree, environ=environ, read_file=read_file) == config


def test_a_fragment_may_name_a_provider() -> None:
    merged = merge_fragment(
        read(EXAMPLE, **ENVIRON), {"upstreams": {"groq": {}}}, environ={"GROQ_API_KEY": "sk"}
    )

    assert merged.upstreams["groq"].provider == "groq"


def test_no_secret_is_in_the_repr_of_a_configuration() -> None:
    assert "-value" not in repr(read(EXAMPLE, **ENVIRON))


def test_without_a_file_the_demo_model_is_served() -> None:
    config = default_config({})

    assert set(config.upstreams) == {"demo"}
    assert config.upstreams["demo"].dialect == "demo"
    assert [listener.address for listener in config.listeners] == ["127.0.0.1:8080"]
    assert config.routes[0].match.path == "/*"


@pytest.mark.parametrize(
    ("environ", "there"), [({"OPENAI_API_KEY": "sk-1"}, True), ({"OPENAI_API_KEY": ""}, False)]
)
def test_a_provider_is_served_when_its_key_is_set(environ: dict[str, str], there: bool) -> None:
    upstreams: dict[str, Any] = default_config(environ).upstreams

    assert ("openai" in upstreams) is there
    if there:
        assert upstreams["openai"].api_key[0].reveal() == "sk-1"


def test_every_key_that_is_set_brings_its_provider() -> None:
    environ = {"GOOGLE_API_KEY": "g", "ANTHROPIC_API_KEY": "a", "GROQ_API_KEY": "q", "GITHUB_TOKEN": "t"}

    upstreams = default_config(environ).upstreams

    assert {name: upstream.dialect for name, upstream in upstreams.items()} == {
        "demo": "demo",
        "anthropic": "anthropic",
        "gemini": "gemini",
        "groq": "openai",
    }


def test_the_built_in_configuration_reads_no_file() -> None:
    config = default_config({"OPENAI_API_KEY": "${file:/etc/passwd}"})

    assert config.upstreams["openai"].api_key == (Secret("${file:/etc/passwd}"),)


def test_targets_of_a_model_are_a_pool_of_its_own_wherever_the_model_stands() -> None:
    config = read("""
        upstreams: {main: {base_url: "https://h"}}
        models: {fast: {targets: [main/a, main/b], strategy: weighted}, quick: fast}
        routes: [{name: chat, models: {slow: [main/c]}}]
    """)

    assert config.models["fast"].pool == "fast"
    assert config.routes[0].models is not None
    assert config.routes[0].models["slow"].pool == "chat.slow"
    assert set(config.pools) == {"fast", "chat.slow"}
    assert decode(effective(config), environ={}, read_file=read_file) == config


def test_a_fragment_brings_pools_too() -> None:
    fragment = {"pools": {"p": ["main/a"]}, "models": {"m": {"pool": "p"}, "n": ["main/b", "main/c"]}}

    merged = merge_fragment(read(EXAMPLE, **ENVIRON), fragment, environ={})

    assert set(merged.pools) == {"p", "n"}
    assert merged.models["n"].pool == "n"


def test_a_fragment_is_added_behind_what_is_there() -> None:
    fragment = {
        "upstreams": {"more": {"base_url": "https://h", "api_key": "${env:KEY}"}},
        "models": {"m": {"upstream": "main"}},
        "routes": [{"name": "late", "upstream": "more"}],
    }

    merged = merge_fragment(read(EXAMPLE, **ENVIRON), fragment, environ={"KEY": "sk"})

    assert set(merged.upstreams) == {"main", "more"}
    assert merged.upstreams["more"].api_key == (Secret("sk"),)
    assert set(merged.models) == {"gpt-4.1", "m"}
    assert [route.name for route in merged.routes] == ["chat", "late"]


@pytest.mark.parametrize(
    ("fragment", "message"),
    [
        ({"listen": "127.0.0.1:1"}, 'listen: unknown key "listen"'),
        (
            {"upstreams": {"main": {"base_url": "https://h"}}},
            "upstreams.main: there is one of this name already",
        ),
        (
            {"models": {"gpt-4.1": {"upstream": "main"}}},
            'models["gpt-4.1"]: there is one of this name already',
        ),
        ({"routes": [{"name": "chat"}]}, 'routes[1].name: "chat" is the name of routes[0] already'),
        ({"routes": [{"name": "x", "upstream": "mian"}]}, 'routes[1].upstream: unknown upstream "mian"'),
        (
            {"upstreams": {"x": {"base_url": "${file:/etc/passwd}"}}},
            'upstreams.x.base_url: file "/etc/passwd" cannot be read: only the configuration file',
        ),
        ([], "expected a mapping, got a list"),
    ],
)
def test_a_fragment_is_checked_like_the_file(fragment: object, message: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        merge_fragment(read(EXAMPLE, **ENVIRON), fragment, environ={})

    [error] = caught.value.errors
    assert str(error).startswith(message)


ODD_VALUES = [
    None,
    True,
    5,
    -1.5,
    "",
    "odd",
    [],
    {},
    [5],
    {"a": 5},
    {"a": []},
    [[]],
    ["a", "a"],
    "${env:NOPE}",
]


def places(tree: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, item in entries:
        yield from places(item, (*place, key))


@given(place=st.sampled_from(list(places(parse(EXAMPLE, "yaml")))[1:]), odd=st.sampled_from(ODD_VALUES))
def test_an_odd_value_anywhere_is_taken_or_told(place: tuple[Any, ...], odd: object) -> None:
    tree: Any = parse(EXAMPLE, "yaml")
    section = tree
    for key in place[:-1]:
        section = section[key]
    section[place[-1]] = odd

    with contextlib.suppress(ConfigErrors):
        config = decode(tree, environ=ENVIRON, read_file=read_file)

        assert decode(effective(config), environ=ENVIRON, read_file=read_file) == config
