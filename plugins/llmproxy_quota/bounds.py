"""How many tokens a request can come to at most, before it is sent.

A token of a byte-level vocabulary stands for one byte at least, so the bytes of a body bound the tokens of its text;
what stands for more than its bytes (an image by its address, a conversation that the provider keeps) is taken for a
configured number. The answer is bounded by what the request says of it (`outputs`).
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import orjson

from llmproxy_quota.calls import Kind, kind_of
from llmproxy_quota.config import QuotaConfig
from llmproxy_quota.outputs import NoBoundError, Output, output_of, pictures_of
from llmproxy_quota.units import Units, units_of

#: Tokens that providers add of their own, for tools above all.
_ADDED: Final = 1024
_ATTACHED: Final = re.compile(
    rb'"(?:image_url|input_image|image|input_audio|audio|video|video_url|document|file|file_id|input_file|inlineData'
    rb'|inline_data|fileData|file_data)"'
)
#: What the provider keeps, or fetches by itself while it answers.
_KEPT: Final = re.compile(
    rb'"(?:previous_response_id|conversation|conversation_id|connectors|cachedContent|cached_content|prompt_id|container|mcp_servers'
    rb"|web_search_options|google_?[sS]earch(?:_?[rR]etrieval)?|url_?[cC]ontext|code_?[eE]xecution|google_?[mM]aps"
    rb'|file_?[sS]earch)"\s*:|"pmpt_|"type"\s*:\s*"(?:item_reference|web_search|web_fetch|file_search'
    rb"|code_interpreter|code_execution|computer|mcp|image_generation|tool_search)"
)
#: Letters of names are never written so, but by who wants to hide one.
_HIDDEN: Final = re.compile(rb"\\u00(?:3[0-9]|[46][0-9a-fA-F]|[57][0-9aA]|5[fF])")
#: How many pictures a form asks for, and all that servers may take for it.
_FORM_COUNT: Final = re.compile(rb'[;\s]name="?n"?(?:;[^\r\n]*)?\r\n(?:[^\r\n]+\r\n)*\r\n(\d{1,6})\r\n')
_FORM_COUNTS: Final = re.compile(rb'(?i)[;\s]name="?n"?[;\s]')
#: What rerankers read in pairs, of which each has some signs of its own.
_QUERIES: Final = ("query", "text_1", "data_1", "queries")
_COMPARED: Final = ("documents", "texts", "text_1", "text_2", "data_1", "data_2", "queries")
_OF_A_PAIR: Final = 8
_REFUSED: Final = "What this call comes to cannot be bounded beforehand, and what is used is limited."


class Bound(NamedTuple):
    """Tokens at most, and about; `body` is what must be sent for it to hold, None for the body as it is.

    `doubt` says why it may be more all the same, "" where it cannot. `units` are what some providers count instead.
    """

    input: int
    output: int
    likely_input: int
    likely_output: int
    body: bytes | None = None
    doubt: str = ""
    units: Units = Units()


def bound_of(
    path: str, body: bytes, config: QuotaConfig, method: str = "POST", *, upgraded: bool = False
) -> Bound | None:
    """Bound what a request comes to, None where it uses nothing; `path` is its path without query."""
    kind = kind_of(method, path, upgraded=upgraded)
    if kind == "nothing":
        return None
    seen = _unhidden(body)
    attached = len(_ATTACHED.findall(seen)) * config.attachment
    kept = config.context if kind == "any" or _KEPT.search(seen) else 0
    most = len(body) + _ADDED + attached + kept
    likely = len(body) // 4 + (attached + kept) // 8
    if kind == "reads":
        told = _told(body)
        again = _repeated(told)
        units = units_of(path, body, told, 1)
        return Bound(most + again, 0, likely + again // 4, 0, units=units)
    output, doubt = _output(kind, body, config)
    expected = min(config.expected_output * output.times, output.most)
    units = units_of(path, body, None, output.times) if kind == "media" else Units()
    return Bound(most, output.most, likely, expected, output.body, doubt, units)


def _output(kind: Kind, body: bytes, config: QuotaConfig) -> tuple[Output, str]:
    """Bound the answer; say why that may not hold."""
    if kind == "any":
        return Output(config.output, 1), "" if config.unbounded == "assume" else _REFUSED
    try:
        if kind == "media":
            times = _pictures(body)
            return Output(max(config.output, config.attachment) * times, times), ""
        return output_of(kind, body, config), ""
    except NoBoundError as fault:
        return Output(config.output, 1), str(fault)


def _told(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _repeated(told: Any) -> int:
    """Return the bytes of a query that is read once more with each text that it is compared with."""
    if not isinstance(told, dict):
        return 0
    texts = max((len(found) for name in _COMPARED if isinstance(found := told.get(name), list)), default=0)
    query = max((len(orjson.dumps(found)) for name in _QUERIES if (found := told.get(name))), default=0)
    return texts * (query + _OF_A_PAIR) if query else 0


def _unhidden(body: bytes) -> bytes:
    """Return a body whose names can be looked for, however they are spelled."""
    if _HIDDEN.search(body) is None:
        return body
    try:
        return orjson.dumps(orjson.loads(body))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return body


def _pictures(body: bytes) -> int:
    """Return how many answers a call for pictures wants, of a form or of JSON.

    Raises:
        NoBoundError: servers may read it in another way.
    """
    if body.lstrip().startswith(b"{"):
        return max(1, pictures_of(body))
    found = _FORM_COUNT.findall(body)
    if len(found) != len(_FORM_COUNTS.findall(body)) or len(found) > 1:
        raise NoBoundError("'n' must be a whole number, and stand in the form once.")
    return max([1, *map(int, found)])
