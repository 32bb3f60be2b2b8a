"""`llmproxy cache explain`: why a request is a hit or a miss, as the running gateway sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from llmproxy.caching.inspecting import OTHERS
from llmproxy.commands.asking import Admin, ask
from llmproxy.commands.curled import curled, text_of
from llmproxy.commands.explain import parse_request
from llmproxy.commands.group import ExitCode, Refusal
from llmproxy.units import format_duration

_STATES = {
    "none": "nothing is stored",
    "fresh": "a hit: fresh",
    "stale": "stale",
    "softly purged": "stale: softly purged",
    "purged": "purged",
    "other form": "fresh, in another form, to be told in this one",
}


def explain(
    where: Admin,
    request: str,
    *,
    method: str | None = None,
    headers: Sequence[str] = (),
    data: str | None = None,
    tenant: str | None = None,
    key: str | None = None,
    as_json: bool = False,
) -> str:
    """Return what the gateway's caches make of a request: a file, or a path or URL with curl's options.

    Raises:
        Refusal: the request cannot be read, or what it would be told before any cache is asked.
    """
    tree = curled(request, method, headers, data)
    if tree is None:
        tree = _from_file(Path(request))
    tree |= {name: value for name, value in (("tenant", tenant), ("key", key)) if value is not None}
    answer = ask(where, "POST", "/cache/explain", tree)
    if answer.status != 200:
        wrong = answer.told.get("code") == "bad_request_line"
        code = ExitCode.WRONG_USAGE if wrong else ExitCode.CONFIGURATION_OR_ADDRESS_REFUSED
        known = "code" in answer.told
        raise Refusal(f"{where.address}: {answer.reason}", code if known else ExitCode.GATEWAY_NOT_REACHED)
    if as_json:
        return orjson.dumps(answer.told, option=orjson.OPT_INDENT_2).decode()
    return "\n".join(_lines(answer.told))


def _from_file(path: Path) -> dict[str, Any]:
    text = text_of(path)
    if text.lstrip().startswith("{"):
        try:
            tree = orjson.loads(text)
        except orjson.JSONDecodeError as fault:
            raise Refusal(f"request file '{path}': {fault}", ExitCode.WRONG_USAGE) from None
        return {name: value for name, value in tree.items() if name != "reply"}
    try:
        request, body = parse_request(text.encode())
    except ValueError as fault:
        raise Refusal(f"request file '{path}': {fault}", ExitCode.WRONG_USAGE) from None
    fields: dict[str, str] = {}
    for raw, value in request.headers:
        name = raw.lower()
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    fields.pop("content-length", None)
    return {"method": request.method, "path": request.target, "headers": fields, "body": body.decode()}


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    model = f", model {told['model']}" if told.get("model") else ""
    yield f"route     {told['route']}, tenant {told['tenant']}{model}"
    if "answered" in told:
        yield f"answered  {told['answered']}"
    elif not told["caches"]:
        yield "cache     none on this route"
    for name, insight in told["caches"].items():
        yield from _cache_lines(name, insight)


def _cache_lines(name: str, insight: Mapping[str, Any]) -> Iterator[str]:
    yield f"cache     {name}"
    for term, text in insight["terms"]:
        yield f"          {term}: {text}"
    yield f"kept      {insight['kept']}"
    if insight.get("key"):
        yield f"key       {insight['key']}"
    if insight.get("entry"):
        yield f"stored    {_standing(insight['entry'])}"
    if insight.get("near") is not None:
        yield from _near_lines(insight["near"])
    for part in insight["parts"]:
        yield f"part      {part['name']}: {part['shown'] or part['digest']}"


def _standing(entry: Mapping[str, Any]) -> str:
    told = [_STATES.get(entry["state"], entry["state"])]
    if "age" in entry or "lifetime" in entry:
        age, lifetime = entry.get("age", 0), entry.get("lifetime", 0)
        told.append(f"{age:.0f} s old, for {format_duration(lifetime)}")
    if entry.get("size"):
        told.append(f"{entry['size']} bytes")
    tier = entry.get("tier")
    if tier:
        told.append("in another worker's memory, a miss elsewhere" if tier == OTHERS else f"tier {tier}")
    return ", ".join([*told, *([entry["more"]] if entry.get("more") else [])])


def _near_lines(near: Mapping[str, Any]) -> Iterator[str]:
    changed, ago = near["differences"], f"{near['seconds']:.0f} s ago"
    if not changed:
        yield f"nearest   this very key was stored {ago}: its answer was evicted, has expired or was purged"
        return
    first, *others = changed
    why = f" ({first['why']})" if first["why"] else ""
    yield f"nearest   a key stored {ago} differs first in {first['name']}{why}"
    yield f"          here {first['here'] or 'nothing'}, there {first['there'] or 'nothing'}"
    if others:
        yield f"          and in {', '.join(each['name'] for each in others)}"
