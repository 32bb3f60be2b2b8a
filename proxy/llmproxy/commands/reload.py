"""`llmproxy reload`: ask a running gateway to read its configuration again."""

from __future__ import annotations

import http.client
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from llmproxy.addresses import Address, parse_address
from llmproxy.commands.group import ExitCode, Refusal
from llmproxy.commands.inputs import Configuration

#: Seconds until the answer: every worker builds the whole configuration first.
TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Admin:
    """Where the admin listener is; its token is never shown."""

    address: Address
    token: str | None
    tls: bool = False

    def __repr__(self) -> str:
        return f"Admin({self.address})"


def reload(
    path: Path | None, admin: str | None = None, token_env: str | None = None, pid_file: Path | None = None
) -> str:
    """Have the gateway reload; return what became of it.

    Raises:
        Refusal: the configuration was refused, with its reason, or the gateway cannot be reached.
    """
    token = _token(token_env)
    if admin is not None:
        return _ask(_from_url(admin, token), pid_file)
    if path is not None:
        config = Configuration(path).load()
        address = config.admin.address
        own = config.admin.token
        if address is not None and (address.port or address.path) and (token or own):
            return _ask(Admin(address, token or (own.reveal() if own else None)), pid_file)
    if pid_file is not None:
        return _signal(pid_file)
    if path is None:
        raise Refusal("name the gateway: -c FILE, --admin URL or --pid-file FILE", ExitCode.WRONG_USAGE)
    raise Refusal(
        "admin: the file gives no fixed address with a token to ask; add admin.token, or use --admin with"
        " --token-env, or --pid-file"
    )


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


def _ask(admin: Admin, pid_file: Path | None) -> str:
    headers = {"Authorization": f"Bearer {admin.token}"} if admin.token else {}
    connection = _connection(admin)
    try:
        connection.request("POST", "/reload", headers=headers)
        answer = connection.getresponse()
        return _read(answer.status, answer.read(), admin)
    except (OSError, http.client.HTTPException) as fault:
        if pid_file is not None:
            return _signal(pid_file)
        reason = getattr(fault, "strerror", None) or type(fault).__name__
        raise Refusal(
            f"no gateway answers at {admin.address}: {reason}", ExitCode.GATEWAY_NOT_REACHED
        ) from None
    finally:
        connection.close()


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


def _read(status: int, body: bytes, admin: Admin) -> str:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        told = {}
    told = told if isinstance(told, dict) else {}
    if status == 200 and told.get("reloaded"):
        notes = "".join(f"\nnote: {note}" for note in told.get("notes", ()))
        return f"reloaded: generation {told.get('generation', '?')}{notes}"
    reason = told.get("detail") or f"{admin.address} answered {status}, as no admin listener does"
    refused = status == 422
    code = ExitCode.CONFIGURATION_OR_ADDRESS_REFUSED if refused else ExitCode.GATEWAY_NOT_REACHED
    raise Refusal(f"reload refused: {reason}" if refused else str(reason), code)


def _signal(pid_file: Path) -> str:
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
        os.kill(pid, signal.SIGHUP)
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or "it holds no process number"
        raise Refusal(f"pid file '{pid_file}': {reason}", ExitCode.GATEWAY_NOT_REACHED) from None
    return f"SIGHUP sent to process {pid}; its log says whether the new configuration serves"
