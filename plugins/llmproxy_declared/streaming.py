"""How an endpoint's stream is declared: where it differs from a whole answer, how it is framed, how it ends."""

from __future__ import annotations

from typing import Any, Final, Literal

from llmproxy.plugin import ConfigError
from llmproxy_declared.aspects import AnswerConfig, Aspects
from llmproxy_declared.conditions import Condition

#: The end of a stream that says no end: that its connection is closed in order.
CLOSE: Final = "close"


class StreamConfig(AnswerConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A stream. `path`, `query`, `body` are the request's own where they differ, and so are the paths in its events.

    `end` is what marks its end: the text of an event such as `[DONE]`, a path or a condition, or `close`; without one
    the stream has ended when it is closed and said why it finished. `text_when` says in which events text counts.
    """

    path: str | None = None
    query: dict[str, str] | None = None
    body: Any = None
    framing: Literal["sse", "ndjson"] = "sse"
    data: Literal["json", "text"] = "json"
    cumulative: bool = False
    text_when: Any = None
    end: Any = None

    def __post_init__(self) -> None:
        _ = Streamed(self, self)

    def check(self) -> None:
        """Leave it to the answer's section to say what is read at least."""


class Streamed:
    """A stream's declaration, read; what it does not say is as in a whole answer."""

    def __init__(self, config: StreamConfig, answer: AnswerConfig) -> None:
        names = AnswerConfig.__struct_fields__
        own = {name: getattr(config, name) for name in names}
        inherited = {name: getattr(answer, name) if own[name] is None else own[name] for name in names}
        self.aspects = Aspects(_Merged(**inherited))
        self.framing = config.framing
        self.reads_json = config.data == "json"
        self.cumulative = config.cumulative
        self._text_when = None if config.text_when is None else Condition(config.text_when, "text_when")
        self.closes = config.end == CLOSE
        #: The data of the event that ends the stream.
        self.mark = b""
        self._end: Condition | None = None
        if isinstance(config.end, str) and not self.closes and not config.end.startswith("/"):
            self.mark = config.end.strip().encode()
            if not self.mark:
                raise ConfigError("end", "is empty; write the end's own text, a path, or close")
        elif config.end is not None and not self.closes:
            self._end = Condition(config.end, "end")
        #: Whether the end is told by the reason to finish alone.
        self.finishes = config.end is None

    def ends(self, document: Any, event: str) -> bool:
        """Whether an event says of itself that it is the last."""
        return self._end is not None and self._end.holds(document, event)

    def counts(self, document: Any, event: str) -> bool:
        """Whether an event's text is part of the answer."""
        return self._text_when is None or self._text_when.holds(document, event)


class _Merged(AnswerConfig, frozen=True, kw_only=True):
    """An answer's section put together from two that were checked."""

    def __post_init__(self) -> None:
        """Check nothing again."""
