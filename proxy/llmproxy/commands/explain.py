"""`llmproxy explain`: a request file in, what would happen out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from llmproxy.commands.check import assemble
from llmproxy.commands.curled import curled
from llmproxy.commands.group import ExitCode, Refusal
from llmproxy.commands.inputs import Configuration
from llmproxy.control import unreadable
from llmproxy.explain import ExplainedAttempt, ExplainedTranslation, Explanation
from llmproxy.explain import explain as explained
from llmproxy.messages import ClientRequest, Headers


def explain(
    request: str,
    path: Path | None,
    *,
    method: str | None = None,
    headers: Sequence[str] = (),
    data: str | None = None,
    as_json: bool = False,
) -> str:
    """Return, as text or JSON, what would happen to a request: a file, or a path or URL with curl's options."""
    tree = curled(request, method, headers, data)
    asked, body = _read(Path(request)) if tree is None else _from_tree(_located(tree))
    told = asyncio.run(_explain(Configuration(path), asked, body))
    if as_json:
        return orjson.dumps(asdict(told), option=orjson.OPT_INDENT_2).decode()
    return "\n".join(_lines(told))


async def _explain(configuration: Configuration, request: ClientRequest, body: bytes) -> Explanation:
    generation, routes = await assemble(configuration.load())
    return await explained(generation.assembly, routes, request, body)


def _read(path: Path) -> tuple[ClientRequest, bytes]:
    try:
        return parse_request(path.read_bytes())
    except OSError as fault:
        raise Refusal(unreadable(fault), ExitCode.WRONG_USAGE) from None
    except ValueError as fault:
        raise Refusal(f"request file '{path}': {fault}", ExitCode.WRONG_USAGE) from None


def parse_request(data: bytes) -> tuple[ClientRequest, bytes]:
    """Read a request as on the wire, or as a JSON object; return it and its body.

    Raises:
        ValueError: it is neither; the message never repeats a header's value.
    """
    return _from_json(data) if data.lstrip().startswith(b"{") else _from_wire(data)


def _located(tree: dict[str, Any]) -> dict[str, Any]:
    """Put a URL's host and path where a request has them."""
    url = urlsplit(tree.pop("url", ""))
    if url.netloc:
        tree["path"] = f"{url.path or '/'}{'?' if url.query else ''}{url.query}"
        tree["headers"] = {"Host": url.netloc, **tree["headers"]}
    return tree


def _from_json(data: bytes) -> tuple[ClientRequest, bytes]:
    return _from_tree(orjson.loads(data))


def _from_tree(tree: dict[str, Any]) -> tuple[ClientRequest, bytes]:
    if unknown := tree.keys() - {"method", "path", "headers", "body"}:
        raise ValueError(f"unknown key {min(unknown)!r} (known: body, headers, method, path)")
    path, headers, body = tree.get("path"), tree.get("headers", {}), tree.get("body", "")
    if not isinstance(path, str) or not path.startswith("/"):
        raise ValueError("'path' should be text that begins with '/'")
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise ValueError("'headers' should be an object of texts")
    raw = body.encode() if isinstance(body, str) else orjson.dumps(body)
    fields = Headers.of(headers)
    if not isinstance(body, str) and "content-type" not in fields:
        fields.add("Content-Type", "application/json")
    return _request(str(tree.get("method", "POST" if raw else "GET")), path, fields), raw


def _from_wire(data: bytes) -> tuple[ClientRequest, bytes]:
    """Read wire text; lines may end as an editor ends them, and no length need be told."""
    head, body = [*re.split(rb"\r?\n\r?\n", data, maxsplit=1), b""][:2]
    first, *lines = head.decode("latin-1").splitlines() or [""]
    parts = first.split(" ")
    if len(parts) not in {2, 3} or not parts[0].isalpha() or not parts[1].startswith("/"):
        raise ValueError("line 1 should be a request line, such as 'POST /v1/chat/completions HTTP/1.1'")
    fields = Headers()
    for number, line in enumerate(lines, 2):
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise ValueError(f"line {number} should be a header field, 'Name: value'")
        fields.add(name, value.strip())
    length = fields.get("content-length")
    return _request(parts[0], parts[1], fields), body[: int(length)] if length and length.isdigit() else body


def _request(method: str, target: str, headers: Headers) -> ClientRequest:
    host = headers.get("host") or "localhost"
    return ClientRequest(method.upper(), target, headers, host=host, client="127.0.0.1", listener="explain")


def _lines(told: Explanation) -> Iterator[str]:
    yield f"request   {told.method} {told.target}"
    if told.route is not None:
        params = "".join(f" {name}={value}" for name, value in told.params.items())
        yield f"route     {told.route} ({told.kind}){params}"
        yield from _plugin_lines(told)
    if told.model is not None:
        yield f"model     {told.model}{' (streamed)' if told.streamed else ''}"
    for number, attempt in enumerate(told.attempts, 1):
        yield from _attempt_lines(number, attempt)
    if told.refusal is not None:
        yield f"refused   {told.refusal['status']} {told.refusal['code']}: {told.refusal['message']}"


def _plugin_lines(told: Explanation) -> Iterator[str]:
    for number, plugin in enumerate(told.plugins, 1):
        given = {name: value for name, value in (plugin.options or {}).items() if value not in (None, {}, [])}
        options = f"  options {_compact(given)}" if given else ""
        hooks = ", ".join(plugin.hooks) or "no request hook"
        yield f"plugin {number:<2} {plugin.name} ({plugin.use}): {hooks}{options}"
        yield from (f"          {name}: {text}" for name, text in plugin.says)
    for hook, names in told.order.items():
        sees = f", sees {told.sees[hook]}" if hook in told.sees else ""
        yield f"hook      {hook}: {', '.join(names)}{sees}"


def _put(translation: ExplainedTranslation) -> str:
    if translation.caller == translation.provider:  # responses into chat completions, or the other way round
        return f"put into another API of {translation.provider}: the one called is not known to be there"
    return f"put from {translation.caller} into {translation.provider}"


def _attempt_lines(number: int, attempt: ExplainedAttempt) -> Iterator[str]:
    model = "" if attempt.model is None else f", model {attempt.model}"
    where = "answered in this process" if attempt.local else attempt.url
    yield f"attempt {number} upstream {attempt.upstream}{model}: {where}"
    translation = attempt.translation
    if translation is not None:
        yield f"          {_put(translation)}"
    if attempt.request_line:
        yield from _request_lines(attempt)
    if translation is not None:
        yield from _translation_lines(translation)


def _translation_lines(translation: ExplainedTranslation) -> Iterator[str]:
    if translation.body:
        yield f"          {translation.body}"
    for note in translation.notes:
        yield f"          note: {note}"
    for name, why in translation.losses.items():
        yield f"          lost: {name}: {why}"
    if translation.losses:
        yield f"          lossy {translation.lossy}: {translation.then}"


def _request_lines(attempt: ExplainedAttempt) -> Iterator[str]:
    yield f"          timeouts {', '.join(f'{name} {value}' for name, value in attempt.timeouts.items())}"
    yield f"          {attempt.request_line}"
    for name, value in attempt.headers:
        yield f"          {name}: {value}"
    unchanged = "" if attempt.edits or attempt.translation else ", as the caller sent them"
    yield f"          {attempt.body_bytes} bytes of body{unchanged}"
    for edit in attempt.edits:
        yield f"          bytes {edit.start}-{edit.end} {edit.old!r} -> {edit.new!r}"


def _compact(value: Any) -> str:
    return orjson.dumps(value).decode()
