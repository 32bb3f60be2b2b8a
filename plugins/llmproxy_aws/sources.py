"""Where an upstream's AWS credentials come from: options, else what botocore finds. It blocks: asked in threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmproxy.plugin import CredentialsAway, Granted

if TYPE_CHECKING:
    from llmproxy_aws.config import AwsOptions
    from llmproxy_aws.signing import Signer

#: Seconds after which credentials that botocore renews are asked of it again, at most: it renews them a quarter of an
#: hour before their end, when asked.
_LOOKS: Final = (60.0, 20.0, 5.0, 1.0, 0.25)
#: How many times as long they must live.
_SPARE: Final = 1.5
_FALLBACK_REGION: Final = "us-east-1"


class Source:
    """Gives signers; the same one as long as the credentials are the same."""

    def __init__(self, options: AwsOptions, service: str, region: str) -> None:
        self._options = options
        self._service = service
        self._region = region
        self._found: Any = None
        self._signer: Signer | None = None

    def forget(self) -> None:
        """Look everywhere anew when it is asked next: a file may hold other ones now."""
        self._found = None

    def ask(self) -> Granted[Signer]:
        """Return a signer and how long it may be used.

        Raises:
            CredentialsAway: there are none, or they cannot be had.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # botocore is large

        try:
            return self._ask()
        except ClientError as fault:
            code = fault.response.get("Error", {}).get("Code", "?")
            raise CredentialsAway(f"AWS answered {code}") from None
        except BotoCoreError as fault:
            raise CredentialsAway(f"AWS credentials cannot be had: {type(fault).__name__}") from None

    def _ask(self) -> Granted[Signer]:
        from llmproxy_aws.signing import Signer  # noqa: PLC0415  # likewise

        if self._found is None:
            self._found = self._find()
        found, signer = self._found, self._signer
        keys = found.get_frozen_credentials()
        if signer is None or signer.credentials != keys:
            signer = self._signer = Signer(keys, self._service, self._region)
        if not hasattr(found, "refresh_needed"):
            return Granted(signer)
        lives = (each for each in _LOOKS if not found.refresh_needed(refresh_in=each * _SPARE))
        return Granted(signer, next(lives, _LOOKS[-1]))

    def _find(self) -> Any:
        from botocore.credentials import Credentials  # noqa: PLC0415  # likewise
        from botocore.session import Session  # noqa: PLC0415

        options = self._options
        session = Session(profile=options.profile)
        if options.access_key is not None and options.secret_key is not None:
            token = options.session_token
            found = Credentials(
                options.access_key.reveal(), options.secret_key.reveal(), token and token.reveal()
            )
        else:
            found = session.get_credentials()
        if found is None:
            raise CredentialsAway("no AWS credentials are found, in the environment or elsewhere")
        return found if options.role_arn is None else self._assumed(session, found, options.role_arn)

    def _assumed(self, session: Any, found: Any, role: str) -> Any:
        from botocore.credentials import (  # noqa: PLC0415  # likewise
            AssumeRoleCredentialFetcher,
            DeferredRefreshableCredentials,
        )

        def client(service: str, **given: Any) -> Any:
            return session.create_client(service, region_name=self._region or _FALLBACK_REGION, **given)

        more = {"RoleSessionName": self._options.session_name}
        if self._options.external_id is not None:
            more["ExternalId"] = self._options.external_id
        fetcher = AssumeRoleCredentialFetcher(client, found, role, extra_args=more)
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
