"""What is read of an answer and of a stream's events: where its text stands, its calls, its end and so on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from llmproxy.plugin import ConfigError
from llmproxy_declared.finishing import FinishConfig, FinishReader
from llmproxy_declared.places import NOTHING, PATHS, BadAnswer, Given, Place, kind_of
from llmproxy_declared.toolcalls import ToolCallReader, ToolCallsConfig
from llmproxy_declared.usage import UsageConfig, UsageReader

#: Answers to one request, at most.
_MOST_CHOICES = 1024


class AnswerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the parts of an answer stand.

    With `choices`, a list of several answers, `text`, `reasoning`, `tool_calls` and `finish` are paths in each of them.
    """

    text: Given | None = None
    reasoning: Given | None = None
    tool_calls: ToolCallsConfig | None = None
    finish: FinishConfig | None = None
    usage: UsageConfig | None = None
    id: Given | None = None
    model: Given | None = None
    choices: Given | None = None
    index: Given | None = None

    shorthand: ClassVar[Mapping[str, object]] = PATHS

    def __post_init__(self) -> None:
        _ = Aspects(self)
        self.check()

    def check(self) -> None:
        """Refuse a section of which no answer could be read."""
        if self.text is None and self.tool_calls is None:
            raise ConfigError("text", "missing; write the path of the answer's text")

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        """`answer: /output` is the path of its text."""
        return {"text": tree} if isinstance(tree, str | list) else tree


class Aspects:
    """The places of an answer's parts, read."""

    def __init__(self, config: AnswerConfig) -> None:
        self.text = Place(config.text if config.text is not None else (), "text")
        self.reasoning = Place(config.reasoning or (), "reasoning")
        self.calls = ToolCallReader(config.tool_calls)
        self.finish = FinishReader(config.finish)
        self.usage = UsageReader(config.usage)
        self.id = Place(config.id or (), "id")
        self.model = Place(config.model or (), "model")
        self._choices = Place(config.choices if config.choices is not None else (), "choices")
        self._index = Place(config.index or ("/index",), "index")

    def choices(self, document: Any) -> list[tuple[int, Any]]:
        """Return the answers that a document holds or tells of, each with its number.

        Raises:
            BadAnswer: where they should be, something else is.
        """
        if not self._choices:
            return [(0, document)]
        found = self._choices.find(document)
        if found is NOTHING:
            return []
        if type(found) is not list or len(found) > _MOST_CHOICES:
            kind = kind_of(found) if type(found) is not list else "too long a list"
            raise BadAnswer(f"The upstream's answer has {kind} at {self._choices.text}.")
        return [(self._number(choice, place), choice) for place, choice in enumerate(found)]

    def _number(self, choice: Any, place: int) -> int:
        number = self._index.find(choice)
        if number is NOTHING:
            return place
        if type(number) is not int or not 0 <= number < _MOST_CHOICES:
            raise BadAnswer(f"The upstream's answer has a choice with no number at {self._index.text}.")
        return number
