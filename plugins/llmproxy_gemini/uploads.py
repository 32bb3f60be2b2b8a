"""Files on their way up and down: they stand beside the API's version, and go where an answer has told their caller."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from llmproxy.plugin import ClientRequest, Exchange, Reply, keep_ticket

_BESIDE: Final = re.compile(r"/(upload|download)(?=/v\d)")
#: Where uploads go on, and nothing else: no model is asked there.
_UPLOADS: Final = re.compile(r"(?:/[^/:]+)*/upload/v\d+(?:(?:alpha|beta)\d*)?/files")
_VERSION: Final = re.compile(r"/v\d+(?:(?:alpha|beta)\d*)?/?\Z")
_ADDRESS: Final = b"x-goog-upload-url"
_LIVE: Final = "/ws/google."


def rooted_path(path: str, base: str, rest: str) -> str | None:
    """Return the path on the host of what does not stand below an API's version; None for what does.

    `base` is the path of the upstream's base URL, `rest` what stands behind the version in the caller's.
    """
    before = _VERSION.sub("", base)
    if (live := path.find(_LIVE)) >= 0:
        return before + path[live:]
    found = _BESIDE.search(path)
    if found is None:
        return None
    version = base[len(before) :].rstrip("/")
    return f"{before}/{found[1]}{version}/{rest}" if version else before + path[found.start() :]


async def keep_here(exchange: Exchange, reply: Reply) -> None:
    """Have a file sent through the gateway whose upload was begun through it: the answer names the gateway's address.

    Google wants no key where the upload goes on, so SDKs send none; the upload's own name is one.
    """
    told = reply.headers.get("x-goog-upload-url")
    request = exchange.request
    if told is None or not request.host:
        return
    query = urlsplit(told).query
    if query:
        reply.headers.set("X-Goog-Upload-URL", f"{request.scheme}://{request.host}{request.path}?{query}")
        await keep_ticket(exchange, _named(query))


def ticket_of(request: ClientRequest) -> str | None:
    """Return the name of the upload that a request goes on with."""
    goes_on = request.method in ("POST", "PUT") and _UPLOADS.fullmatch(request.path) is not None
    return (_named(request.query) or None) if goes_on else None


def _named(query: str) -> str:
    """Return the upload that a query names; none where it names several, of which one may be another's."""
    names = [value for name, value in parse_qsl(query) if name.strip().lower() == "upload_id"]
    return names[0] if len(names) == 1 else ""


def tells_address(reply: Reply) -> bool:
    """Whether an answer tells where a file is to be sent."""
    return _ADDRESS in reply.headers.index
