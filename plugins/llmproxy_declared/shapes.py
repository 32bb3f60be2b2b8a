"""How an endpoint wants messages, pictures and tools written: a template for each kind; OpenAI's where none is given."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmproxy.plugin import Omitted, ValueTemplate
from llmproxy_declared import sources
from llmproxy_declared.sources import sources_of, value_template

_MESSAGE: Final = {"role": "{role}", "content": "{content}", "tool_calls": "{tool_calls}"}
_TEXT: Final = {"type": "text", "text": "{text}"}
_FUNCTION: Final = {
    "name": "{name}",
    "description": "{description}",
    "parameters": "{parameters}",
    "strict": "{strict}",
}
_CALLED: Final = {"name": "{name}", "arguments": "{arguments}"}

#: Each kind's values and, where there is one, its default.
KINDS: Final[dict[str, tuple[frozenset[str], Any]]] = {
    "message": (sources.MESSAGE, _MESSAGE),
    "text": (sources.TEXT, _TEXT),
    "image": (sources.IMAGE, None),
    "tool": (sources.TOOL, {"type": "function", "function": _FUNCTION}),
    "tool_call": (sources.TOOL_CALL, {"id": "{id}", "type": "function", "function": _CALLED}),
    "tool_result": (sources.TOOL_RESULT, {"role": "{role}", "tool_call_id": "{id}", "content": "{text}"}),
}


class ShapesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Templates of one message, of its texts and pictures, of a tool, of a call and of a result.

    With `image` a message that has pictures is a list of parts; without, its content is text.
    """

    message: Any = None
    text: Any = None
    image: Any = None
    tool: Any = None
    tool_call: Any = None
    tool_result: Any = None

    def __post_init__(self) -> None:
        _ = Shapes(self)


class Shapes:
    """The templates, read."""

    def __init__(self, config: ShapesConfig) -> None:
        self._templates: dict[str, ValueTemplate] = {}
        for kind, (known, default) in KINDS.items():
            given = getattr(config, kind)
            given = default if given is None else given
            if given is not None:
                self._templates[kind] = value_template(given, kind, known)

    def has(self, kind: str) -> bool:
        """Whether there is a template of that kind."""
        return kind in self._templates

    def uses(self, kind: str, source: str) -> bool:
        """Whether the template of that kind refers to a value."""
        template = self._templates.get(kind)
        return template is not None and source in sources_of([template])

    def write(self, kind: str, values: dict[str, Any]) -> Any:
        """Write one piece; None where nothing of it was given."""
        try:
            return self._templates[kind].fill(values)
        except Omitted:
            return None
