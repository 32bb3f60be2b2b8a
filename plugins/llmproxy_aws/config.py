"""The plugin's configuration, and the options of `auth: aws`."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from llmproxy.plugin import ConfigError, Secret, Section

_REGION: Final = re.compile(r"[a-z0-9-]{2,40}")
_ROLE: Final = re.compile(r"arn:[a-z-]+:iam::\d{12}:role/\S+")


class AwsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to set: credentials belong to upstreams."""


class AwsOptions(Section, frozen=True):
    """Whose signature it is; what is left out comes from the environment, as AWS's own tools find it."""

    access_key: Secret | None = None
    secret_key: Secret | None = None
    session_token: Secret | None = None
    profile: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    session_name: str = "llmproxy"
    region: str | None = None
    service: str | None = None

    def __post_init__(self) -> None:
        if (self.access_key is None) != (self.secret_key is None):
            given, other = "access_key", "secret_key"
            if self.access_key is None:
                given, other = other, given
            raise ConfigError(other, f"missing; {given} is of no use without it")
        if self.session_token is not None and self.access_key is None:
            raise ConfigError("access_key", "missing; session_token is of no use without it")
        if self.profile is not None and self.access_key is not None:
            raise ConfigError("profile", "of no use beside access_key")
        if self.external_id is not None and self.role_arn is None:
            raise ConfigError("external_id", "of no use without role_arn")
        if self.role_arn is not None and _ROLE.fullmatch(self.role_arn) is None:
            raise ConfigError("role_arn", 'no role, as in "arn:aws:iam::123456789012:role/gateway"')
        if self.region is not None and _REGION.fullmatch(self.region) is None:
            raise ConfigError("region", 'no region, as in "eu-west-1"')
        if self.service == "s3":
            raise ConfigError("service", "S3 has requests signed by rules of its own")
