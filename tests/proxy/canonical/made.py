"""Canonical values for property tests: any blocks, any answers, any order of streamed events."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from llmproxy.canonical import (
    FINISH_REASONS,
    Answer,
    Audio,
    Block,
    BlockEnded,
    BlockStarted,
    CacheMark,
    Choice,
    Citation,
    Cited,
    Counted,
    Delta,
    Document,
    FileRef,
    Finished,
    Foreign,
    Image,
    Inline,
    Link,
    Reasoning,
    Refusal,
    Signed,
    Started,
    StreamEvent,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from llmproxy.exchange import Usage

WORDS = st.text(max_size=8)
MARKS = st.none() | st.builds(CacheMark, ttl=st.sampled_from(["", "5m", "1h"]))
SOURCES = (
    st.builds(Inline, media_type=WORDS, data=WORDS)
    | st.builds(Link, url=WORDS, media_type=WORDS)
    | st.builds(FileRef, id=WORDS, dialect=WORDS)
)
CITATIONS = st.builds(
    Citation, kind=st.sampled_from(["url", "page"]), url=WORDS, start=st.none() | st.integers(0, 9)
)
TEXTS = st.builds(
    Text, text=WORDS, cache=MARKS, citations=st.lists(CITATIONS, max_size=2).map(tuple), signature=WORDS
)
CALLS = st.builds(
    ToolCall,
    id=WORDS,
    name=WORDS,
    arguments=st.sampled_from(["{}", '{"a":1}', "[", " "]),
    signature=WORDS,
    cache=MARKS,
)
THOUGHTS = st.builds(
    Reasoning, text=WORDS, signature=WORDS, redacted=WORDS, origin=WORDS, summary=st.booleans(), id=WORDS
)
REFUSALS = st.builds(Refusal, text=WORDS)
OTHERS = (
    st.builds(Image, source=SOURCES, detail=WORDS, cache=MARKS)
    | st.builds(Audio, source=SOURCES, cache=MARKS)
    | st.builds(Video, source=SOURCES, cache=MARKS)
    | st.builds(Document, source=st.none() | SOURCES, text=st.none() | WORDS, title=WORDS, cite=st.booleans())
    | st.builds(Foreign, origin=WORDS, value=st.dictionaries(WORDS, st.integers(0, 9), max_size=2))
)
RESULTS = st.builds(
    ToolResult,
    id=WORDS,
    content=st.lists(TEXTS | OTHERS, max_size=2).map(tuple),
    name=WORDS,
    is_error=st.booleans(),
)
TOLD: st.SearchStrategy[Block] = TEXTS | CALLS | THOUGHTS | REFUSALS | OTHERS
BLOCKS: st.SearchStrategy[Block] = TOLD | RESULTS

USAGES = st.none() | st.builds(Usage, input=st.integers(0, 9), output=st.integers(0, 9))
LOGPROBS = st.none() | st.fixed_dictionaries(
    {"content": st.lists(st.just({"token": "a"}), max_size=2), "refusal": st.none()}
)


@st.composite
def _choices(draw: Any) -> Choice:
    content = draw(st.lists(TOLD, max_size=4).map(tuple))
    finish = draw(st.sampled_from(FINISH_REASONS) | st.none() if content else st.sampled_from(FINISH_REASONS))
    told = finish is not None
    return Choice(
        content=content,
        finish=finish,
        stop_sequence=draw(st.none() | WORDS) if told else None,
        detail=draw(WORDS) if told else "",
        explanation=draw(WORDS) if told else "",
        logprobs=draw(LOGPROBS) if content else None,
    )


ANSWERS = st.builds(
    Answer,
    id=WORDS,
    model=WORDS,
    created=st.integers(0, 9),
    choices=st.lists(_choices(), max_size=3).map(tuple),
    usage=USAGES,
    service_tier=WORDS,
    fingerprint=WORDS,
)


@st.composite
def streams(draw: Any) -> list[StreamEvent]:
    """Make a stream whose blocks may overlap and may be left open, in any order that the contract allows."""
    kinds = draw(st.lists(st.tuples(TOLD, st.integers(0, 1)), max_size=5))
    told = [_told(draw, index, block, choice) for index, (block, choice) in enumerate(kinds)]
    events: list[StreamEvent] = [Started(id="a")]
    begun = 0
    while begun < len(told) or any(told[:begun]):
        # A block begins after those before it began; else any may go on.
        going = [index for index in range(begun) if told[index]] + ([begun] if begun < len(told) else [])
        index = draw(st.sampled_from(going))
        events.append(told[index].pop(0))
        begun = max(begun, index + 1)
    events += [Finished("stop", choice=choice) for choice in (0, 1)]
    return [*events, Counted(Usage(output=1))]


def _told(draw: Any, index: int, block: Block, choice: int) -> list[StreamEvent]:
    more = [Delta(index, text) for text in draw(st.lists(WORDS, max_size=3))]
    if isinstance(block, Text):
        more += [Cited(index, citation) for citation in draw(st.lists(CITATIONS, max_size=1))]
    if isinstance(block, Text | Reasoning | ToolCall):
        more += [Signed(index, name) for name in draw(st.lists(WORDS, max_size=1))]
    return [BlockStarted(index, block, choice), *more, *([BlockEnded(index)] if draw(st.booleans()) else [])]
