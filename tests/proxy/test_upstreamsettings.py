from __future__ import annotations

import pytest

from llmproxy.decode import decode_struct
from llmproxy.errors import ConfigErrors
from llmproxy.references import Resolved
from llmproxy.sections import Section
from llmproxy.upstreamsettings import TimeoutOverrides, Timeouts, UpstreamConfig, UpstreamTls


def mistake(type_: type[Section], tree: object) -> str:
    with pytest.raises(ConfigErrors) as caught:
        decode_struct(type_, tree)
    [error] = caught.value.errors
    return str(error)


@pytest.mark.parametrize(
    ("type_", "tree", "message"),
    [
        (Timeouts, {"idle": 0}, "idle: a timeout of 0s"),
        (TimeoutOverrides, {"idle": "0s"}, "idle: a timeout of 0s"),
        (UpstreamTls, {"key": "k"}, "certificate: missing; key is of no use"),
        (UpstreamTls, {"certificate": "k"}, "key: missing; certificate is of no use"),
        (UpstreamConfig, {"base_url": "ftp://h"}, "base_url: not a URL with a host"),
        (UpstreamConfig, {"base_url": "https:///v1"}, "base_url: not a URL with a host"),
        (UpstreamConfig, {"base_url": "https://h:99999"}, "base_url: not a URL"),
        (UpstreamConfig, {"base_url": "https://h/a b"}, "base_url: holds a space"),
        (UpstreamConfig, {"base_url": "https://u:p@h"}, "base_url: holds a user name or password"),
        (UpstreamConfig, {"base_url": "https://h?x=1"}, "base_url: holds a query"),
        (UpstreamConfig, {"base_url": "https://h", "proxy": "socks5://h"}, "proxy: not a URL with a host"),
        (
            UpstreamConfig,
            {"base_url": "https://h", "headers": {"a b": "x"}},
            'headers: "a b" is not a header name',
        ),
        (
            UpstreamConfig,
            {"base_url": "https://h", "headers": {"a": "x\ny"}},
            "headers.a: holds a line break",
        ),
        (UpstreamConfig, {"base_url": "https://h", "headers": {"a": 5}}, "headers.a: expected str"),
    ],
)
def test_a_section_that_makes_no_sense_says_why(type_: type[Section], tree: object, message: str) -> None:
    assert mistake(type_, tree).startswith(message)


@pytest.mark.parametrize(
    ("type_", "tree"),
    [
        (UpstreamTls, {"certificate": "c", "key": "k"}),
        (UpstreamConfig, {"base_url": "https://h:8443/v1", "headers": {"a": "x", "b": "y"}}),
    ],
)
def test_a_section_that_makes_sense_is_taken(type_: type[Section], tree: object) -> None:
    assert isinstance(decode_struct(type_, tree), type_)


@pytest.mark.parametrize("base_url", ["https://user:sk-1@host/v1", "sk-1", "https://h:sk-1/"])
def test_a_wrong_url_is_never_repeated(base_url: str) -> None:
    assert "sk-1" not in mistake(UpstreamConfig, {"base_url": base_url})


def test_an_upstreams_proxy_may_carry_a_password_and_may_be_none() -> None:
    proxy = Resolved("http://u:pw@proxy:3128", "http://u:${env:PW}@proxy:3128")

    upstream = decode_struct(UpstreamConfig, {"base_url": "https://h", "proxy": proxy})

    assert upstream.proxy == "http://u:pw@proxy:3128"
    assert "pw@" not in repr(upstream)
    assert decode_struct(UpstreamConfig, {"base_url": "https://h", "proxy": None}).proxy is None


@pytest.mark.parametrize(
    ("socket", "told"), [("run/x.sock", "absolute path"), ("/" + "x" * 103, "longer than")]
)
def test_a_socket_that_no_system_takes_is_refused(socket: str, told: str) -> None:
    assert told in mistake(UpstreamConfig, {"base_url": "http://localhost", "socket": socket})


def test_a_route_overrides_only_the_timeouts_it_names() -> None:
    own = decode_struct(TimeoutOverrides, {"total": "5m", "idle": "2s"})

    assert own.over(Timeouts(connect=1.0)) == Timeouts(connect=1.0, idle=2.0, total=300.0)


def test_one_key_need_not_be_a_list() -> None:
    one, two = Resolved("k", "${env:K}"), Resolved("l", "${env:L}")

    def keys(written: object) -> list[str]:
        settings = decode_struct(UpstreamConfig, {"base_url": "https://h", "api_key": written})
        return [key.reveal() for key in settings.api_key]

    assert (keys(one), keys([one, two]), keys([]), keys(None)) == (["k"], ["k", "l"], [], [])


def test_a_key_stands_there_once() -> None:
    keys = [Resolved("k", "${env:A}"), Resolved("k", "${env:B}")]
    told = mistake(UpstreamConfig, {"base_url": "https://h", "api_key": keys})

    assert told == "api_key: holds a key twice"
