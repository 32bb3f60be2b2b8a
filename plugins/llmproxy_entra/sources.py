"""Where tokens come from: what is asked, and what the answer means. Pure but for a file that is read.

Three ways, as Microsoft documents them: an application's secret or a platform's assertion at the authority's token
endpoint (OAuth 2.0, RFC 6749 §4.4 and RFC 7523), and the endpoint of the machine for the identity that it runs under.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from llmproxy.plugin import ConfigError, CredentialsAway, Granted, RawHeader
from llmproxy_entra.config import AUTHORITY, EntraOptions, is_safe

_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FORM: Final[RawHeader] = (b"Content-Type", b"application/x-www-form-urlencoded")
#: Where a virtual machine asks; the address is the same on all of them.
_MACHINE: Final = "http://169.254.169.254/metadata/identity/oauth2/token"
_MACHINE_VERSION: Final = "2018-02-01"
_SERVICE_VERSION: Final = "2019-08-01"
_DEFAULT: Final = "/.default"
#: What a token is made of (RFC 6750 §2.1).
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]+")
#: What an error is called (RFC 6749 §5.2); texts may repeat what was sent.
_WORD: Final = re.compile(r"[a-z_]{1,40}")
#: Seconds; what is said to live longer is asked for again after a day.
_LONGEST: Final = 86400.0


class Question(NamedTuple):
    """One call for a token: without a `form` it is a GET; `near` says that no proxy is on the way."""

    base_url: str
    target: str
    headers: tuple[RawHeader, ...]
    form: Callable[[], dict[str, str]] | None = None
    near: bool = False

    def body(self) -> bytes:
        """Return the form as it is sent, made anew each time: what vouches for a workload is replaced by its platform.

        Raises:
            CredentialsAway: the file that vouches cannot be read.
        """
        return b"" if self.form is None else urlencode(self.form()).encode()


def question_of(options: EntraOptions, environ: Mapping[str, str]) -> Question:
    """Return how to ask for a token.

    Raises:
        ConfigError: something is missing.
    """
    secret = options.client_secret.reveal() if options.client_secret else environ.get("AZURE_CLIENT_SECRET")
    file = options.token_file or environ.get("AZURE_FEDERATED_TOKEN_FILE")
    if options.managed or not (secret or file):
        return _machines(options, environ)
    if options.token_file:
        secret = None
    client = options.client_id or environ.get("AZURE_CLIENT_ID")
    tenant = options.tenant or environ.get("AZURE_TENANT_ID")
    for name, given in (("tenant", tenant), ("client_id", client)):
        if not given:
            variable = f"AZURE_{name.upper().removesuffix('_ID')}_ID"
            raise ConfigError(name, f"missing; neither it nor {variable} is set")
    authority = options.authority or environ.get("AZURE_AUTHORITY_HOST") or AUTHORITY
    if "://" not in authority:
        authority = f"https://{authority}"
    if not is_safe(authority):
        raise ConfigError("authority", "AZURE_AUTHORITY_HOST is no https address")

    def form() -> dict[str, str]:
        common = {"grant_type": "client_credentials", "client_id": client or "", "scope": options.scope}
        if secret:
            return {**common, "client_secret": secret}
        return {**common, "client_assertion_type": _ASSERTION, "client_assertion": _read(file or "")}

    target = f"/{quote(tenant or '', safe='')}/oauth2/v2.0/token"
    return Question(authority.rstrip("/"), target, (_FORM,), form)


def _machines(options: EntraOptions, environ: Mapping[str, str]) -> Question:
    """Return how a machine's own identity is asked for: of App Service and its kin, or of a virtual machine."""
    endpoint, proof = environ.get("IDENTITY_ENDPOINT"), environ.get("IDENTITY_HEADER")
    asked = {"resource": options.scope.removesuffix(_DEFAULT)}
    client = options.client_id or environ.get("AZURE_CLIENT_ID")
    if client:
        asked["client_id"] = client
    if endpoint and proof:
        asked["api-version"] = _SERVICE_VERSION
        headers: tuple[RawHeader, ...] = ((b"X-IDENTITY-HEADER", proof.encode()),)
    else:
        endpoint, headers = _MACHINE, ((b"Metadata", b"true"),)
        asked["api-version"] = _MACHINE_VERSION
    parts = urlsplit(endpoint)
    query = "&".join(filter(None, [parts.query, urlencode(asked)]))
    return Question(f"{parts.scheme}://{parts.netloc}", f"{parts.path}?{query}", headers, near=True)


def _read(file: str) -> str:
    try:
        return Path(file).read_text().strip()
    except OSError as fault:
        raise CredentialsAway(f"the token file cannot be read: {fault.strerror}") from None


def granted(status: int, told: Any, wall: float) -> Granted[bytes]:
    """Read an answer; `wall` is the time, for those that tell an end and no length of life.

    Raises:
        CredentialsAway: it is a refusal, or no token.
    """
    answer: Mapping[str, Any] = told if isinstance(told, dict) else {}
    token = answer.get("access_token")
    if status != 200 or not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
        code = answer.get("error")
        why = f" ({code})" if isinstance(code, str) and _WORD.fullmatch(code) else ""
        raise CredentialsAway(f"Entra ID answers {status}{why}")
    seconds = _number(answer.get("expires_in"))
    if seconds is None and (ends := _number(answer.get("expires_on"))) is not None:
        seconds = ends - wall
    return Granted(token.encode(), _LONGEST if seconds is None else min(seconds, _LONGEST))


def _number(value: Any) -> float | None:
    """Read a number, which some endpoints write as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        value = int(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
