"""Nothing a caller says is lost in silence: every field of the public type definitions, to every other dialect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, get_type_hints

import orjson
import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from cohere.v2.raw_client import RawV2Client
from google.genai import types as google
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming

from llmproxy.canonical import Losses
from llmproxy.plugin import BadRequest, ClientFace, Endpoint, UpstreamFace
from llmproxy.settings import UpstreamConfig
from llmproxy.testing import make_exchange
from llmproxy_anthropic.faces import AnthropicClient, AnthropicUpstream
from llmproxy_cohere.client import CohereClient
from llmproxy_cohere.upstream import CohereUpstream
from llmproxy_gemini.client import GeminiClient
from llmproxy_gemini.upstream import GeminiUpstream
from llmproxy_openai.faces import OpenAIClient, OpenAIUpstream
from llmproxy_openai.responses.upstream import ResponsesUpstream

from .fields import Case, Node, cases, node_of

#: The most that a dialect may refuse outright, of all fields that it defines.
MOST_REFUSED = 0.25

#: Fields that no provider need be told: which model and route, and what the gateway does itself.
OWN = {"model", "stream", "stream_options", "store", "previous_response_id"}

#: Names that tie a result to its call: they are carried as ties, in the words of each dialect.
TIES = {"messages[].tool_calls[].id", "input[].id", "contents[].parts[].functionCall.id"}

#: Values that say what is so anyway, and why.
SAY_NOTHING = {
    "response_format": "text is what is answered unless another form is asked for",
    "text.format": "likewise",
    "tools[].format": "likewise, of a custom tool",
    "truncation": "disabled is the default",
    "thinking.display": "omitted is what other dialects do",
    "tools[].type": "custom is what a tool without a type is",
    "messages[].content[].caller": "direct is how a model calls; SDKs send it back with every call",
    "input[].role": "a developer's word is the system's where a provider knows one of them only",
    "input[].type": "a message is what an item without a type is",
    "contents[].role": "user is who speaks unless the model does",
    "systemInstruction.role": "it has no meaning there",
    "contents[].parts[].fileData.mimeType": "that it is a picture is carried; of what type, the server says",
    "contents[].parts[].functionResponse.parts[].fileData.mimeType": "likewise",
    "generationConfig.responseSchema.propertyOrdering[]": "names a property that is not there",
    "generationConfig.responseModalities[]": "text is what is answered",
    "response_format.json_schema.strict": "Anthropic keeps to every schema",
    "text.format.strict": "likewise",
    "messages[].content[].prompt_cache_breakpoint": "of a recording, which is reported as a whole",
    "messages[].content[].prompt_cache_breakpoint.ttl": "likewise",
    "citation_options.mode": "off is what happens without documents",
    "documents[].id": "the gateway keeps it, and citations of the answer have it",
    "thinking.token_budget": "how many tokens may be thought if none is",
    "toolConfig.functionCallingConfig.mode": "auto is what happens anyway",
    "function_call": "likewise",
    "tool_choice": "likewise",
}

_TOOL = {"type": "object", "properties": {"a": {"type": "string"}}}
_HELLO = {"role": "user", "content": "hello"}


@dataclass(frozen=True)
class Spoken:
    """How requests of one dialect are written."""

    client: Callable[[], ClientFace]
    root: Callable[[], Node | None]
    path: str
    frame: dict[str, Any]
    before: dict[str, list[Any]]
    own: str


def _gemini() -> Node:
    """A request as REST has it: the SDK's types put together, as its configuration class is flat."""
    parts = {
        "contents": list[google.Content],
        "systemInstruction": google.Content,
        "tools": list[google.Tool],
        "toolConfig": google.ToolConfig,
        "safetySettings": list[google.SafetySetting],
        "generationConfig": google.GenerationConfig,
        "cachedContent": str,
        "labels": dict[str, str],
    }
    nodes = {name: node_of(hint, name) for name, hint in parts.items()}
    return Node(
        "object", fields=tuple((name, node, False) for name, node in nodes.items() if node is not None)
    )


def _cohere() -> Node:
    """A request as the SDK's call takes it, one argument for each member."""
    hints = get_type_hints(RawV2Client.chat)
    nodes = {name: node_of(hint, name) for name, hint in hints.items()}
    apart = {"return", "request_options"}
    fields = [
        (name, _roled(node), False) for name, node in nodes.items() if node is not None and name not in apart
    ]
    return Node("object", fields=tuple(fields))


def _roled(node: Node) -> Node:
    """Have every message say its role, which the SDK's own types say for it."""
    fields = tuple((name, field, required or name == "role") for name, field, required in node.fields)
    return replace(node, fields=fields, members=tuple(map(_roled, node.members)))


SPOKEN = {
    "openai.chat": Spoken(
        OpenAIClient,
        lambda: node_of(CompletionCreateParamsNonStreaming),
        "/v1/chat/completions",
        {
            "model": "m",
            "messages": [_HELLO],
            "tools": [{"type": "function", "function": {"name": "look", "parameters": _TOOL}}],
        },
        {"messages": [_HELLO]},
        "openai",
    ),
    "openai.responses": Spoken(
        OpenAIClient,
        lambda: node_of(ResponseCreateParamsNonStreaming),
        "/v1/responses",
        {
            "model": "m",
            "input": [_HELLO],
            "store": False,
            "tools": [{"type": "function", "name": "look", "parameters": _TOOL, "strict": False}],
        },
        {"input": [_HELLO]},
        "openai-responses",
    ),
    "anthropic": Spoken(
        AnthropicClient,
        lambda: node_of(MessageCreateParamsNonStreaming),
        "/v1/messages",
        {
            "model": "m",
            "max_tokens": 64,
            "messages": [_HELLO],
            "tools": [{"name": "look", "input_schema": _TOOL}],
        },
        {"messages": [_HELLO]},
        "anthropic",
    ),
    "gemini": Spoken(
        GeminiClient,
        _gemini,
        "/v1beta/models/m:generateContent",
        {
            "contents": [{"role": "user", "parts": [{"text": "hello"}]}],
            "tools": [{"functionDeclarations": [{"name": "look", "parameters": _TOOL}]}],
        },
        {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]},
        "gemini",
    ),
    "cohere": Spoken(
        CohereClient,
        _cohere,
        "/v2/chat",
        {
            "model": "m",
            "messages": [_HELLO],
            "tools": [{"type": "function", "function": {"name": "look", "parameters": _TOOL}}],
        },
        {"messages": [_HELLO]},
        "cohere",
    ),
}

UPSTREAMS: dict[str, Callable[[], UpstreamFace]] = {
    "openai": OpenAIUpstream,
    "openai-responses": ResponsesUpstream,
    "anthropic": AnthropicUpstream,
    "gemini": GeminiUpstream,
    "cohere": CohereUpstream,
}

PAIRS = [(name, to) for name, spoken in SPOKEN.items() for to in UPSTREAMS if to != spoken.own]


@pytest.mark.parametrize(("name", "to"), PAIRS)
def test_a_field_comes_out_or_is_reported(name: str, to: str) -> None:
    spoken = SPOKEN[name]
    root = spoken.root()
    assert root is not None
    face = UPSTREAMS[to]().for_upstream(UpstreamConfig(base_url="http://127.0.0.1:1/v1", dialect=to))
    silent, refused, tried = set(), set(), 0

    for case in cases(root, spoken.frame, spoken.before):
        tried += 1
        if case.path in TIES or case.path in SAY_NOTHING or case.path.split(".")[0] in OWN:
            continue
        verdict = _verdict(spoken, face, case)
        if verdict == "refused":
            refused.add(case.path)
        elif verdict == "silent":
            silent.add(case.path)

    assert not silent, f"{len(silent)} fields vanished in silence: {sorted(silent)}"
    assert tried > 60
    assert len(refused) <= MOST_REFUSED * tried, sorted(refused)


def _verdict(spoken: Spoken, face: UpstreamFace, case: Case) -> str:
    """Say what became of a field: `carried`, `reported`, `refused` in a sentence, or `silent`."""
    try:
        written, losses = _translated(spoken, face, case.present)
    except BadRequest:
        return "refused"
    told = {loss.field for loss in losses}
    if any(_covers(field, case.path) for field in told):
        return "reported"
    try:
        without, _ = _translated(spoken, face, case.absent)
    except BadRequest:
        return "carried"
    return "carried" if written != without else "silent"


def _covers(field: str, path: str) -> bool:
    """Whether a report of `field` tells what became of `path`.

    A report of a field covers what stands in it, one of a part of it shows that it was looked into; a block's `type`
    stands for the block; a name in blocks stands for the same name in blocks within them.
    """
    within, _, last = field.rpartition(".")
    if (
        path == field
        or path.startswith((f"{field}.", f"{field}["))
        or field.startswith((f"{path}.", f"{path}["))
    ):
        return True
    if not within or not path.startswith((f"{within}.", f"{within}[")):
        return False
    inside = path.removeprefix(within).replace("[]", "").split(".")
    return last.removesuffix("[]") in inside or (last == "type" and path != f"{within}.content[]")


def _translated(spoken: Spoken, face: UpstreamFace, request: dict[str, Any]) -> tuple[bytes, Losses]:
    client = spoken.client()
    body = orjson.dumps(request)
    exchange = make_exchange(
        method="POST", path=spoken.path, body=body, headers={"content-type": "application/json"}
    )
    exchange.client_face = client
    losses = Losses(client.loss_names)
    client.open(exchange, body)
    decoded = client.decode_request(exchange, body, losses)
    wire = face.encode_request(exchange, Endpoint("up", "m"), decoded, losses)
    assert wire is not None
    assert isinstance(wire.body, bytes)
    return wire.target.encode() + wire.body, losses
