"""What gives requests credentials that are not the same for all of them: a signature of each, a token that ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import msgspec

    from llmproxy.messages import Reply, UpstreamRequest
    from llmproxy.upstreamsettings import UpstreamConfig


class Authorizer(Protocol):
    """Gives the requests to one upstream their credentials.

    One that starts its upstream may say by `socket`, once it is made, on which Unix socket that listens.
    """

    async def authorize(self, url: str, request: UpstreamRequest) -> None:
        """Put credentials on a request that nothing else will change.

        `url` is where it goes, with the query; its host is what the field Host will say. `request.headers` are sent as
        they are then: what callers sent under the same names is to be replaced. A `request.body` that is a `Body` is
        still coming and cannot be read here.

        Raises:
            Exception: there are no credentials now; the attempt fails, and another upstream may be tried.
        """

    async def renew(self, refused: Reply) -> bool:
        """Whether a request whose credentials were refused, by 401 or 403, is worth one more try with others."""


#: Makes an upstream's authorizer from its section and the authorizer's own options.
MakeAuthorizer = Callable[["UpstreamConfig", Any], Authorizer]


@dataclass(frozen=True, slots=True)
class AuthorizerKind:
    """An authorizer that upstreams may name: what makes it, and the struct that its options decode into."""

    make: MakeAuthorizer
    options: type[msgspec.Struct]
