"""Whole answers, both ways: GenerateContentResponse and the canonical form."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from llmproxy.canonical import Answer, Block, Choice, Losses, Text, ToolCall
from llmproxy_gemini.blocks import Part, PartWriter
from llmproxy_gemini.fields import unreadable
from llmproxy_gemini.finishing import read_reason, written_reason
from llmproxy_gemini.grounding import read_citations, write_grounding
from llmproxy_gemini.logprobs import read_logprobs, write_logprobs
from llmproxy_gemini.parts import Calls, read_parts
from llmproxy_gemini.settling import settled
from llmproxy_gemini.usage import read_usage, written_usage

#: Seconds since 1970 at the end of the year 9999: no later time can be written.
_NEVER: Final = 253_402_300_800


def read_answer(told: dict[str, Any]) -> Answer:
    """Read a whole answer.

    Raises:
        ValueError: it is none.
    """
    candidates = told.get("candidates")
    blocked = blocked_prompt(told)
    if candidates is None and blocked is None and "usageMetadata" not in told:
        raise unreadable("the answer has neither candidates nor a reason why not")
    name = word_of(told, "responseId")
    choices = [_choice(each, name, place) for place, each in enumerate(_objects(candidates))]
    if not choices:
        choices = [blocked or Choice(finish="error", detail="NO_CANDIDATES")]
    counts = told.get("usageMetadata")
    counts = counts if isinstance(counts, dict) else {}
    return Answer(
        id=name,
        model=word_of(told, "modelVersion"),
        created=created_at(told),
        choices=tuple(choices),
        usage=read_usage(counts),
        service_tier=word_of(counts, "serviceTier"),
    )


def blocked_prompt(told: dict[str, Any]) -> Choice | None:
    """Return the choice that stands for a prompt that was not answered."""
    feedback = told.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    if not isinstance(feedback, dict) or not isinstance(reason, str):
        return None
    why = word_of(feedback, "blockReasonMessage")
    return Choice(finish="content_filter", detail=reason, explanation=why)


def created_at(told: dict[str, Any]) -> int:
    """Return the seconds of `createTime`, 0 where there is none."""
    try:
        return int(datetime.fromisoformat(word_of(told, "createTime")).timestamp())
    except (ValueError, OverflowError):
        return 0


def word_of(told: dict[str, Any], key: str) -> str:
    """Return a member that is a text, or an empty one: an answer is not refused for what nobody needs."""
    value = told.get(key)
    return value if isinstance(value, str) else ""


def _objects(value: object) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise unreadable("the candidates are no list of objects")
    return sorted(value, key=_index)


def _index(candidate: dict[str, Any]) -> int:
    index = candidate.get("index")
    return index if type(index) is int else 0


def _choice(candidate: dict[str, Any], name: str, place: int) -> Choice:
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    told = [settled(part) for part in parts] if isinstance(parts, list) else parts
    blocks = list(read_parts(told, Calls(f"{name}:{place}"), Losses()))
    _cite(candidate, blocks)
    reason = candidate.get("finishReason") or None
    calls = any(isinstance(block, ToolCall) for block in blocks)
    return Choice(
        content=tuple(blocks),
        finish=None if reason is None else read_reason(reason, calls=calls),
        detail=reason if isinstance(reason, str) else "",
        explanation=word_of(candidate, "finishMessage"),
        logprobs=read_logprobs(candidate.get("logprobsResult")),
    )


def _cite(candidate: dict[str, Any], blocks: list[Block]) -> None:
    """Hang the candidate's citations on its texts."""
    if "groundingMetadata" not in candidate and "citationMetadata" not in candidate:
        return
    texts = [(at, block) for at, block in enumerate(blocks) if isinstance(block, Text)]
    found = read_citations(candidate, [block.text for _, block in texts])
    for place, (at, block) in enumerate(texts):
        own = tuple(citation for of, citation in found if of == place)
        if own:
            blocks[at] = msgspec.structs.replace(block, citations=own)


def write_answer(answer: Answer) -> dict[str, Any]:
    """Return the object that Gemini's SDKs read."""
    return {
        "candidates": [_candidate(choice, place) for place, choice in enumerate(answer.choices)],
        "usageMetadata": write_usage(answer),
        **written_marks(answer.id, answer.model, answer.created),
    }


def written_marks(name: str, model: str, created: int) -> dict[str, Any]:
    """Return what tells an answer from others."""
    told: dict[str, Any] = {"modelVersion": model}
    if 0 < created < _NEVER:
        told["createTime"] = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if name:
        told["responseId"] = name
    return told


def write_usage(answer: Answer) -> dict[str, Any]:
    """Return the usage of an answer, with the tier that served it."""
    counts: dict[str, Any] = dict(written_usage(answer.usage))
    if answer.service_tier:
        counts["serviceTier"] = answer.service_tier
    return counts


def _candidate(choice: Choice, place: int) -> dict[str, Any]:
    writer = PartWriter(Losses(), packs=True)
    parts: list[Part] = []
    cited: list[tuple[int, Text]] = []
    for block in choice.content:
        part = writer.part(block)
        if part is None:
            continue
        if isinstance(block, Text) and block.citations:
            cited.append((len(parts), block))
        parts.append(part)
    told: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
    told |= write_end(choice.finish and written_reason(choice.finish, choice.detail), choice.explanation)
    told["index"] = place
    told |= written_grounding((at, block.text, block.citations) for at, block in cited)
    return told | write_logprobs(choice.logprobs)


def write_end(reason: str | None, explanation: str) -> dict[str, Any]:
    """Return the members that say why a candidate ended."""
    told: dict[str, Any] = {} if reason is None else {"finishReason": reason}
    if explanation:
        told["finishMessage"] = explanation
    return told


def written_grounding(cited: Iterable[tuple[int, str, tuple[Any, ...]]]) -> dict[str, Any]:
    """Return the candidate's member for grounding, if there is any."""
    grounding = write_grounding(cited)
    return {"groundingMetadata": grounding} if grounding else {}
