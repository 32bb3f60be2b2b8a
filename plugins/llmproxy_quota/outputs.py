"""How long an answer may become: what a request says of it, and what has to be put into it where it says nothing.

Only the member that the call's provider goes by counts, at its own place: the same name in what a caller writes beside
it (`metadata`, a tool's arguments) bounds nothing. What providers may read differently (a name twice, or in other
letters; a number that is none) is no bound.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from llmproxy.plugin import JsonFault, Member, insert_member, member_value, patch, scan
from llmproxy_quota.calls import Kind
from llmproxy_quota.config import QuotaConfig

_OWN: Final[Mapping[Kind, tuple[str, ...]]] = {
    "completions": ("max_tokens",),
    "responses": ("max_output_tokens",),
    "messages": ("max_tokens",),
    "complete": ("max_tokens_to_sample",),
    "gemini": ("maxOutputTokens", "max_output_tokens"),
    "cohere": ("max_tokens",),
    "ollama": ("num_predict",),
    "converse": ("maxTokens",),
}
#: Where those stand that are no members of the request itself.
_SETTINGS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "gemini": ("generationConfig", "generation_config"),
    "ollama": ("options",),
    "converse": ("inferenceConfig",),
}
#: What servers take for a limit besides: each of them may be the one that counts.
_LIMITS: Final = frozenset(
    {
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "maxOutputTokens",
        "max_tokens_to_sample",
        "maxTokens",
        "max_new_tokens",
        "n_predict",
        "num_predict",
    }
)
_TIMES: Final = frozenset({"n", "best_of", "num_return_sequences", "candidateCount", "candidate_count"})
#: How many pictures a call makes, and where Google's callers say it.
_PICTURES: Final = frozenset({"n", "sampleCount", "sample_count"})
_PARAMETERS: Final = "parameters"
_ACTED_ON: Final = (
    _LIMITS
    | _TIMES
    | _PICTURES
    | {name for names in _SETTINGS.values() for name in names}
    | {"prompt", "prediction", "thinking", "models", _PARAMETERS}
)
_FOLDED: Final = frozenset(name.casefold() for name in _ACTED_ON)
_WHOLE: Final = re.compile(rb"-?\d{1,15}")
_BUDGET: Final = re.compile(rb'"budget_tokens"\s*:\s*(\d{1,15})')

_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_elements: Final = msgspec.json.Decoder(list[msgspec.Raw])


class NoBoundError(ValueError):
    """A request whose answer may become longer than it seems to say; the text is for its caller."""


class Output(NamedTuple):
    """Tokens of all answers together; `body` is what must be sent for it to hold, None for the body as it is."""

    most: int
    times: int
    body: bytes | None = None


def output_of(kind: Kind, body: bytes, config: QuotaConfig) -> Output:
    """Bound the answers of a call of a kind that generates.

    Raises:
        NoBoundError: it cannot be told.
    """
    told = _acted_on(body)
    if "models" in told and member_value(body, told["models"]) != b"null":
        raise NoBoundError("'models' names others than the one whose price is known; name one as 'model'.")
    if kind in _SETTINGS:
        return _of_settings(kind, body, told, config)
    most, times, new = _of_object(body, told, _own(kind, config), config, lenient=kind == "completions")
    if kind == "completions" and (prompt := told.get("prompt")) is not None:
        times *= _prompts(member_value(body, prompt))
    most *= times
    if "prediction" in told:
        most += len(body)  # what is predicted and does not come is paid too
    if (thinking := told.get("thinking")) is not None:
        # A budget for all of a turn's thoughts may be more than what one answer may be long.
        found = _BUDGET.findall(member_value(body, thinking))
        most += max((int(number) for number in found if int(number) >= most), default=0)
    return Output(most, times, new)


def pictures_of(body: bytes) -> int:
    """Return how many pictures a call in JSON makes.

    Raises:
        NoBoundError: servers may read it in another way.
    """
    told = _acted_on(body)
    times = _counted(body, told)
    settings = member_value(body, told[_PARAMETERS]) if _PARAMETERS in told else b""
    return max(times, _counted(settings, _acted_on(settings))) if settings.startswith(b"{") else times


def _counted(body: bytes, told: Mapping[str, Member]) -> int:
    return max((_whole(body, name, told[name]) or 1 for name in told if name in _PICTURES), default=1)


def _own(kind: Kind, config: QuotaConfig) -> tuple[str, ...]:
    """Return the names that the call goes by; the first is put in where none is there."""
    if kind != "chat":
        return _OWN[kind]
    by = config.bound_chat_by
    return (by,) if by == "max_tokens" else (by, "max_tokens")


def _acted_on(body: bytes) -> dict[str, Member]:
    """Find the members that say how long answers become.

    Raises:
        NoBoundError: the body is no JSON object, or holds one of them twice or in other letters.
    """
    try:
        found = scan(body, _ACTED_ON)
        for key in _members.decode(body):
            if key not in _ACTED_ON and key.casefold() in _FOLDED:
                raise NoBoundError(
                    f"The member {key[:40]!r} is written in other letters than its provider's."
                )
    except (JsonFault, msgspec.DecodeError, RecursionError) as fault:
        raise NoBoundError(f"What the request uses cannot be told: {fault}.") from None
    return found


def _of_settings(kind: Kind, body: bytes, told: Mapping[str, Member], config: QuotaConfig) -> Output:
    names = [name for name in _SETTINGS[kind] if name in told]
    if len(names) > 1:
        raise NoBoundError(f"The request holds both {' and '.join(names)}.")
    own = _OWN[kind]
    if not names:
        value = b'{"%b":%d}' % (own[0].encode(), config.output)
        return Output(config.output, 1, insert_member(body, _SETTINGS[kind][0], value))
    member = told[names[0]]
    settings = member_value(body, member)
    if settings == b"null":
        settings = b"{}"
    most, times, new = _of_object(settings, _acted_on(settings), own, config)
    sent = None if new is None else patch(body, [(member.value_start, member.value_end, new)])
    return Output(most * times, times, sent)


def _of_object(
    body: bytes, told: Mapping[str, Member], own: Sequence[str], config: QuotaConfig, *, lenient: bool = False
) -> tuple[int, int, bytes | None]:
    """Return the tokens of one answer, how many answers there are, and the object with a bound if it had none."""
    said = {name: _whole(body, name, told[name]) for name in told if name in _LIMITS}
    times = max((_whole(body, name, told[name]) or 1 for name in told if name in _TIMES), default=1)
    given = {name: number for name, number in said.items() if number is not None and number > 0}
    if lenient and said.get(own[0]) == 0:  # a prompt that is only to be rated
        given[own[0]] = config.output
    most = max(given.values(), default=config.output)
    bounded = any(name in given for name in own)
    # What says less than one token says "no end" to some servers.
    edits = [
        (told[name].value_start, told[name].value_end, b"%d" % most)
        for name, number in said.items()
        if name not in given and (number is not None or (name == own[0] and not bounded))
    ]
    new = patch(body, sorted(edits)) if edits else body
    if not bounded and own[0] not in told:
        new = insert_member(new, own[0], b"%d" % most)
    return most, max(times, 1), None if new is body else new


def _whole(body: bytes, name: str, member: Member) -> int | None:
    value = member_value(body, member)
    if value == b"null":
        return None
    if _WHOLE.fullmatch(value) is None:
        raise NoBoundError(f"'{name}' must be a whole number.")
    return int(value)


def _prompts(value: bytes) -> int:
    """Return how many prompts there are, each of which has answers of its own; tokens of one prompt are numbers."""
    if not value.startswith(b"["):
        return 1
    return max(1, sum(bytes(memoryview(each))[:1] in (b'"', b"[") for each in _elements.decode(value)))
