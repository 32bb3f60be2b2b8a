"""Canonical values as hypothesis draws them: conversations and answers that this API can hold whole."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import strategies as st

from llmproxy.canonical import (
    Answer,
    Block,
    Choice,
    Citation,
    Document,
    FileRef,
    GenerateRequest,
    Image,
    Inline,
    Link,
    Message,
    Reasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmproxy.plugin import Usage
from llmproxy_openai.responses.thoughts import encrypted_of

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
names = st.text("abcdefgh_", min_size=1, max_size=8)
counts = st.integers(0, 10_000)
arguments = st.dictionaries(words, words, max_size=2).map(lambda told: orjson.dumps(told).decode())
encrypted = st.text("ABCDEFabcdef0123456789", min_size=4, max_size=16)

texts = st.builds(Text, text=words)
citations = st.builds(
    Citation,
    kind=st.just("url"),
    url=st.just("https://a.test/"),
    title=words,
    text_start=counts,
    text_end=counts,
)
cited = st.builds(Text, text=words, citations=st.lists(citations, max_size=2).map(tuple))
refusals = st.builds(Refusal, text=words)
calls = st.builds(ToolCall, id=names.map("call_{}".format), name=names, arguments=arguments)
shown = st.builds(
    Reasoning, text=words, signature=encrypted, origin=st.just("openai"), summary=st.just(True)
) | st.builds(Reasoning, text=words, signature=encrypted, origin=st.just("anthropic"))
hidden = st.builds(Reasoning, redacted=encrypted, origin=st.sampled_from(["openai", "anthropic"]))
inline = st.builds(Inline, media_type=st.just("image/png"), data=st.just("aGk="))
sources = inline | st.builds(Link, url=st.just("https://a.test/b.png"))
uploaded = st.builds(FileRef, id=names, dialect=st.just("openai"))
images = st.builds(Image, source=sources | uploaded, detail=st.sampled_from(["", "low", "high"]))
documents = st.builds(
    Document,
    source=st.builds(Inline, media_type=st.just("application/pdf"), data=st.just("aGk=")),
    title=names,
)
results = st.builds(
    ToolResult,
    id=names.map("call_{}".format),
    content=st.lists(texts, max_size=1).map(tuple) | st.lists(images, min_size=1, max_size=2).map(tuple),
)

answer_blocks: st.SearchStrategy[Block] = cited | refusals | calls | shown | hidden
usages = st.builds(
    Usage, input=counts, cache_read=counts, cache_write=counts, output=counts, reasoning=counts
)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Draw an answer whose finish fits its content."""
    content = tuple(draw(st.lists(answer_blocks, max_size=5)))
    called = any(isinstance(block, ToolCall) for block in content)
    finish = draw(st.sampled_from(["tool_calls" if called else "stop", "length", "content_filter"]))
    return Answer(
        id=draw(names),
        model=draw(names),
        created=1_700_000_000,
        choices=(Choice(content=content, finish=finish),),
        usage=draw(usages),
        service_tier="default",
    )


def as_read(block: Block) -> Block:
    """Return a block as it is read from this API: thoughts are the provider's, whoever signed them."""
    if not isinstance(block, Reasoning):
        return block
    proof, shown = encrypted_of(block), bool(block.text)
    return Reasoning(
        text=block.text,
        signature=proof if shown else "",
        redacted="" if shown else proof,
        origin="openai",
        summary=shown,
        id=block.id,
    )


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """Draw turns in the order that callers send them."""
    user = st.lists(texts | images | documents, min_size=1, max_size=3)
    model = st.lists(cited | calls | shown.filter(own) | hidden.filter(own), min_size=1, max_size=4)
    messages = []
    for _ in range(draw(st.integers(1, 3))):
        said: list[Any] = [*draw(st.lists(results, max_size=2)), *draw(user)]
        messages.append(Message(role="user", content=tuple(said)))
        messages.append(Message(role="assistant", content=tuple(draw(model))))
    return (*messages, Message(role="user", content=(Text(text="go on"),)))


def own(thought: Reasoning) -> bool:
    """Say whether a thought is one of OpenAI's."""
    return thought.origin == "openai"


@st.composite
def requests(draw: st.DrawFn) -> GenerateRequest:
    """Draw a request all of which this API can say."""
    tools = tuple(
        Tool(name=name, description="d", schema={"type": "object"}, strict=draw(st.booleans()))
        for name in draw(st.lists(names, max_size=2, unique=True))
    )
    choice = ToolChoice(mode="required", names=(tools[0].name,)) if tools else None
    return GenerateRequest(
        model="m",
        messages=draw(conversations()),
        system=tuple(draw(st.lists(texts, max_size=1))),
        tools=tools,
        tool_choice=choice,
        max_tokens=draw(st.none() | st.integers(16, 9999)),
        temperature=draw(st.none() | st.floats(0, 2)),
        streamed=draw(st.booleans()),
        prompt_cache_key=draw(st.just("") | names),
    )
