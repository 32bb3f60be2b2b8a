"""`llmproxy cache`: what an operator does with the caches of a running gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmproxy.commands.asking import Admin, Answer, ask, find_admin
from llmproxy.commands.group import ExitCode, Refusal


def gateway(path: Path | None, admin: str | None, token_env: str | None) -> Admin:
    """Return the admin listener to ask.

    Raises:
        Refusal: nothing names one.
    """
    found = find_admin(path, admin, token_env)
    if found is not None:
        return found
    if path is None:
        raise Refusal("name the gateway: -c FILE or --admin URL", ExitCode.WRONG_USAGE)
    raise Refusal(
        "admin: the file gives no fixed address with a token to ask; add admin.token, or use --admin with --token-env"
    )


def purge(
    where: Admin,
    named: Mapping[str, Sequence[str]],
    *,
    tenant: str | None = None,
    store: str | None = None,
    everything: bool = False,
    soft: bool = False,
) -> str:
    """Purge what is named, by the plural of its kind; return what became of it.

    Raises:
        Refusal: nothing was purged, or not for every host; and why.
    """
    order: dict[str, Any] = {kind: list(values) for kind, values in named.items() if values}
    order |= {name: value for name, value in (("tenant", tenant), ("store", store)) if value is not None}
    order |= {name: True for name, flag in (("all", everything), ("soft", soft)) if flag}
    return _read(ask(where, "POST", "/cache/purge", order), where, soft=soft)


def _read(answer: Answer, where: Admin, *, soft: bool) -> str:
    told = answer.told
    if answer.status == 200 and told.get("purged"):
        count, stores = told.get("tags", 0), ", ".join(sorted(told.get("stores", ())))
        tags = "1 tag" if count == 1 else f"{count} tags"
        return f"purged{' softly' if soft else ''}: {tags} in {stores}"
    codes = {400: ExitCode.WRONG_USAGE, 404: ExitCode.CONFIGURATION_OR_ADDRESS_REFUSED}
    known = "code" in told  # else it is no admin listener
    code = codes.get(answer.status) if known else None
    raise Refusal(f"{where.address}: {answer.reason}", code or ExitCode.GATEWAY_NOT_REACHED)
