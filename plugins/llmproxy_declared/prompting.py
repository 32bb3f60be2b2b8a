"""A whole conversation as one flat text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from llmproxy.plugin import TextTemplate
from llmproxy_declared.sources import TEXT, text_template
from llmproxy_declared.texts import text_of

if TYPE_CHECKING:
    from llmproxy.canonical import GenerateRequest, Losses

_ROLES: Final = ("system", "user", "assistant")


class PromptConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What each message becomes, and what stands after the last one, for the model to go on from."""

    system: str = "{text}\n\n"
    user: str = "User: {text}\n"
    assistant: str = "Assistant: {text}\n"
    end: str = "Assistant:"

    def __post_init__(self) -> None:
        _ = Prompt(self)


class Prompt:
    """Writes conversations; with no configuration a single question stands as it was asked."""

    def __init__(self, config: PromptConfig | None) -> None:
        self._plain = config is None
        config = config or PromptConfig()
        self._templates = {role: text_template(getattr(config, role), role, TEXT) for role in _ROLES}
        self._end = config.end

    def write(
        self, request: GenerateRequest, losses: Losses, *, system: bool, carried: Sequence[type] = ()
    ) -> str:
        """Return the text; `system` says whether instructions belong to it, `carried` what has another place."""
        turns = [("system", block.text) for block in request.system if system]
        turns += [(message.role, text_of(message.content, losses, carried)) for message in request.messages]
        if self._plain and [role for role, _ in turns if role != "system"] == ["user"]:
            return "\n\n".join(text for _, text in turns if text)
        if turns and turns[-1][0] == "assistant":
            return self._written(turns[:-1]) + self._opened(turns[-1][1])
        return self._written(turns) + self._end

    def _written(self, turns: list[tuple[str, str]]) -> str:
        return "".join(self._templates[role].fill({"text": text}) for role, text in turns)

    def _opened(self, text: str) -> str:
        """Write an answer that the model shall go on with: nothing stands behind it."""
        pieces = self._templates["assistant"].pieces
        before = pieces[: _place_of_text(self._templates["assistant"])]
        return "".join(map(str, before)) + text


def _place_of_text(template: TextTemplate) -> int:
    places = [index for index, piece in enumerate(template.pieces) if not isinstance(piece, str)]
    return places[0] if places else len(template.pieces)
