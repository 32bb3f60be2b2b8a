"""Signed requests through the gateway, judged by botocore; what is done where AWS refuses them."""

import asyncio
import datetime
import os
import subprocess
import sys

import aiohttp
import pytest
from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from tests.webserver import served

from llmproxy.plugin import Clock, ConfigError, Headers, Reply, UpstreamConfig, UpstreamRequest
from llmproxy.testing import FakeUpstream, make_exchange, running_gateway, running_route
from llmproxy_aws.authorizer import AwsAuthorizer, make_authorizer
from llmproxy_aws.config import AwsOptions
from llmproxy_aws.sources import Source

HOST = "https://bedrock-runtime.eu-west-1.amazonaws.com"
EXPIRED = [("x-amzn-errortype", "ExpiredTokenException:http://internal.amazon.com/coral/com.amazon.coral/")]


@pytest.fixture
async def api():
    async with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
def keys(environment):
    def put(name):
        environment.setenv("AWS_ACCESS_KEY_ID", name)
        environment.setenv("AWS_SECRET_ACCESS_KEY", "s")
        environment.setenv("AWS_SESSION_TOKEN", "t")

    put("ONE")
    return put


def serving(api, options=None, **upstream):
    auth = {"aws": {"region": "eu-west-1", **(options or {})}}
    section = {"base_url": f"{api.url}/base", "dialect": "http", "proxy": None, "auth": auth, **upstream}
    config = {"upstreams": {"cloud": section}, "routes": [{"name": "test", "upstream": "cloud"}]}
    return running_route({}, config=config, environ={"ID": "OWN", "KEY": "own-secret"})


async def reply_of(route, **how):
    return (await route.serve(make_exchange(**how))).reply


def is_signed(received, name="ONE", secret="s", token="t"):
    """Say whether the request bears the signature that botocore makes of it."""
    signed = received.header("authorization").partition("SignedHeaders=")[2].partition(",")[0].split(";")
    fields = {each: received.header(each) for each in signed if each != "x-amz-date"}
    url = f"http://{received.header('host')}{received.target}"
    request = AWSRequest(received.method, url, fields, data=received.body)
    request.context["timestamp"] = received.header("x-amz-date")
    request.headers["X-Amz-Date"] = received.header("x-amz-date")
    judge = SigV4Auth(ReadOnlyCredentials(name, secret, token), "bedrock", "eu-west-1")
    text = judge.string_to_sign(request, judge.canonical_request(request))
    return received.header("authorization").endswith(f"Signature={judge.signature(text, request)}")


async def test_a_request_is_signed_with_its_path_query_type_and_body(api, keys):
    api.reply(json={})
    async with serving(api) as route:
        how = {"path": "/model/a%3A0/converse?b=2&a=1", "body": b'{"a": 1}'}
        how["headers"] = {
            "Content-Type": "application/json",
            "Authorization": "AWS4-HMAC-SHA256 the caller's",
            "X-Amz-Security-Token": "the-caller's",
            "X-Amz-Date": "20200101T000000Z",
            "X-Amzn-Bedrock-GuardrailIdentifier": "g",
        }
        reply = await reply_of(route, method="POST", **how)

    (received,) = api.requests
    assert reply.status == 200
    assert is_signed(received)
    assert received.target == "/base/model/a%3A0/converse?b=2&a=1"
    assert received.header("x-amz-security-token") == "t"
    assert "content-type;host;x-amz-date;x-amz-security-token" in received.header("authorization")
    assert received.header("content-length") == "8"
    assert received.body == b'{"a": 1}'


async def test_options_are_secrets_by_reference(api):
    api.reply(json={})
    async with serving(api, {"access_key": "${env:ID}", "secret_key": "${env:KEY}"}) as route:
        await reply_of(route, path="/x")

    assert is_signed(api.requests[0], "OWN", "own-secret", None)


async def test_credentials_that_ended_are_looked_for_anew_and_the_request_is_sent_again(api, keys):
    api.reply(json={}).reply(403, json={}, headers=EXPIRED).reply(json={"well": True})
    async with serving(api) as route:
        await reply_of(route, path="/x")
        keys("TWO")
        reply = await reply_of(route, path="/x")

    assert reply.status == 200
    assert [is_signed(each, name) for each, name in zip(api.requests, ("ONE", "ONE", "TWO"), strict=True)]


async def test_a_permission_that_lacks_is_no_matter_of_credentials(api, keys):
    api.reply(403, json={}, headers=[("x-amzn-errortype", "AccessDeniedException")])
    async with serving(api) as route:
        reply = await reply_of(route, path="/x")

    assert reply.status == 403
    assert len(api.requests) == 1


async def test_without_credentials_nothing_is_sent(api):
    async with serving(api) as route:
        reply = await reply_of(route, path="/x")

    assert reply.status == 503
    assert api.requests == []
    assert b"has no credentials for 127.0.0.1" in reply.body


async def test_a_large_body_is_signed_too(api, keys):
    api.reply(json={})
    body = b"x" * (5 * 1024 * 1024)
    async with serving(api) as route:
        await reply_of(route, method="POST", path="/x", body=body)

    assert is_signed(api.requests[0])


async def test_a_body_that_would_stream_through_is_read_to_be_signed(api, keys):
    api.reply(json={})
    auth = {"aws": {"region": "eu-west-1"}}
    tree = {
        "listen": "127.0.0.1:0",
        "upstreams": {"cloud": {"base_url": api.url, "dialect": "http", "auth": auth}},
        "routes": [{"name": "test", "upstream": "cloud"}],
    }

    async def pieces():
        for _ in range(20):
            yield b"x" * 10_000
            await asyncio.sleep(0.002)

    async with (
        running_gateway(tree) as gateway,
        aiohttp.ClientSession() as session,
        session.put(f"{gateway.url}/x", data=pieces()) as reply,
    ):
        assert reply.status == 200

    assert len(api.requests[0].body) == 200_000
    assert is_signed(api.requests[0])


def config_of(base_url):
    return UpstreamConfig(base_url=base_url)


@pytest.mark.parametrize(
    ("base_url", "options", "environ", "place"),
    [
        (HOST, {}, {}, "/eu-west-1/bedrock/"),
        (HOST, {"region": "us-east-1"}, {"AWS_REGION": "x-1"}, "/us-east-1/bedrock/"),
        ("https://gateway.example.com", {}, {"AWS_REGION": "eu-north-1"}, "/eu-north-1/bedrock/"),
        ("https://gateway.example.com", {}, {"AWS_DEFAULT_REGION": "eu-north-1"}, "/eu-north-1/bedrock/"),
        (HOST, {"service": "execute-api"}, {}, "/eu-west-1/execute-api/"),
        ("https://runtime.sagemaker.eu-west-1.amazonaws.com", {}, {}, "/eu-west-1/sagemaker/"),
    ],
)
async def test_region_and_service_are_told_by_options_host_and_environment(
    base_url, options, environ, place, keys
):
    authorizer = make_authorizer(config_of(base_url), AwsOptions(**options), environ)
    request = UpstreamRequest("GET", "/x", Headers())
    await authorizer.authorize(base_url + "/x", request)

    assert place in request.headers.get("authorization")


def test_a_region_that_nothing_tells_is_asked_for():
    with pytest.raises(ConfigError) as told:
        make_authorizer(config_of("https://gateway.example.com"), AwsOptions(), {})
    assert told.value.path == "region"


def test_the_library_is_asked_for_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr("llmproxy_aws.authorizer.find_spec", lambda name: None)

    with pytest.raises(ConfigError, match=r"llmproxy-gateway\[aws\]"):
        make_authorizer(config_of(HOST), AwsOptions(), {})


async def test_what_is_refused_without_a_reason_is_not_renewed(keys):
    authorizer = AwsAuthorizer(Source(AwsOptions(), "bedrock", "eu-west-1"), Clock(), "x")

    assert not await authorizer.renew(Reply(403))


def test_the_library_is_imported_with_the_first_request_only():
    code = "import sys, llmproxy_aws; print('botocore' in sys.modules)"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True
    )

    assert run.stdout.strip() == "False"


class Cloud:
    """A container's role whose credentials live for seconds, and an API that refuses those that are over."""

    def __init__(self):
        self.ends = {}
        self.served = self.refused = 0

    async def role(self, request):
        name = f"AKID{len(self.ends) + 1}"
        moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2)
        self.ends[name] = moment
        told = {"AccessKeyId": name, "SecretAccessKey": "s", "Token": "t"}
        return web.json_response({**told, "Expiration": moment.isoformat().replace("+00:00", "Z")})

    async def api(self, request):
        name = request.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
        if self.ends[name] <= datetime.datetime.now(datetime.UTC):
            self.refused += 1
            return web.json_response({}, status=403, headers=dict(EXPIRED))
        self.served += 1
        return web.json_response({})


@pytest.fixture
async def cloud(environment):
    cloud, app = Cloud(), web.Application()
    app.router.add_get("/role", cloud.role)
    app.router.add_route("*", "/base/{rest:.*}", cloud.api)
    async with served(app) as cloud.url:
        environment.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{cloud.url}/role")
        yield cloud


async def test_a_role_whose_credentials_end_under_load_is_renewed_without_one_failed_request(cloud):
    loop = asyncio.get_running_loop()
    statuses = []

    async def caller(route, until):
        while loop.time() < until:
            statuses.append((await reply_of(route, method="POST", path="/x", body=b"{}")).status)
            await asyncio.sleep(0.005)

    async with serving(cloud) as route:
        await reply_of(route, path="/x")
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(caller(route, loop.time() + 2.8))

    assert set(statuses) == {200}
    assert len(statuses) > 200
    assert cloud.refused == 0
    assert 3 <= len(cloud.ends) <= 8
