"""The error tree: what a caller is told, what an operator is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from llmproxy.keypaths import join_paths

if TYPE_CHECKING:
    from llmproxy.dialects import ClientFace


class GatewayError(Exception):
    """A fault with a status and a stable code, to be shaped in the caller's dialect.

    `members` are further members of a problem document (RFC 9457 §3.2), for callers who get one.

    Args:
        status: the HTTP status the caller gets.
        code: a stable snake_case word that programs may match on.
        message: one sentence for a person; never holds a credential or a body.
        retry_after: seconds until another try makes sense, or None.
        headers: further header fields of the answer, such as `Allow` or `WWW-Authenticate`.
    """

    members: Mapping[str, object] = MappingProxyType({})
    #: How it is told in each dialect that it was told in, where it is one of many that are alike (`StandingError`).
    told: dict[ClientFace | None, tuple[int, bytes, bytes]] | None = None

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        retry_after: float | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.headers = tuple(headers)


class BadRequest(GatewayError):
    """The caller's request cannot be understood."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(status, code, message)


class BadField(BadRequest):
    """A member of the request's body is not as it must be; `param` is its path, under the caller's own name for it."""

    def __init__(self, code: str, message: str, param: str | None = None, *, status: int = 400) -> None:
        super().__init__(code, message, status=status)
        self.param = param


class UpstreamError(GatewayError):
    """An attempt failed before or while its reply came.

    `phase` is one of `connect`, `tls`, `send`, `headers`, `first_token`, `body`, `total`.
    `sent` says whether any byte of the request may have reached the upstream.
    """

    def __init__(self, code: str, message: str, *, phase: str, sent: bool, status: int = 502) -> None:
        super().__init__(status, code, message)
        self.phase = phase
        self.sent = sent


class ProviderError(GatewayError):
    """What a provider refused or failed with, read out of its dialect.

    `kind` is one of `invalid_request`, `authentication`, `permission`, `not_found`, `too_large`, `rate_limit`, `quota`,
    `overloaded`, `timeout`, `server`: each dialect has its own word for it. `type` and `code` are the provider's own
    words, `param` the field it complains about, under the provider's name for it. `headers` hold what tells the caller
    when to come back.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        kind: str,
        type: str = "",  # the wire's own word
        param: str | None = None,
        retry_after: float | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(status, code, message, retry_after=retry_after, headers=headers)
        self.kind = kind
        self.type = type
        self.param = param


class UpstreamTimeout(UpstreamError):
    """One of the five timeouts ran out; `phase` names which."""

    def __init__(self, phase: str, seconds: float, *, sent: bool) -> None:
        super().__init__(
            "upstream_timeout",
            f"The upstream exceeded its {phase} timeout of {round(seconds, 2):g} s.",
            phase=phase,
            sent=sent,
            status=504,
        )


class StartError(Exception):
    """The gateway cannot start or reload; the message is one line that names the culprit."""


class ConfigError(StartError):
    """One mistake in the configuration, told by its key path."""

    def __init__(self, path: str, message: str, suggestion: str | None = None) -> None:
        hint = f"; did you mean {suggestion!r}?" if suggestion else ""
        super().__init__(f"{path}: {message}{hint}" if path else f"{message}{hint}")
        self.path = path
        self.message = message
        self.suggestion = suggestion


class ConfigErrors(StartError):
    """Every mistake found in one reading of the configuration."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = tuple(errors)


def below(path: str, fault: ConfigError | ConfigErrors) -> ConfigErrors:
    """Return mistakes whose paths are relative to `path` with their paths made whole."""
    errors = fault.errors if isinstance(fault, ConfigErrors) else (fault,)
    return ConfigErrors(
        [ConfigError(join_paths(path, each.path), each.message, each.suggestion) for each in errors]
    )
