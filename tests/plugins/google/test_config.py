"""The options of `auth: google`."""

import msgspec
import pytest

from llmproxy.plugin import ConfigError, Secret
from llmproxy_google.config import GoogleConfig, GoogleOptions


def test_the_plugin_itself_has_nothing_to_set():
    assert msgspec.structs.fields(GoogleConfig) == ()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"key": Secret("{}"), "scopes": ("https://www.googleapis.com/auth/devstorage.read_only",)},
        {"impersonate": "gateway@project.iam.gserviceaccount.com", "quota_project": "example.com:project-1"},
    ],
)
def test_these_are_good(given):
    assert GoogleOptions(**given) is not None


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"impersonate": "gateway"}, "impersonate"),
        ({"scopes": ()}, "scopes"),
        ({"quota_project": "a\n"}, "quota_project"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_key(given, key):
    with pytest.raises(ConfigError) as told:
        GoogleOptions(**given)
    assert told.value.path == key


def test_no_secret_is_shown():
    assert "hidden" not in repr(GoogleOptions(key=Secret("hidden", "${file:/key.json}")))
