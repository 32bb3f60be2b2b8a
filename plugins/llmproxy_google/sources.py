"""Where tokens come from: a key, else what google-auth finds. It blocks: asked in threads."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from llmproxy.plugin import CredentialsAway, Granted, RawHeader

if TYPE_CHECKING:
    from llmproxy_google.config import GoogleOptions

#: Header fields that authorize a request.
Fields = tuple[RawHeader, ...]

#: Seconds that a token is good for whose end nobody tells.
_UNTOLD: Final = 60.0
_WORD: Final = re.compile(r"[a-z_]{1,40}")
_OWNED: Final = frozenset({"authorization", "x-goog-user-project"})


class Source:
    """Gets one token after another."""

    def __init__(self, options: GoogleOptions) -> None:
        self._options = options
        self._found: Any = None
        self._transport: Any = None

    def ask(self) -> Granted[Fields]:
        """Get a new token.

        Raises:
            CredentialsAway: there is no account, or it gets none.
        """
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415  # with what it needs it is large

        try:
            return self._ask()
        except GoogleAuthError as fault:
            raise CredentialsAway(f"Google gives no token: {_why(fault)}") from None

    def _ask(self) -> Granted[Fields]:
        from google.auth.transport.requests import Request  # noqa: PLC0415  # likewise

        if self._found is None:
            self._transport = Request()
            self._found = self._find()
        found = self._found
        found.refresh(self._transport)
        told: dict[str, str] = {}
        found.apply(told)
        fields = [(name.encode(), value.encode()) for name, value in told.items() if name.lower() in _OWNED]
        if found.expiry is None:
            return Granted(tuple(fields), _UNTOLD)
        left = found.expiry.replace(tzinfo=UTC) - datetime.now(UTC)
        return Granted(tuple(fields), left.total_seconds())

    def _find(self) -> Any:
        options = self._options
        if options.impersonate is not None:
            found = self._impersonated(options.impersonate)
        elif options.key is not None:
            found = self._of_key()
        else:
            found = self._of_environment()
        project = options.quota_project
        return found if project is None else found.with_quota_project(project)

    def _impersonated(self, account: str) -> Any:
        from google.auth.impersonated_credentials import Credentials, IDTokenCredentials  # noqa: PLC0415  # few do

        options, audience = self._options, self._options.audience
        own = Source(msgspec.structs.replace(options, audience=None))
        own._transport = self._transport
        found = own._of_environment() if options.key is None else own._of_key()
        found = Credentials(found, account, list(options.scopes))
        return found if audience is None else IDTokenCredentials(found, audience, include_email=True)

    def _of_key(self) -> Any:
        from google.oauth2 import credentials, service_account  # noqa: PLC0415  # as above

        key, scopes, audience = self._options.key, list(self._options.scopes), self._options.audience
        assert key is not None
        try:
            told = orjson.loads(key.reveal())
            if told["type"] == "service_account" and audience is not None:
                kind = service_account.IDTokenCredentials
                return kind.from_service_account_info(told, target_audience=audience)
            if told["type"] == "service_account":
                return service_account.Credentials.from_service_account_info(told, scopes=scopes)
            if told["type"] == "authorized_user" and audience is None:
                return credentials.Credentials.from_authorized_user_info(told, scopes)
        except (ValueError, KeyError, TypeError):
            raise CredentialsAway("the key is not JSON as Google writes it") from None
        raise CredentialsAway("the key is neither a service account's nor, without an audience, a user's")

    def _of_environment(self) -> Any:
        options = self._options
        if options.audience is None:
            import google.auth  # noqa: PLC0415  # as above

            return google.auth.default(scopes=list(options.scopes), request=self._transport)[0]
        from google.oauth2 import id_token  # noqa: PLC0415  # few APIs want one

        return id_token.fetch_id_token_credentials(options.audience, self._transport)


def _why(fault: Exception) -> str:
    """Return OAuth's own word for it if there is one (RFC 6749 §5.2): texts may hold more than they should."""
    told = next((each for each in fault.args if isinstance(each, dict)), {})
    word = told.get("error")
    known = isinstance(word, str) and _WORD.fullmatch(word) is not None
    return str(word) if known else type(fault).__name__
