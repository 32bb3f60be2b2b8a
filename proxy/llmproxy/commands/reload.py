"""`llmproxy reload`: ask a running gateway to read its configuration again."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from llmproxy.commands.asking import Admin, Answer, NotReached, ask, find_admin
from llmproxy.commands.group import ExitCode, Refusal

__all__ = ["Admin", "reload"]


def reload(
    path: Path | None, admin: str | None = None, token_env: str | None = None, pid_file: Path | None = None
) -> str:
    """Have the gateway reload; return what became of it.

    Raises:
        Refusal: the configuration was refused, with its reason, or the gateway cannot be reached.
    """
    found = find_admin(path, admin, token_env)
    if found is not None:
        try:
            # Every worker builds the whole configuration before it answers.
            return _read(ask(found, "POST", "/reload"), found)
        except NotReached:
            if pid_file is None:
                raise
    if pid_file is not None:
        return _signal(pid_file)
    if path is None:
        raise Refusal("name the gateway: -c FILE, --admin URL or --pid-file FILE", ExitCode.WRONG_USAGE)
    raise Refusal(
        "admin: the file gives no fixed address with a token to ask; add admin.token, or use --admin with"
        " --token-env, or --pid-file"
    )


def _read(answer: Answer, admin: Admin) -> str:
    if answer.status == 200 and answer.told.get("reloaded"):
        notes = "".join(f"\nnote: {note}" for note in answer.told.get("notes", ()))
        return f"reloaded: generation {answer.told.get('generation', '?')}{notes}"
    if answer.status == 422:
        raise Refusal(f"reload refused: {answer.reason}", ExitCode.CONFIGURATION_OR_ADDRESS_REFUSED)
    raise Refusal(f"{admin.address}: {answer.reason}", ExitCode.GATEWAY_NOT_REACHED)


def _signal(pid_file: Path) -> str:
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
        os.kill(pid, signal.SIGHUP)
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or "it holds no process number"
        raise Refusal(f"pid file '{pid_file}': {reason}", ExitCode.GATEWAY_NOT_REACHED) from None
    return f"SIGHUP sent to process {pid}; its log says whether the new configuration serves"
