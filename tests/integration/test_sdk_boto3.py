"""AWS's SDK, whose endpoint is the gateway, against a provider of every dialect."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import botocore.session
import orjson
import pytest
import trustme
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, EventStreamError, HTTPClientError, IncompleteReadError
from openai import AsyncOpenAI

from llmproxy.testing import FakeUpstream, running_gateway

from .sdks import KEY, LOOK, PNG, PREFIXES, Site, site
from .strict_bedrock import STREAM, converse, frame
from .strict_provider import StrictProvider
from .strict_saying import Said

#: The default run asks a provider of its own dialect and one of another, the long one all.
BRIEF = ("bedrock", "anthropic")
UPSTREAMS = pytest.mark.parametrize(
    "upstream", [name if name in BRIEF else pytest.param(name, marks=pytest.mark.slow) for name in PREFIXES]
)
TOOLS = {"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": LOOK}}}]}
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
ONCE = Config(retries={"total_max_attempts": 1}, read_timeout=20)


@pytest.fixture(scope="module")
def session() -> Any:
    return botocore.session.Session()


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)


def client_at(session: Any, url: str, key: str = KEY, **more: Any) -> Any:
    """Return a client that signs, with a gateway's key as its access key id."""
    named = {"aws_access_key_id": key, "aws_secret_access_key": "of no use", "config": ONCE, **more}
    return session.create_client("bedrock-runtime", region_name="us-east-1", endpoint_url=url, **named)


@pytest.fixture
async def here() -> AsyncIterator[Site]:
    async with site() as found:
        yield found


@pytest.fixture
def client(here: Site, session: Any) -> Iterator[Any]:
    with closing(client_at(session, here.url)) as found:
        yield found


async def whole(client: Any, **asked: Any) -> Any:
    got = await asyncio.to_thread(partial(client.converse, **asked))
    return got["output"]["message"]["content"], got["stopReason"], got["usage"]


async def streamed(client: Any, **asked: Any) -> Any:
    return await asyncio.to_thread(partial(_streamed, client, **asked))


def _streamed(client: Any, **asked: Any) -> Any:
    with closing(client.converse_stream(**asked)["stream"]) as events:
        return _gathered(events)


def _gathered(events: Any) -> Any:
    blocks: dict[int, dict[str, Any]] = {}
    reason, usage = "", {}
    for event in events:
        ((kind, told),) = event.items()
        if kind == "contentBlockStart":
            blocks[told["contentBlockIndex"]] = {"toolUse": {**told["start"]["toolUse"], "input": ""}}
        elif kind == "contentBlockDelta":
            _add(blocks.setdefault(told["contentBlockIndex"], {}), told["delta"])
        elif kind == "messageStop":
            reason = told["stopReason"]
        elif kind == "metadata":
            usage = told["usage"]
    return [_made(blocks[at]) for at in sorted(blocks)], reason, usage


def _add(block: dict[str, Any], delta: dict[str, Any]) -> None:
    ((kind, told),) = delta.items()
    if kind == "text":
        block["text"] = block.get("text", "") + told
    elif kind == "toolUse":
        block["toolUse"]["input"] += told["input"]
    elif kind == "citation":
        block.setdefault("citations", []).append(told)
    elif "redactedContent" in told:
        block["reasoningContent"] = told
    else:
        inner = block.setdefault("reasoningContent", {}).setdefault("reasoningText", {"text": ""})
        inner["text"] += told.get("text", "")
        inner.update({key: value for key, value in told.items() if key == "signature"})


def _made(block: dict[str, Any]) -> dict[str, Any]:
    if "toolUse" in block:
        block["toolUse"]["input"] = orjson.loads(block["toolUse"]["input"] or "{}")
    if "citations" in block:
        return {"citationsContent": {"content": [{"text": block["text"]}], "citations": block["citations"]}}
    return block


WAYS = pytest.mark.parametrize("say", [whole, streamed])


def user(*content: Any) -> dict[str, Any]:
    return {
        "role": "user",
        "content": [{"text": each} if isinstance(each, str) else each for each in content],
    }


def text_of(content: Any) -> str:
    inner = [block.get("citationsContent", {}).get("content", [block]) for block in content]
    return "".join(piece.get("text", "") for pieces in inner for piece in pieces)


def calls_of(content: Any) -> list[Any]:
    return [block["toolUse"] for block in content if "toolUse" in block]


def results(calls: Any, said: str) -> dict[str, Any]:
    told = [{"toolUseId": call["toolUseId"], "content": [{"text": said}]} for call in calls]
    return user(*({"toolResult": each} for each in told))


@UPSTREAMS
@WAYS
async def test_an_answer_has_text_a_reason_and_usage(here, client, upstream, say):
    content, reason, usage = await say(
        client, modelId=f"{upstream}/m", messages=[user("Hi")], system=[{"text": "Be brief."}]
    )

    assert text_of(content).strip() == "Hello there, this is an answer."
    assert reason == "end_turn"
    assert (usage["inputTokens"], usage["cacheReadInputTokens"], usage["totalTokens"]) == (32, 8, 60)
    assert (here.asked.system, here.asked.turns[0].text) == ("Be brief.", "Hi")


@UPSTREAMS
@WAYS
async def test_parallel_tools_are_called_and_their_results_come_back(client, upstream, say):
    messages = [user("The weather in Paris and Rome?")]
    content, reason, _ = await say(client, modelId=f"{upstream}/m", messages=messages, toolConfig=TOOLS)
    calls = calls_of(content)
    messages += [{"role": "assistant", "content": content}, results(calls, "sun")]
    again, _, _ = await say(client, modelId=f"{upstream}/m", messages=messages, toolConfig=TOOLS)

    assert reason == "tool_use"
    assert [(call["name"], call["input"]) for call in calls] == [
        ("look", {"city": "Paris"}),
        ("look", {"city": "Rome"}),
    ]
    assert text_of(again) == "Seen: sun; sun."


@UPSTREAMS
@WAYS
async def test_a_loop_of_tools_runs_with_thought_between(client, upstream, say):
    asked: dict[str, Any] = {
        "modelId": f"{upstream}/m",
        "toolConfig": TOOLS,
        "inferenceConfig": {"maxTokens": 4000},
        "additionalModelRequestFields": THINKING,
    }
    messages = [user("The weather in Paris and then Rome and then Oslo?")]
    rounds = 0
    while True:
        content, _, _ = await say(client, messages=messages, **asked)
        if not (calls := calls_of(content)):
            break
        rounds += 1
        messages += [{"role": "assistant", "content": content}, results(calls, f"sun {rounds}")]

    assert rounds == 3
    assert text_of(content) == "Seen: sun 3."


@UPSTREAMS
@WAYS
async def test_thought_is_a_block_of_its_own(client, upstream, say):
    content, _, _ = await say(
        client,
        modelId=f"{upstream}/m",
        messages=[user("Hi")],
        inferenceConfig={"maxTokens": 4000},
        additionalModelRequestFields=THINKING,
    )

    thoughts = [block["reasoningContent"] for block in content if "reasoningContent" in block]
    assert [each["reasoningText"]["text"] for each in thoughts] == ["Let me think about it."]


@UPSTREAMS
async def test_a_picture_arrives_as_bytes(client, upstream):
    picture = {"image": {"format": "png", "source": {"bytes": base64.b64decode(PNG)}}}
    content, _, _ = await whole(client, modelId=f"{upstream}/m", messages=[user("What is it?", picture)])

    assert text_of(content) == "I see 1 image."


@UPSTREAMS
async def test_a_schema_is_kept_to(here, client, upstream):
    inner = {"name": "weather", "schema": '{"type":"object","properties":{"city":{"type":"string"}}}'}
    shape = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": inner}}}
    content, _, _ = await whole(client, modelId=f"{upstream}/m", messages=[user("Hi")], outputConfig=shape)

    assert text_of(content) == '{"city":"Paris","sunny":true}'
    assert here.asked.schema


@UPSTREAMS
@WAYS
async def test_reasons_to_end_are_amazons_words(client, upstream, say):
    cut = await say(client, modelId=f"{upstream}/m", messages=[user("long")])
    refused = await say(client, modelId=f"{upstream}/m", messages=[user("refuse")])

    assert cut[1] == "max_tokens"
    assert refused[1] in {"content_filtered", "end_turn"}
    assert text_of(refused[0]) == "I cannot help with that."


@UPSTREAMS
@WAYS
async def test_sources_are_cited(client, upstream, say):
    content, _, _ = await say(client, modelId=f"{upstream}/m", messages=[user("cite")])

    assert text_of(content) == "Paris is the capital of France."
    cited = [each for block in content for each in block.get("citationsContent", {}).get("citations", [])]
    assert [each["location"]["web"]["url"] for each in cited] == ["https://example.com/paris"]


@UPSTREAMS
async def test_a_forced_tool_is_forced_everywhere(here, client, upstream):
    config = {**TOOLS, "toolChoice": {"tool": {"name": "look"}}}
    await whole(client, modelId=f"{upstream}/m", messages=[user("Hi")], toolConfig=config)

    assert here.asked.choice == "look"


@UPSTREAMS
@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "ValidationException"),
        (404, "ResourceNotFoundException"),
        (429, "ThrottlingException"),
        (503, "ServiceUnavailableException"),
    ],
)
@pytest.mark.parametrize("call", ["converse", "converse_stream"])
async def test_errors_are_amazons_exceptions(client, upstream, status, name, call):
    asked = partial(getattr(client, call), modelId=f"{upstream}/m", messages=[user(f"fail {status}")])
    with pytest.raises(getattr(client.exceptions, name)) as raised:
        await asyncio.to_thread(asked)

    told = raised.value.response
    assert told["Error"]["Message"] == f"The provider was told to fail with {status}."
    assert told["ResponseMetadata"]["HTTPStatusCode"] == status
    assert told["ResponseMetadata"]["HTTPHeaders"].get("retry-after") == ("7" if status == 429 else None)


@UPSTREAMS
async def test_tokens_are_counted(client, upstream):
    asked = {"converse": {"messages": [user("How many tokens are these?")]}}
    counted = await asyncio.to_thread(partial(client.count_tokens, modelId=f"{upstream}/m", input=asked))

    assert 3 < counted["inputTokens"] < 40


async def test_a_request_of_the_gateways_own_complaint_is_a_validation_exception(client):
    with pytest.raises(ClientError) as raised:
        await whole(client, modelId="nobody/knows-it", messages=[user("Hi")])

    assert raised.value.response["Error"]["Code"] == "ResourceNotFoundException"


async def test_a_signature_of_the_callers_goes_no_further(here, session):
    with closing(client_at(session, here.url, "AKIDCALLER", aws_session_token="t0ken")) as client:
        await whole(client, modelId="bedrock/m", messages=[user("Hi")])

    told = here.provider.headers[-1]
    assert not [name for name in told if name.startswith(("x-amz-", "amz-sdk-"))]
    assert "AKIDCALLER" not in str(told)
    assert "t0ken" not in str(told)


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMAZONS_KEY", "absk-of-the-gateway")
    monkeypatch.setenv("TEAMS_KEY", KEY)


def guarded(url: str, **more: Any) -> dict[str, Any]:
    return {
        "listen": "127.0.0.1:0",
        "upstreams": {"amazon": {"base_url": url, "dialect": "bedrock", "api_key": "${env:AMAZONS_KEY}"}},
        "plugins": {"access": {"keys": [{"name": "team", "tenant": "shop", "key": "${env:TEAMS_KEY}"}]}},
        "pipeline": ["access"],
        "routes": [{"name": "models"}],
        **more,
    }


async def test_a_gateways_key_may_be_the_access_key_id(session):
    async with StrictProvider() as provider, running_gateway(guarded(provider.url)) as gateway:
        with closing(client_at(session, gateway.url)) as client:
            content, _, _ = await whole(client, modelId="amazon/m", messages=[user("Hi")])
        with (
            closing(client_at(session, gateway.url, "other")) as client,
            pytest.raises(ClientError) as raised,
        ):
            await whole(client, modelId="amazon/m", messages=[user("Hi")])

    assert text_of(content).startswith("Hello")
    assert provider.headers[0]["authorization"] == "Bearer absk-of-the-gateway"
    assert raised.value.response["Error"]["Code"] == "AccessDeniedException"


async def test_a_gateways_key_may_be_a_bearer_token_over_tls(session, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", KEY)
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "gateway.pem")
    tls = {"certificate": str(tmp_path / "gateway.pem"), "key": str(tmp_path / "gateway.pem")}
    async with StrictProvider() as provider:
        tree = guarded(provider.url, listen=[{"address": "127.0.0.1:0", "tls": tls}])
        async with running_gateway(tree) as gateway:
            found = session.create_client(
                "bedrock-runtime",
                region_name="us-east-1",
                endpoint_url=f"https://localhost:{gateway.url.rpartition(':')[2]}",
                verify=str(tmp_path / "ca.pem"),
                config=ONCE,
            )
            with closing(found) as client:
                content, _, _ = await streamed(client, modelId="amazon/m", messages=[user("Hi")])

    assert text_of(content).startswith("Hello")


def stream_of(*frames: bytes) -> dict[str, Any]:
    return {"events": frames, "headers": [("Content-Type", STREAM)]}


@pytest.fixture
def pieces() -> list[bytes]:
    at = {"contentBlockIndex": 0}
    return [
        frame("messageStart", {"role": "assistant"}),
        frame("contentBlockDelta", {"delta": {"text": "Hel"}, **at}),
        frame("throttlingException", {"message": "Too many tokens."}, kind="exception"),
    ]


async def told_by(session: Any, frames: list[bytes]) -> Any:
    """Return what the SDK makes of a provider's stream that went through a gateway."""
    async with FakeUpstream() as upstream:
        upstream.stream(frames, headers=[("Content-Type", STREAM)])
        tree = {
            "listen": "127.0.0.1:0",
            "upstreams": {"amazon": {"base_url": upstream.url, "dialect": "bedrock"}},
            "routes": [{"name": "models"}],
        }
        async with running_gateway(tree) as gateway:
            with closing(client_at(session, gateway.url)) as client:
                return await streamed(client, modelId="amazon/m", messages=[user("Hi")])


async def test_an_exception_after_output_reaches_the_caller_as_it_came(session, pieces):
    with pytest.raises(EventStreamError, match="Too many tokens"):
        await told_by(session, pieces)


async def test_an_exception_in_place_of_output_is_a_refusal(session, pieces):
    with pytest.raises(ClientError) as raised:
        await told_by(session, [pieces[0], pieces[2]])

    assert raised.value.response["Error"]["Code"] == "ThrottlingException"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429


async def test_a_stream_that_was_cut_does_not_end_well(session, pieces):
    with pytest.raises((EventStreamError, HTTPClientError, IncompleteReadError)):
        await told_by(session, pieces[:2])


def only(url: str, **more: Any) -> dict[str, Any]:
    upstream = {"base_url": url, "dialect": "bedrock", **more}
    return {"listen": "127.0.0.1:0", "upstreams": {"amazon": upstream}, "routes": [{"name": "models"}]}


NATIVE = {"inputText": "Hi"}
TOLD = b'{"inputTextTokenCount":3,"results":[{"tokenCount":2,"outputText":"Hello"}]}'
CHUNK = base64.b64encode(
    b'{"outputText":"Hello","amazon-bedrock-invocationMetrics":{"inputTokenCount":3,"outputTokenCount":2}}'
).decode()


@pytest.mark.parametrize("model", ["amazon.titan-text-express-v1", "us.anthropic.claude-sonnet-4-5-v1:0"])
async def test_native_calls_pass_as_they_are(session, model):
    whole_headers = [("Content-Type", "application/json"), ("X-Amzn-Bedrock-Input-Token-Count", "3")]
    async with FakeUpstream() as upstream:
        upstream.reply(body=TOLD, headers=whole_headers)
        upstream.stream([frame("chunk", {"bytes": CHUNK})], headers=[("Content-Type", STREAM)])
        async with running_gateway(only(upstream.url)) as gateway:
            with closing(client_at(session, gateway.url)) as client:
                asked = {"modelId": f"amazon/{model}", "body": orjson.dumps(NATIVE)}
                got = await asyncio.to_thread(partial(client.invoke_model, **asked))
                answer = await asyncio.to_thread(got["body"].read)
                reply = await asyncio.to_thread(partial(client.invoke_model_with_response_stream, **asked))
                chunks = await asyncio.to_thread(lambda: [event["chunk"]["bytes"] for event in reply["body"]])

    assert answer == TOLD
    assert [orjson.loads(chunk)["outputText"] for chunk in chunks] == ["Hello"]
    assert [request.body for request in upstream.requests] == [orjson.dumps(NATIVE)] * 2
    named = model.replace(":", "%3A")
    assert [request.target for request in upstream.requests] == [
        f"/model/{named}/invoke",
        f"/model/{named}/invoke-with-response-stream",
    ]


@pytest.mark.parametrize("dialect", ["bedrock", "openai"])
async def test_a_request_to_amazon_is_signed_as_botocore_signs(session, monkeypatch, dialect):
    monkeypatch.setenv("TEAM_KEY", "AKIDTEAM")
    monkeypatch.setenv("TEAM_SECRET", "hush")
    keys = {"access_key": "${env:TEAM_KEY}", "secret_key": "${env:TEAM_SECRET}", "region": "eu-west-1"}
    async with FakeUpstream() as upstream:
        upstream.reply(json=converse(Said(text="Hello")))
        async with running_gateway(only(upstream.url, auth={"aws": keys})) as gateway:
            if dialect == "bedrock":
                with closing(client_at(session, gateway.url)) as client:
                    await whole(client, modelId="amazon/a.b-v1:0", messages=[user("Hi")])
            else:
                async with AsyncOpenAI(api_key=KEY, base_url=f"{gateway.url}/v1", max_retries=0) as chat:
                    await chat.chat.completions.create(
                        model="amazon/a.b-v1:0", messages=[{"role": "user", "content": "Hi"}]
                    )
        url, (request,) = upstream.url, upstream.requests

    told = {name.lower(): value for name, value in ((n.decode(), v.decode()) for n, v in request.headers)}
    given = dict(part.split("=", 1) for part in told["authorization"].partition(" ")[2].split(", "))
    signed = {name: told[name] for name in given["SignedHeaders"].split(";")}
    again = AWSRequest("POST", url + request.target, headers=signed, data=request.body)
    again.context["timestamp"] = told["x-amz-date"]
    judge = SigV4Auth(Credentials("AKIDTEAM", "hush"), "bedrock", "eu-west-1")
    text = judge.string_to_sign(again, judge.canonical_request(again))

    assert request.target == "/model/a.b-v1%3A0/converse"
    assert given["Credential"] == f"AKIDTEAM/{told['x-amz-date'][:8]}/eu-west-1/bedrock/aws4_request"
    assert given["Signature"] == judge.signature(text, again)
