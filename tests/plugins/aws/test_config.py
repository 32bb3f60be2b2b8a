"""The options of `auth: aws`."""

import msgspec
import pytest

from llmproxy.plugin import ConfigError, Secret
from llmproxy_aws.config import AwsConfig, AwsOptions

KEYS = {"access_key": Secret("AKID"), "secret_key": Secret("secret")}
ROLE = "arn:aws:iam::123456789012:role/gateway"


def test_the_plugin_itself_has_nothing_to_set():
    assert msgspec.structs.fields(AwsConfig) == ()


@pytest.mark.parametrize(
    "given",
    [
        {},
        KEYS,
        {**KEYS, "session_token": Secret("token"), "region": "eu-west-1", "service": "bedrock"},
        {"profile": "work", "role_arn": ROLE, "external_id": "7"},
        {"role_arn": "arn:aws-us-gov:iam::123456789012:role/path/gateway"},
    ],
)
def test_these_are_good(given):
    assert AwsOptions(**given) is not None


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"access_key": Secret("AKID")}, "secret_key"),
        ({"secret_key": Secret("secret")}, "access_key"),
        ({"session_token": Secret("token")}, "access_key"),
        ({**KEYS, "profile": "work"}, "profile"),
        ({"external_id": "7"}, "external_id"),
        ({"role_arn": "gateway"}, "role_arn"),
        ({"region": "Frankfurt am Main"}, "region"),
        ({"service": "s3"}, "service"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_key(given, key):
    with pytest.raises(ConfigError) as told:
        AwsOptions(**given)
    assert told.value.path == key


def test_no_secret_is_shown():
    shown = repr(AwsOptions(access_key=Secret("AKID", "${env:A}"), secret_key=Secret("hidden")))

    assert "hidden" not in shown
