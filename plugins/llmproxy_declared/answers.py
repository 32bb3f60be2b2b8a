"""A whole answer, read into the canonical form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmproxy.canonical import Answer, Block, Choice, Reasoning, Text, ToolCall
from llmproxy_declared.places import BadAnswer
from llmproxy_declared.toolcalls import made_up_id

if TYPE_CHECKING:
    from llmproxy.plugin import Headers
    from llmproxy_declared.aspects import Aspects


def read_answer(document: Any, aspects: Aspects, headers: Headers | None = None, seed: str = "") -> Answer:
    """Read an answer; `seed` makes ids of calls that have none, if the answer has none either.

    Raises:
        BadAnswer: nothing of it stands where it should.
    """
    name = aspects.id.name_in(document)
    choices = aspects.choices(document)
    if not choices:
        raise BadAnswer("The upstream's answer has no choices where they should stand.")
    return Answer(
        id=name,
        model=aspects.model.name_in(document),
        choices=tuple(
            _choice(choice, number, name or seed, aspects) for number, choice in sorted_by_number(choices)
        ),
        usage=aspects.usage.of(document, headers),
    )


def sorted_by_number(choices: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """Return choices in their order."""
    return sorted(choices, key=lambda pair: pair[0])


def _choice(document: Any, number: int, seed: str, aspects: Aspects) -> Choice:
    content: list[Block] = []
    if thought := aspects.reasoning.text_in(document):
        content.append(Reasoning(thought))
    if said := aspects.text.text_in(document):
        content.append(Text(said))
    calls = aspects.calls.read(document)
    for place, call in enumerate(calls):
        identity = call.id or made_up_id(f"{seed}:{number}", place, call.name)
        content.append(ToolCall(identity, call.name, call.arguments.strip() or "{}"))
    finish = aspects.finish.read(document)
    if not content and finish is None and not has_text(document, aspects):
        where = aspects.text.text or "the places that the configuration names"
        raise BadAnswer(f"The upstream's answer has nothing at {where}.")
    reason, detail = finish or ("stop", "")
    if calls and reason == "stop":
        reason = "tool_calls"
    return Choice(content=tuple(content), finish=reason, detail=detail)


def has_text(document: Any, aspects: Aspects) -> bool:
    """Whether a text stands where it should, if an empty one."""
    return isinstance(aspects.text.find(document), str | list)
