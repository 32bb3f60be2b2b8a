"""What the cache has found out of one request, and means to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from llmproxy.caches import CacheStatus
from llmproxy.plugin import ANONYMOUS, StateKey
from llmproxy_httpcache.reusing import MISS, Validate

if TYPE_CHECKING:
    from llmproxy.caches import Mark
    from llmproxy.plugin import Caller, Entry
    from llmproxy_httpcache.headers import Fields, RawHeader
    from llmproxy_httpcache.queries import Query
    from llmproxy_httpcache.requests import Asked
    from llmproxy_httpcache.reusing import Verdict
    from llmproxy_httpcache.rules import Rules
    from llmproxy_httpcache.terms import Terms
    from llmproxy_httpcache.variants import Index


class Stored(NamedTuple):
    """A stored answer and the terms of its use; `soft` if a purge made it stale."""

    key: bytes
    entry: Entry
    terms: Terms
    soft: bool = False


class Plan:
    """One request's way through the cache.

    `asked` is what the caller wants; `edits` are the conditions and the range that the upstream is sent in place of the
    caller's, None where the caller's own go on.
    """

    # Defaults live on the class: a hit sets less than half of this.
    stored: Stored | None = None
    #: A part of the answer, where its whole is not stored.
    part: Stored | None = None
    index: Index | None = None
    verdict: Verdict = MISS
    #: When the answer was stored that this plan is to make anew; 0 for any other plan.
    renews: int = 0
    #: What a GraphQL request means, None if it is none; the tags of the entities in its answer.
    query: Query | None = None
    entities: tuple[str, ...] = ()
    edits: list[RawHeader] | None = None
    mark: Mark | None = None
    #: When the upstream was asked, and when the store had answered.
    requested: float = 0.0
    answered: float = 0.0
    #: Why the answer was not stored.
    reason: str = ""
    #: Whether others who wait may have the answer.
    shareable: bool = False
    status: CacheStatus = CacheStatus("bypass")
    #: Whether the reply says already how it was cached.
    written: bool = False

    def __init__(  # a value each
        self,
        rules: Rules,
        asked: Asked,
        fields: Fields,
        *,
        caller: Caller,
        origin: str,
        target: str,
        key: bytes = b"",
    ) -> None:
        self.rules = rules
        self.asked = asked
        #: The request's own.
        self.fields = fields
        self.caller = caller
        #: Scheme and host that the caller used, and the target in its one spelling.
        self.origin = origin
        self.target = target
        #: Nothing is stored under an empty key.
        self.key = key

    @property
    def closed(self) -> bool:
        """Whether the answer is not for everybody: the caller is somebody, or one of a few."""
        scoping = self.rules.scoping
        return scoping.narrow or (self.caller is not ANONYMOUS and not scoping.public)

    def renew(self, order: Plan) -> None:
        """Make anew what another plan has found; the whole of it, for nobody in particular."""
        assert order.stored is not None
        self.asked = self.asked.whole
        self.stored, self.index, self.verdict = order.stored, order.index, Validate(0, 0, "stale")
        self.renews = order.stored.entry.stored

    def tell(self, **changed: object) -> None:
        """Change what Cache-Status will say."""
        self.status = self.status._replace(**changed)  # type: ignore[arg-type]


PLAN: Final[StateKey[Plan]] = StateKey("httpcache")
