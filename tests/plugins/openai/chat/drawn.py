"""Canonical values at random, such as chat completions can carry whole; and cuts of bytes."""

from __future__ import annotations

from hypothesis import strategies as st

from llmproxy.canonical import (
    Answer,
    Audio,
    Block,
    CacheMark,
    Choice,
    Citation,
    Document,
    Format,
    GenerateRequest,
    Image,
    Inline,
    Link,
    Message,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmproxy.plugin import Quirks, Usage

#: A provider that takes all that there is.
GENEROUS = Quirks(
    reasoning_field="reasoning_details",
    thinking="reasoning",
    extras=("top_k", "min_p", "cache_control", "extra_content", "video_url"),
)

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
NAMES = st.text("abcXYZ_09-", min_size=1, max_size=12)
ARGUMENTS = st.sampled_from(["{}", '{"a":1}', '{"b": [true, null], "c": "\\u00e9"}'])
MARKS = st.none() | st.builds(CacheMark, st.sampled_from(["", "5m", "1h"]))
INLINE = st.builds(Inline, st.sampled_from(["image/png", "image/jpeg"]), st.sampled_from(["aGk=", "AAAA"]))
IMAGES = st.builds(
    Image,
    INLINE | st.just(Link("https://example.com/a.png")),
    st.sampled_from(["", "low", "high"]),
    MARKS,
)
AUDIO = st.builds(
    Audio, st.builds(Inline, st.sampled_from(["audio/wav", "audio/mpeg"]), st.just("AAAA")), MARKS
)
DOCUMENTS = st.builds(
    Document, st.just(Inline("application/pdf", "aGk=")), title=st.just("a.pdf"), cache=MARKS
)
SAID = st.lists(st.builds(Text, WORDS, MARKS) | IMAGES | AUDIO | DOCUMENTS, min_size=1, max_size=3)
RESULTS = st.builds(ToolResult, NAMES, st.tuples(st.builds(Text, WORDS)) | st.just(()), cache=MARKS)
THOUGHTS = st.builds(Reasoning, WORDS) | st.builds(
    Reasoning, WORDS, WORDS, origin=st.sampled_from(["anthropic", "gemini", "openai"]), id=st.just("") | NAMES
)
CALLS = st.builds(ToolCall, NAMES, NAMES, ARGUMENTS, st.just("") | WORDS)


@st.composite
def assistants(draw: st.DrawFn) -> Message:
    """A turn of the model: at most one thought, one text, some calls."""
    blocks: list[Block] = draw(st.lists(THOUGHTS, max_size=1))
    blocks += draw(st.lists(st.builds(Text, WORDS), max_size=1))
    blocks += draw(st.lists(CALLS, max_size=2, unique_by=lambda call: call.id))
    return Message("assistant", tuple(blocks), draw(st.just("") | NAMES))


def _named(messages: list[Message]) -> tuple[Message, ...]:
    """Keep what the decoder makes of such messages: results first, each with the name of the call before it."""
    names: dict[str, str] = {}
    out: list[Message] = []
    for message in messages:
        content = []
        for block in message.content:
            if isinstance(block, ToolCall):
                names[block.id] = block.name
            known = isinstance(block, ToolResult)
            content.append(
                ToolResult(block.id, block.content, names.get(block.id, ""), cache=block.cache)
                if known
                else block
            )
        out.append(Message(message.role, tuple(content), message.name))
    return tuple(out)


@st.composite
def requests(draw: st.DrawFn) -> GenerateRequest:
    """A conversation as chat completions can carry it whole."""
    user = st.builds(Message, st.just("user"), SAID.map(tuple), st.just("") | NAMES)
    answered = st.builds(
        lambda results, said: Message("user", (*results, *said)),
        st.lists(RESULTS, min_size=1, max_size=2),
        SAID,
    )
    late = st.builds(lambda text: Message("system", (Text(text),)), WORDS)
    messages = draw(st.lists(user | answered | assistants() | late, min_size=1, max_size=4))
    tools = draw(
        st.lists(
            st.builds(
                Tool,
                NAMES,
                st.just("") | WORDS,
                st.just({"type": "object"}),
                st.none() | st.booleans(),
                MARKS,
            ),
            max_size=2,
        )
    )
    number = st.none() | st.floats(0, 2)
    return GenerateRequest(
        model="m",
        messages=_named([Message("user", (Text("hi"),)), *messages]),
        system=tuple(draw(st.lists(st.builds(Text, WORDS), max_size=1))),
        tools=tuple(tools),
        tool_choice=draw(
            st.none() | st.sampled_from([ToolChoice("auto"), ToolChoice("required", (tools[0].name,))])
        )
        if tools
        else None,
        parallel_tool_calls=draw(st.none() | st.booleans()) if tools else None,
        max_tokens=draw(st.none() | st.integers(1, 9999)),
        temperature=draw(number),
        top_p=draw(number),
        top_k=draw(st.none() | st.integers(0, 50)),
        stop=tuple(draw(st.lists(WORDS, max_size=4))),
        seed=draw(st.none() | st.integers(0, 99)),
        n=draw(st.none() | st.integers(2, 4)),
        format=draw(
            st.none()
            | st.sampled_from([Format("json"), Format("schema", {"type": "object"}, "x", "y", strict=True)])
        ),
        thinking=draw(
            st.none()
            | st.sampled_from([Thinking(True, "high"), Thinking(True, budget=2048), Thinking(False)])
        ),
        streamed=draw(st.booleans()),
        user=draw(st.just("") | NAMES),
    )


CITATIONS = st.builds(
    lambda url, title: Citation("url", url, title, text_start=0, text_end=1),
    st.just("https://example.com"),
    WORDS,
)
USAGE = st.builds(Usage, *[st.integers(0, 999)] * 5)


@st.composite
def choices(draw: st.DrawFn) -> Choice:
    """One answer, its blocks in the order in which chat completions read them."""
    blocks: list[Block] = draw(st.lists(THOUGHTS, max_size=1))
    texts = draw(
        st.lists(st.builds(Text, WORDS, citations=st.lists(CITATIONS, max_size=2).map(tuple)), max_size=1)
    )
    blocks += texts
    blocks += draw(st.lists(st.builds(Refusal, WORDS), max_size=1))
    blocks += draw(st.lists(st.builds(Image, INLINE), max_size=1))
    calls = draw(st.lists(CALLS, max_size=3, unique_by=lambda call: call.id))
    word = "tool_calls" if calls else draw(st.sampled_from(["stop", "length", "content_filter"]))
    return Choice(content=(*blocks, *calls), finish=word, detail=word)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """A whole answer."""
    return Answer(
        id="chatcmpl-1",
        model="m",
        created=7,
        choices=tuple(draw(st.lists(choices(), min_size=1, max_size=2))),
        usage=draw(st.none() | USAGE),
        fingerprint=draw(st.just("") | NAMES),
    )


KEYS = (
    *(
        "id",
        "model",
        "created",
        "choices",
        "index",
        "delta",
        "message",
        "content",
        "role",
        "refusal",
        "finish_reason",
    ),
    *(
        "tool_calls",
        "function",
        "custom",
        "name",
        "arguments",
        "input",
        "function_call",
        "extra_content",
        "google",
    ),
    *(
        "thought_signature",
        "reasoning_content",
        "reasoning",
        "reasoning_details",
        "type",
        "text",
        "thinking",
        "usage",
    ),
    *(
        "signature",
        "data",
        "format",
        "annotations",
        "url_citation",
        "url",
        "images",
        "image_url",
        "audio",
        "x_groq",
    ),
    *(
        "transcript",
        "logprobs",
        "citations",
        "search_results",
        "stop_reason",
        "prompt_tokens",
        "total_tokens",
    ),
)
SCALARS = st.none() | st.booleans() | st.integers(-9, 99) | st.floats(allow_nan=False, allow_infinity=False)
#: JSON of any shape under the names that answers have.
ODD = st.recursive(
    SCALARS
    | st.sampled_from(["", "a", "0", "text", "data:x", "reasoning.encrypted", "url_citation", "custom"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=30,
)
#: An answer's message or delta of any shape.
ODD_MESSAGES = st.dictionaries(st.sampled_from(KEYS), ODD, max_size=8)


def pieces(data: bytes, size: int) -> list[bytes]:
    """Cut bytes into pieces of one size."""
    return [data[start : start + size] for start in range(0, len(data), size)]
