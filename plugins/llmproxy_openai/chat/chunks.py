"""A stream of chat chunks, read event by event.

Theory of operation. What is said of one choice is a row of blocks: text and thoughts end when something else begins.
How a choice ended is kept until the stream's end: some servers go on after it, others tell usage then.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from llmproxy.canonical import (
    Block,
    BlockEnded,
    Citation,
    Cited,
    Counted,
    Delta,
    Failed,
    Finished,
    Reasoning,
    Refusal,
    Signed,
    Started,
    StreamEvent,
    Text,
    TruncatedStream,
)
from llmproxy.plugin import Framer, error_of, parse
from llmproxy_openai.chat.annotations import read_annotations, read_sources
from llmproxy_openai.chat.answers import content_of, created_of, images_of, text_of, usage_of
from llmproxy_openai.chat.callpieces import CallPieces
from llmproxy_openai.chat.finishes import read_finish
from llmproxy_openai.chat.reasoning import read_detail
from llmproxy_openai.chat.telling import Telling
from llmproxy_openai.chat.toolcalls import signature_of

_DONE: Final = b"[DONE]"
#: An event may hold a whole picture.
_MOST: Final = 64 * 1024 * 1024
#: Answers to one request; OpenAI gives 128 at most.
_MOST_CHOICES: Final = 1024


class ChunkDecoder:
    """Reads the stream of one answer."""

    def __init__(self) -> None:
        self._framer = Framer(max_event=_MOST)
        self._telling = Telling()
        self._choices: dict[int, _Told] = {}
        self._started = False
        self._ended = False
        self._usage: dict[str, Any] | None = None
        self._sources: dict[str, Any] | None = None

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Take bytes cut anywhere; return the events they complete."""
        for block in self._framer.feed(data):
            if not self._ended:
                self._take(block)
        return self._telling.drain()

    def close(self) -> list[StreamEvent]:
        """Return what was held back; some servers end without the mark, others without the last blank line."""
        rest = self._framer.close()
        if rest and not self._ended:
            self._take(rest)
        if not self._ended:
            if not all(told.ended for told in self._choices.values()):
                raise TruncatedStream("the stream of chat chunks ended before the answer did")
            self._end()
        return self._telling.drain()

    def _take(self, block: bytes) -> None:
        if block.startswith(b"data: {") and block.find(b"\n") == len(block) - 2:
            self._read(block[6:-2], None)
            return
        event = parse(block)
        if event.data.strip() == _DONE:
            self._end()
        elif event.data.strip():
            self._read(event.data, event.event)

    def _read(self, data: bytes, kind: bytes | None) -> None:
        chunk = orjson.loads(data)
        if type(chunk) is not dict:
            raise ValueError("a chat chunk is an object")
        if chunk.get("error") or kind == b"error" or chunk.get("object") == "error":
            self._ended = True
            for told in self._choices.values():
                told.break_off()
            self._tell_usage()
            self._telling.tell(Failed(error_of(chunk)))
            return
        choices = chunk.get("choices")
        if not self._started and (choices or chunk.get("id")):
            self._start(chunk)
        if chunk.get("usage") or "x_groq" in chunk:
            self._usage = chunk
        if "citations" in chunk or "search_results" in chunk:
            self._sources = chunk
        if type(choices) is list:
            for choice in choices:
                self._read_choice(choice)

    def _read_choice(self, choice: Any) -> None:
        if type(choice) is not dict:
            raise ValueError("a choice is an object")
        index = choice.get("index")
        place = index if type(index) is int else 0
        told = self._choices.get(place)
        if told is None:
            if not 0 <= place < _MOST_CHOICES:
                raise ValueError("a choice has an index that no answer has")
            told = self._choices[place] = _Told(self._telling, place)
        delta = choice.get("delta")
        if delta is not None:
            told.heard = True
        elif not told.heard:
            delta = choice.get("message")  # beside deltas it repeats them
        if type(delta) is dict:
            told.take(delta, choice.get("logprobs"))
        if choice.get("finish_reason"):
            told.finish(choice)
        if choice.get("usage") and self._usage is None:
            self._usage = choice  # Moonshot's place

    def _start(self, chunk: dict[str, Any]) -> None:
        self._started = True
        self._telling.name = name = text_of(chunk, "id")
        tier, fingerprint = text_of(chunk, "service_tier"), text_of(chunk, "system_fingerprint")
        self._telling.tell(Started(name, text_of(chunk, "model"), created_of(chunk), None, tier, fingerprint))

    def _end(self) -> None:
        if not self._choices:
            raise TruncatedStream("the stream of chat chunks ended before the answer began")
        self._ended = True
        sources = read_sources(self._sources) if self._sources else ()
        for place in sorted(self._choices):
            self._choices[place].end(sources)
        self._tell_usage()

    def _tell_usage(self) -> None:
        usage = None if self._usage is None else usage_of(self._usage)
        if usage is not None:
            self._telling.tell(Counted(usage))


class _Told:
    """What was told of one choice so far; `_kind` is what is open, and None where nothing is."""

    __slots__ = ("_calls", "_choice", "_kind", "_open", "_reason", "_telling", "ended", "heard")

    def __init__(self, telling: Telling, choice: int) -> None:
        self.ended = self.heard = False
        self._telling = telling
        self._choice = choice
        self._reason: dict[str, Any] = {}
        self._open = -1
        self._kind: object = None
        self._calls = CallPieces(telling, choice)

    def take(self, delta: dict[str, Any], logprobs: Any) -> None:
        """Read one delta."""
        content = delta.get("content")
        if len(delta) > 1 or content is None:
            self._take_thoughts(delta)
        if type(content) is str:
            if content or logprobs:
                self._say(Text, content, logprobs if type(logprobs) is dict else None)
        elif type(content) is list:
            for block in content_of(content):
                self._say(type(block), getattr(block, "text", ""))
        if len(delta) > 1 or content is None:
            self._take_rest(delta)

    def _take_rest(self, delta: dict[str, Any]) -> None:
        if refusal := text_of(delta, "refusal"):
            self._say(Refusal, refusal)
        self._take_media(delta)
        calls = delta.get("tool_calls")
        if type(calls) is list and calls:
            self._stop()
            for item in calls:
                if type(item) is not dict:
                    raise ValueError("a tool call is an object")
                self._calls.take(item, item.get("index"))
        old = delta.get("function_call")
        if type(old) is dict:
            self._stop()
            self._calls.take({"function": old}, 0)

    def _take_media(self, delta: dict[str, Any]) -> None:
        if "images" in delta:
            self._stop()
            for image in images_of(delta):
                self._telling.whole(image, self._choice)
        audio = delta.get("audio")
        if type(audio) is dict and (spoken := text_of(audio, "transcript")):
            self._say(Text, spoken)
        signature = signature_of(delta) if "extra_content" in delta else ""
        citations = read_annotations(delta["annotations"]) if "annotations" in delta else ()
        if signature or citations:
            self._say(Text, "")
        if signature:
            self._telling.tell(Signed(self._open, signature))
        for citation in citations:
            self._telling.tell(Cited(self._open, citation))

    def _take_thoughts(self, delta: dict[str, Any]) -> None:
        said = delta.get("reasoning_content") or delta.get("reasoning")
        details = delta.get("reasoning_details")
        if type(details) is list and details and self._take_details(details):
            return
        if type(said) is str and said:
            self._say(Reasoning, said)

    def _take_details(self, details: list[Any]) -> bool:
        """Read OpenRouter's thoughts, each index one; whether their text was among them."""
        told = False
        for item in details:
            if type(item) is not dict:
                continue
            block = read_detail(item)
            if block.redacted:
                self._stop()
                self._telling.whole(block, self._choice)
                continue
            key = f"{item.get('index')} {block.summary}"
            if self._kind != key:
                self._start(key, Reasoning(origin=block.origin, summary=block.summary, id=block.id))
            if block.text:
                told = True
                self._telling.tell(Delta(self._open, block.text))
            if block.signature:
                self._telling.tell(Signed(self._open, block.signature))
        return told

    def _say(self, kind: type, text: str, logprobs: dict[str, Any] | None = None) -> None:
        """Add to the open block of that kind, or to a new one."""
        if self._kind is not kind:
            self._start(kind, kind(text=""))
        if text or logprobs:
            self._telling.tell(Delta(self._open, text, logprobs))

    def _start(self, kind: object, block: Block) -> None:
        self._stop()
        self._open = self._telling.begin(block, self._choice)
        self._kind = kind

    def _stop(self) -> None:
        if self._kind is not None:
            self._telling.tell(BlockEnded(self._open))
            self._kind = None

    def finish(self, choice: dict[str, Any]) -> None:
        """Keep how it ended; the first word counts."""
        if not self.ended:
            self.ended, self._reason = True, choice

    def break_off(self) -> None:
        """Tell what was held back: an error ends the stream."""
        self._calls.begin_last()

    def end(self, sources: tuple[Citation, ...]) -> None:
        """Tell the end."""
        if self._kind is Text:
            for citation in sources:
                self._telling.tell(Cited(self._open, citation))
        self._stop()
        self._calls.end()
        reason, detail = read_finish(self._reason.get("finish_reason"), calls=len(self._calls) > 0)
        stop = self._reason.get("stop_reason")
        sequence = stop if type(stop) is str and reason == "stop" else None
        self._telling.tell(Finished(reason, sequence, detail, "", self._choice))
