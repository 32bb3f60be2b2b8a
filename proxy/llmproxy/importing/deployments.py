"""One deployment of a LiteLLM file: the upstream that it needs, and its model there."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from llmproxy.importing.addresses import (
    COMPATIBLE,
    UNREACHED,
    Named,
    base_url,
    is_address,
    is_openai_itself,
    name_of,
    read_model,
)
from llmproxy.importing.keyrefs import KeyRefs
from llmproxy.importing.reasons import why
from llmproxy.importing.walking import Note, Walk
from llmproxy.keypaths import join_key
from llmproxy.redaction import is_sensitive, redact_text

#: Variables in which LiteLLM looks for an address that the file does not give.
_ADDRESSES: Final = {
    "azure": "AZURE_API_BASE",
    "azure_text": "AZURE_API_BASE",
    "azure_ai": "AZURE_AI_API_BASE",
    "hosted_vllm": "HOSTED_VLLM_API_BASE",
    "litellm_proxy": "LITELLM_PROXY_API_BASE",
    "databricks": "DATABRICKS_API_BASE",
}
_NOBODYS: Final = "no provider of the table (llmproxy providers) and no api_base"
_EVERYBODYS: Final = "stands for all providers; write those that you use, as openai/* for each"
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_KEYS: Final = {"azure": "AZURE_API_KEY", "azure_text": "AZURE_API_KEY", "azure_ai": "AZURE_AI_API_KEY"}


class Deployment(NamedTuple):
    """An upstream's section, a name for it, and what the model is called there."""

    section: dict[str, Any]
    name: str
    model: str


def read_deployment(
    params: Walk, refs: KeyRefs, total: str | None, first_token: str | None = None
) -> Deployment | None:
    """Read `litellm_params`; None, with a note, where nothing here can serve it.

    `total` is the time that a request may take, and `first_token` that a stream's first output may, unless the
    deployment says another.
    """
    told = params.take("model")
    provider = params.take("custom_llm_provider") or ""
    if not isinstance(told, str) or not told or told.startswith("os.environ/"):
        _left(params, "model", "names no model, so the deployment was left out")
        return None
    named = read_model(told, str(provider))
    if named.prefix in UNREACHED:
        _left(params, "model", f"{named.prefix}: {UNREACHED[named.prefix]}, so the deployment was left out")
        return None
    section = _place(params, named, refs)
    if section is None:
        return None
    _add_key(params, named, section, refs)
    _add_headers(params, section, refs)
    _add_times(params, section, {"total": total, "first_token": first_token})
    if str(params.take("ssl_verify")).lower() == "false":
        section["tls"] = {"verify": False}
    if params.take("api_version") is not None and named.prefix in _KEYS:
        params.tell("api_version", "not needed: Azure's v1 API is called, which has no dated versions")
    params.tell_rest(why)
    own = section.get("provider")
    name = own if own and "base_url" not in section else name_of(section.get("base_url", ""), named)
    return Deployment(section, name, named.model.replace("${", "$${"))


def _left(params: Walk, key: str, text: str) -> None:
    params.tell(key, text)
    params.drop()


def _place(params: Walk, named: Named, refs: KeyRefs) -> dict[str, Any] | None:
    """Say where the deployment is: by its provider, its address, or both."""
    path, given = params.first("api_base", "base_url")
    address = refs.text(given) if given is not None else None
    if address is None and named.prefix in _ADDRESSES:
        address = f"${{env:{_ADDRESSES[named.prefix]}}}"
    if address is not None and not is_address(address):
        params.notes.append(Note(path, "no URL with a host, without a password and a query"))
        _left(params, "", "left out: nothing says where the deployment is")
        return None
    own = named.row is not None and (
        named.prefix not in COMPATIBLE or address is None or is_openai_itself(address)
    )
    section: dict[str, Any] = {"provider": named.row.name} if own and named.row is not None else {}
    if address is not None:
        section["base_url"] = base_url(named, address)
    if section.get("provider") == "openai" and address is not None:
        del section["base_url"]
    if not section or (named.row is not None and not named.row.base_url and address is None):
        told = (
            f"{named.prefix}: {_NOBODYS}" if named.prefix else _EVERYBODYS if named.model == "*" else _NOBODYS
        )
        _left(params, "model", f"{told}, so the deployment was left out")
        return None
    return section


def _add_key(params: Walk, named: Named, section: dict[str, Any], refs: KeyRefs) -> None:
    path, value = params.first("api_key")
    if value is None and named.prefix in _KEYS and (entra := _entra(params, refs)) is not None:
        section["auth"] = {"entra": entra}
        return
    if value is None:
        if named.prefix in _KEYS:
            section["api_key"] = f"${{env:{_KEYS[named.prefix]}}}"
        return
    row = named.row if "provider" in section else None
    wish = row.keys[0] if row is not None else f"{name_of(section['base_url'], named)}_api_key"
    key = refs.secret(value, wish.upper().replace("-", "_"), path)
    if key is not None:
        section["api_key"] = key


def _entra(params: Walk, refs: KeyRefs) -> dict[str, str] | None:
    """Return the application that asks for Azure's tokens, None where the file names none."""
    path, secret = params.first("client_secret")
    if secret is None:
        return None
    told = {"tenant": params.take("tenant_id"), "client_id": params.take("client_id")}
    found = {name: refs.text(value) for name, value in told.items() if value is not None}
    scope = params.take("azure_scope")
    if scope is not None:
        found["scope"] = refs.text(scope)
    key = refs.secret(secret, "AZURE_CLIENT_SECRET", path)
    return found if key is None else {**found, "client_secret": key}


def _add_headers(params: Walk, section: dict[str, Any], refs: KeyRefs) -> None:
    headers: dict[str, str] = {}
    organization = params.take("organization")
    if isinstance(organization, list):
        params.tell(
            "organization",
            "the first is used; write an upstream for each of the others, and a pool of them all",
        )
        organization = organization[0] if organization else None
    if organization:
        headers["OpenAI-Organization"] = refs.text(organization)
    for key in ("extra_headers", "headers"):
        given = params.take(key)
        for name, value in (given if isinstance(given, dict) else {}).items():
            path = join_key(params.at(key), str(name))
            if not _HEADER_NAME.fullmatch(str(name)):
                params.notes.append(Note(path, "not a header's name"))
                continue
            wish = f"{name}_header".upper().replace("-", "_")
            told = refs.secret(value, wish, path) if _is_secret(name, value) else refs.text(value)
            if told is not None:
                headers[name] = told
    if headers:
        section["headers"] = headers


def _is_secret(name: str, value: object) -> bool:
    return is_sensitive(name) or redact_text(str(value)) != str(value)


def _add_times(params: Walk, section: dict[str, Any], times: dict[str, str | None]) -> None:
    for key, name in (("timeout", "total"), ("stream_timeout", "first_token")):
        given = params.take(key)
        own = seconds(given)
        if given is not None and own is None:
            params.tell(key, "not a number of seconds")
        times[name] = own or times[name]
    if any(times.values()):
        section["timeouts"] = {name: time for name, time in times.items() if time}


def seconds(value: object) -> str | None:
    """Return a time as this configuration writes it, or None."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return f"{max(number, 0.001):g}s" if 0 < number < 1e7 else None
