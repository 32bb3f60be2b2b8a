"""Requests of the command line: a path or URL with curl's options, as a tree like that of a request file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmproxy.commands.group import ExitCode, Refusal
from llmproxy.control import unreadable


def curled(
    request: str, method: str | None = None, headers: Sequence[str] = (), data: str | None = None
) -> dict[str, Any] | None:
    """Return the request's tree; None where `request` is a file, which then says all of it.

    Raises:
        Refusal: it is neither a file nor a path nor a URL, or an option cannot be read.
    """
    if Path(request).is_file():
        if method or headers or data:
            raise Refusal("a request file says all of it: leave out -X, -H and -d", ExitCode.WRONG_USAGE)
        return None
    if not request.startswith(("/", "http://", "https://")):
        raise Refusal(f"request {request!r} is no file, no path and no URL", ExitCode.WRONG_USAGE)
    tree: dict[str, Any] = {"path" if request.startswith("/") else "url": request}
    if method is not None:
        tree["method"] = method
    tree["headers"] = dict(_header(each) for each in headers)
    if data is not None:
        tree["body"] = data if not data.startswith("@") else text_of(Path(data[1:]))
        if not any(name.lower() == "content-type" for name in tree["headers"]):
            tree["headers"]["Content-Type"] = "application/json"
    return tree


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise Refusal("-H: should be 'Name: value'", ExitCode.WRONG_USAGE)
    return name.strip(), value.strip()


def text_of(path: Path) -> str:
    """Return the text of a file that the command line names."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as fault:
        raise Refusal(unreadable(fault), ExitCode.WRONG_USAGE) from None
    except UnicodeDecodeError:
        raise Refusal(f"file '{path}' is no UTF-8 text", ExitCode.WRONG_USAGE) from None
