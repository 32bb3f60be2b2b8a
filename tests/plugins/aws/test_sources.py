"""Where credentials come from: options, environment, profiles, roles of containers, machines and others."""

import asyncio
import datetime

import pytest

from llmproxy.plugin import CredentialsAway, Secret
from llmproxy.testing import FakeUpstream
from llmproxy_aws.config import AwsOptions
from llmproxy_aws.sources import Source

ROLE = "arn:aws:iam::123456789012:role/gateway"
ASSUMED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/gateway/llmproxy</Arn><AssumedRoleId>A:b</AssumedRoleId>
</AssumedRoleUser><Credentials><AccessKeyId>ASSUMED</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
<SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""
DENIED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>User is not authorized</Message></Error></ErrorResponse>"""


def source(**options):
    return Source(AwsOptions(**options), "bedrock", "eu-west-1")


def keys(granted):
    found = granted.value.credentials
    return found.access_key, found.secret_key, found.token


def after(seconds):
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def role_keys(name, seconds):
    return {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": name,
        "SecretAccessKey": "s",
        "Token": "t",
        "Expiration": after(seconds),
        "LastUpdated": after(0),
    }


@pytest.fixture
async def server():
    async with FakeUpstream() as upstream:
        yield upstream


def test_keys_that_are_written_down_are_used_and_have_no_end():
    own = source(access_key=Secret("AKID"), secret_key=Secret("s"), session_token=Secret("t"))
    first, second = own.ask(), own.ask()

    assert (keys(first), first.seconds) == (("AKID", "s", "t"), float("inf"))
    assert first.value is second.value


def test_the_environment_is_read(environment):
    environment.setenv("AWS_ACCESS_KEY_ID", "ENV")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "s")

    assert keys(source().ask()) == ("ENV", "s", None)


def test_a_profile_is_read_and_read_again_when_its_credentials_were_refused(tmp_path):
    file = tmp_path / "credentials"
    file.write_text("[work]\naws_access_key_id = ONE\naws_secret_access_key = s\n")
    own = source(profile="work")
    assert keys(own.ask())[0] == "ONE"

    file.write_text("[work]\naws_access_key_id = TWO\naws_secret_access_key = s\n")
    assert keys(own.ask())[0] == "ONE"
    own.forget()
    assert keys(own.ask())[0] == "TWO"


@pytest.mark.parametrize("options", [{}, {"profile": "unknown"}])
def test_where_there_are_none_it_is_told(options):
    with pytest.raises(CredentialsAway):
        source(**options).ask()


async def test_a_container_s_role_is_renewed_in_time(environment, server):
    environment.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/role")
    environment.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let-me-in")
    server.reply(json=role_keys("FIRST", 3600)).reply(json=role_keys("SECOND", 20))
    own = source()
    first = await asyncio.to_thread(own.ask)
    again = await asyncio.to_thread(own.ask)
    own.forget()
    second = await asyncio.to_thread(own.ask)

    assert (keys(first)[0], first.seconds) == ("FIRST", 60.0)
    assert again.value is first.value
    assert (keys(second)[0], second.seconds) == ("SECOND", 5.0)
    assert server.requests[0].header("authorization") == "let-me-in"


async def test_a_machine_s_role_is_found(environment, server):
    environment.delenv("AWS_EC2_METADATA_DISABLED")
    environment.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
    where = "/latest/meta-data/iam/security-credentials/"
    server.reply(body=b"session", path="/latest/api/token").reply(body=b"gateway", path=where)
    server.reply(json=role_keys("MACHINE", 21600), path=f"{where}gateway")

    assert keys(await asyncio.to_thread(source().ask)) == ("MACHINE", "s", "t")


async def test_a_role_is_assumed(environment, server):
    environment.setenv("AWS_ENDPOINT_URL_STS", server.url)
    server.reply(body=(ASSUMED % after(3600)).encode(), headers=[("Content-Type", "text/xml")])
    own = source(access_key=Secret("AKID"), secret_key=Secret("s"), role_arn=ROLE, external_id="seven")
    granted = await asyncio.to_thread(own.ask)

    assert (keys(granted), granted.seconds) == (("ASSUMED", "s", "t"), 60.0)
    assert b"ExternalId=seven" in server.requests[0].body
    assert b"RoleSessionName=llmproxy" in server.requests[0].body
    assert "Credential=AKID/" in server.requests[0].header("authorization")


async def test_a_role_that_may_not_be_assumed_is_told_by_aws_own_word(environment, server):
    environment.setenv("AWS_ENDPOINT_URL_STS", server.url)
    server.reply(403, body=DENIED.encode(), headers=[("Content-Type", "text/xml")])
    own = source(access_key=Secret("AKID"), secret_key=Secret("s"), role_arn=ROLE)

    with pytest.raises(CredentialsAway, match="AWS answered AccessDenied"):
        await asyncio.to_thread(own.ask)
