"""How commands ask a running gateway: by its admin listener, found by URL or in the configuration."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from llmproxy.addresses import Address, parse_address
from llmproxy.commands.group import ExitCode, Refusal
from llmproxy.commands.inputs import Configuration

#: Seconds until an answer.
TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Admin:
    """Where the admin listener is; its token is never shown."""

    address: Address
    token: str | None
    tls: bool = False

    def __repr__(self) -> str:
        return f"Admin({self.address})"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the admin listener said; `told` is empty if it was no JSON object."""

    status: int
    told: dict[str, Any]

    @property
    def reason(self) -> str:
        """Why it did not do as asked."""
        return str(self.told.get("detail") or f"it answered {self.status}, as no admin listener does")


class NotReached(Refusal):
    """No gateway answers."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitCode.GATEWAY_NOT_REACHED)


def find_admin(path: Path | None, url: str | None, token_env: str | None) -> Admin | None:
    """Return the listener that the URL names, or that the configuration file does; None if neither.

    Raises:
        Refusal: the URL or the variable is wrong, or the file cannot be read.
    """
    token = _token(token_env)
    if url is not None:
        return _from_url(url, token)
    if path is None:
        return None
    config = Configuration(path).part("admin")
    address, own = config.admin.address, config.admin.token
    if address is None or not (address.port or address.path) or not (token or own):
        return None
    return Admin(address, token or (own.reveal() if own else None))


def ask(admin: Admin, method: str, path: str, body: object = None) -> Answer:
    """Send one request, a body as JSON; return its answer.

    Raises:
        NotReached: there is none.
    """
    headers = {"Authorization": f"Bearer {admin.token}"} if admin.token else {}
    data = None
    if body is not None:
        data, headers["Content-Type"] = orjson.dumps(body), "application/json"
    connection = _connection(admin)
    try:
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        return Answer(answer.status, _object(answer.read()))
    except (OSError, http.client.HTTPException) as fault:
        reason = getattr(fault, "strerror", None) or type(fault).__name__
        raise NotReached(f"no gateway answers at {admin.address}: {reason}") from None
    finally:
        connection.close()


def follow(admin: Admin, path: str, body: bytes, content_type: str) -> Iterator[Answer]:
    """Send one request; give its answer line by line as it comes, each a JSON object.

    Raises:
        NotReached: there is none, or it breaks off.
    """
    headers = {"Authorization": f"Bearer {admin.token}"} if admin.token else {}
    connection = _connection(admin)
    try:
        connection.request("POST", path, body, {**headers, "Content-Type": content_type})
        answer = connection.getresponse()
        if answer.status != 200:
            yield Answer(answer.status, _object(answer.read()))
            return
        for line in answer:
            yield Answer(answer.status, _object(line))
    except (OSError, http.client.HTTPException) as fault:
        reason = getattr(fault, "strerror", None) or type(fault).__name__
        raise NotReached(f"no gateway answers at {admin.address}: {reason}") from None
    finally:
        connection.close()


def _token(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not os.environ.get(variable):
        raise Refusal(f"--token-env: environment variable {variable!r} is not set", ExitCode.WRONG_USAGE)
    return os.environ[variable]


def _from_url(url: str, token: str | None) -> Admin:
    try:
        if url.startswith("unix:"):
            return Admin(parse_address(url), token)
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/"):
            raise ValueError("not a URL such as http://127.0.0.1:9901, or unix:/path")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return Admin(Address(parts.hostname, port), token, tls=parts.scheme == "https")
    except ValueError as fault:
        raise Refusal(f"--admin: {fault}", ExitCode.WRONG_USAGE) from None


def _connection(admin: Admin) -> http.client.HTTPConnection:
    if admin.address.path is not None:
        return _UnixConnection(admin.address.path)
    kind = http.client.HTTPSConnection if admin.tls else http.client.HTTPConnection
    return kind(admin.address.host, admin.address.port, timeout=TIMEOUT)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self._path)


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}
