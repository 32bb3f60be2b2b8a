from __future__ import annotations

import pytest

from llmproxy.decode import decode_struct
from llmproxy.errors import ConfigErrors
from llmproxy.references import Secret
from llmproxy.settings import (
    Admin,
    Config,
    Listener,
    Match,
    ModelConfig,
    PluginConfig,
    PluginRef,
    PoolConfig,
    RouteConfig,
    Section,
    StoreConfig,
    TargetConfig,
    TlsConfig,
    UpstreamConfig,
)


def mistake(type_: type[Section], tree: object) -> str:
    with pytest.raises(ConfigErrors) as caught:
        decode_struct(type_, tree)
    [error] = caught.value.errors
    return str(error)


@pytest.mark.parametrize(
    "listen",
    [
        "127.0.0.1:1",
        ["127.0.0.1:1"],
        {"address": "127.0.0.1:1"},
        [{"address": "127.0.0.1:1"}],
    ],
)
def test_a_listener_is_written_in_four_ways(listen: object) -> None:
    assert decode_struct(Config, {"listen": listen}).listeners == (Listener(address="127.0.0.1:1"),)


def test_a_listener_gives_the_parts_of_its_address() -> None:
    tcp, unix = Listener(address="[::1]:80"), Listener(address="unix:/run/s")

    assert (tcp.host, tcp.port, tcp.path) == ("::1", 80, None)
    assert unix.path == "/run/s"


def test_the_admin_listener_can_be_off() -> None:
    assert Admin(listen="off").address is None
    assert str(Admin().address) == "127.0.0.1:9901"


def test_an_admin_listener_for_other_machines_has_a_token() -> None:
    assert Admin(listen="0.0.0.0:9901", token=Secret("t")).token == Secret("t")
    assert (
        mistake(Admin, {"listen": "0.0.0.0:9901"})
        == 'token: missing; "0.0.0.0:9901" can be reached from other machines'
    )


@pytest.mark.parametrize(
    ("type_", "tree", "message"),
    [
        (Listener, "nowhere", 'address: "nowhere" is not an address'),
        (
            Listener,
            {"address": "h:1", "trusted_proxies": ["10.0.0.0/8", "10.1/8"]},
            'trusted_proxies[1]: "10.1/8"',
        ),
        (Admin, {"listen": "nowhere"}, 'listen: "nowhere" is not an address'),
        (TlsConfig, {"certificate": "c", "key": "k", "client_auth": "required"}, "client_ca: missing"),
        (StoreConfig, "nothing", "url: no scheme"),
        (StoreConfig, {"url": "lmdb:/tmp", "near": "memory"}, "near: no scheme"),
        (StoreConfig, {"url": "lmdb:/tmp", "compress": "gzip"}, 'compress: expected "zstd", got "gzip"'),
        (
            StoreConfig,
            {"url": "lmdb:/tmp", "encryption_key": "ab"},
            "encryption_key[0]: a secret is not written",
        ),
        (
            ModelConfig,
            {"model": "x"},
            "upstream: missing; a model leads to an upstream, to a pool, to targets, or to another name",
        ),
        (ModelConfig, {"alias": "x", "model": "y"}, "alias: stands beside upstream, model, pool or targets"),
        (Match, {"path": "v1"}, 'path: "v1" is not a path'),
        (Match, {"host": "h:80"}, 'host: "h:80" is not a host'),
        (Match, {"host": "a.*.b"}, 'host: "a.*.b" is not a host'),
        (Match, {"host": "*.[::1]"}, 'host: "*.[::1]" is not a host'),
        (Match, {"methods": ["GET", "post"]}, 'methods[1]: "post" is not a method'),
        (Match, {"methods": []}, "methods: empty"),
        (Match, {"methods": [5]}, "methods[0]: expected str"),
        (Listener, {"address": "h:1", "trusted_proxies": [5]}, "trusted_proxies[0]: expected str"),
        (RouteConfig, {"name": "a", "upstream": "b", "targets": ["c"]}, "targets: stands beside upstream"),
        (
            RouteConfig,
            {"name": "a", "targets": [{"members": "x"}]},
            "targets[0].upstream: a target is an upstream or a pool; write one of them, as in openai/",
        ),
        (
            RouteConfig,
            {"name": "a", "targets": [{"upstream": "b", "mirror": 1}]},
            "targets: holds nothing that answers",
        ),
        (RouteConfig, {"name": "a", "retries": 3}, 'retries: unknown key "retries"; a route\'s `attempts`'),
        (PluginRef, {"a": {}, "b": {}}, ": expected a plugin's name, or {name: options}"),
        (PluginRef, 5, ": expected a plugin's name, or {name: options}"),
        (Config, {"plugins": {"x": 5}}, "plugins.x: expected a mapping"),
        (Config, {"version": 2}, "version: expected 1"),
        (Config, [], ": expected a mapping, got a list"),
    ],
)
def test_a_section_that_makes_no_sense_says_why(type_: type[Section], tree: object, message: str) -> None:
    assert mistake(type_, tree).startswith(message.removeprefix(": "))


@pytest.mark.parametrize(
    ("type_", "tree"),
    [
        (TlsConfig, {"certificate": "c", "key": "k", "client_ca": "ca", "client_auth": "required"}),
        (Match, {"methods": ["GET", "POST"]}),
    ],
)
def test_a_section_that_makes_sense_is_taken(type_: type[Section], tree: object) -> None:
    assert isinstance(decode_struct(type_, tree), type_)


@pytest.mark.parametrize("host", ["example.com", "*.example.com", "[::1]", "localhost"])
def test_a_host_may_be_a_name_a_wildcard_or_an_address(host: str) -> None:
    assert Match(host=host).host == host


@pytest.mark.parametrize(
    ("written", "name", "options"),
    [
        ("cache", "cache", {}),
        ({"cache": {"ttl": "5m"}}, "cache", {"ttl": "5m"}),
        ({"cache": "faq"}, "cache", "faq"),
        ({"cache": None}, "cache", {}),
    ],
)
def test_a_plugin_is_listed_by_name_or_with_options(written: object, name: str, options: object) -> None:
    assert decode_struct(PluginRef, written) == PluginRef(name=name, options=options)


def test_an_instance_is_of_the_plugin_it_is_named_after_unless_it_says_otherwise() -> None:
    tree = {"metrics": None, "cache": {"ttl": 3}, "fast": {"use": "cache", "on_error": "open", "config": 1}}

    assert decode_struct(Config, {"plugins": tree}).plugins == {
        "metrics": PluginConfig(use="metrics"),
        "cache": PluginConfig(use="cache", config={"ttl": 3}),
        "fast": PluginConfig(use="cache", on_error="open", config={"config": 1}),
    }


def test_a_model_is_written_as_the_name_that_it_leads_to() -> None:
    tree = {"fast": "groq/m", "slow": {"alias": "fast"}}

    assert decode_struct(Config, {"models": tree}).models == {
        "fast": ModelConfig(alias="groq/m"),
        "slow": ModelConfig(alias="fast"),
    }


def test_a_store_is_written_as_its_url() -> None:
    assert decode_struct(Config, {"stores": {"m": "memory://", "n": {"url": "memory://"}}}).stores == {
        "m": StoreConfig(url="memory://"),
        "n": StoreConfig(url="memory://"),
    }


def test_a_routes_kind_is_told_by_its_upstreams_dialect() -> None:
    config = Config(
        upstreams={
            "api": UpstreamConfig(base_url="https://h", dialect="http"),
            "llm": UpstreamConfig(base_url="https://h"),
        }
    )

    assert config.kind_of(RouteConfig(name="a", upstream="api")) == "http"
    assert config.kind_of(RouteConfig(name="a", upstream="llm")) == "model"
    assert config.kind_of(RouteConfig(name="a", targets=(TargetConfig(upstream="api"),))) == "http"
    assert config.kind_of(RouteConfig(name="a", pool="nowhere")) == "model"
    assert config.kind_of(RouteConfig(name="a")) == "model"


def test_a_routes_upstreams_are_all_that_it_leads_to_by_itself() -> None:
    pair = PoolConfig(targets=(TargetConfig(upstream="b"), TargetConfig(pool="deep")))
    deep = PoolConfig(targets=(TargetConfig(upstream="c"), TargetConfig(upstream="b")))
    config = Config(pools={"pair": pair, "deep": deep})
    targets = (TargetConfig(upstream="a"), TargetConfig(pool="deep"))

    assert config.upstreams_of(RouteConfig(name="r", upstream="b")) == ("b",)
    assert config.upstreams_of(RouteConfig(name="r", pool="pair")) == ("b", "c")
    assert config.upstreams_of(RouteConfig(name="r", targets=targets)) == ("a", "c", "b")
    assert config.upstreams_of(RouteConfig(name="r")) == ()
