"""The options of `auth: oauth2`."""

import msgspec
import pytest

from llmproxy.plugin import ConfigError, Secret
from llmproxy_oauth2.config import OAuth2Config, OAuth2Options

GOOD = {"token_url": "https://login.test/token", "client_id": "me", "client_secret": Secret("hidden")}


def test_the_plugin_itself_has_nothing_to_set():
    assert msgspec.structs.fields(OAuth2Config) == ()


@pytest.mark.parametrize(
    "url", ["https://login.test/a?b=c", "http://127.0.0.1:8080/token", "http://localhost"]
)
def test_secrets_go_by_https_or_to_this_machine(url):
    assert OAuth2Options(**{**GOOD, "token_url": url}).token_url == url


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"token_url": "http://login.test/token"}, "token_url"),
        ({"token_url": "https://me:x@login.test/token"}, "token_url"),
        ({"token_url": "https://"}, "token_url"),
        ({"token_url": "https://[x"}, "token_url"),
        ({"scopes": ("a b",)}, "scopes"),
        ({"form": {"grant_type": "password"}}, "form"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_key(given, key):
    with pytest.raises(ConfigError) as told:
        OAuth2Options(**{**GOOD, **given})
    assert told.value.path == key


def test_no_secret_is_shown():
    assert "hidden" not in repr(OAuth2Options(**GOOD))
