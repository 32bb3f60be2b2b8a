"""A route, compiled: what the pipeline needs to know of it without looking anything up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from llmproxy.fetchpolicy import FetchingConfig
from llmproxy.runtime import Clock
from llmproxy.tariff import Tariff

if TYPE_CHECKING:
    from llmproxy.commit import Terms
    from llmproxy.config import Match, Timeouts
    from llmproxy.dialects import ClientFace, LocalUpstream, UpstreamFace
    from llmproxy.exchange import Endpoint
    from llmproxy.faces import Faces
    from llmproxy.listing import Listing
    from llmproxy.messages import ClientRequest
    from llmproxy.pipeline import Pipeline
    from llmproxy.pricesettings import ChargingConfig
    from llmproxy.registry import Choose, Handler
    from llmproxy.routing import ModelTable
    from llmproxy.stores import Store
    from llmproxy.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Target:
    """An upstream as a route reaches it: its connections, its face, this route's timeouts.

    `local` is the face again where it answers in this process.
    """

    upstream: Upstream
    face: UpstreamFace
    timeouts: Timeouts
    local: LocalUpstream | None = None


@dataclass(slots=True)
class Route:
    """One route of one generation.

    A model route has a table of `models`, their `listing`, and a `face` or `faces` that tell its callers' dialect,
    `face` where nothing else does; an HTTP route has none of them; a plugin's own route has a `handler`.
    `defaults` are the endpoints where no model name decides.
    """

    name: str
    match: Match
    options: Mapping[str, Any] = field(default_factory=dict)
    face: ClientFace | None = None
    faces: Faces | None = None
    models: ModelTable | None = None
    listing: Listing | None = None
    targets: Mapping[str, Target] = field(default_factory=dict)
    #: The targets of discovered members, by their full names; replaced as a whole when one comes or leaves.
    members: Mapping[str, Target] = field(default_factory=dict)
    defaults: tuple[Endpoint, ...] = ()
    #: How many attempts an exchange may make, and the seconds they have together; None leaves it to the first target.
    most_attempts: int = 3
    deadline: float | None = None
    #: Within which bounds an answer is held until it begins, None if it is not; seconds between keep-alives meanwhile.
    commit: Terms | None = None
    keepalive: float | None = None
    #: What has a say in where requests lead.
    choose: Choose | None = None
    handler: Handler | None = None
    max_body: int = 32 * 1024 * 1024
    idle_timeout: float = 60.0
    meter_usage: bool = True
    lossy: str = "warn"
    #: Whether a plugin answers the preflights of what the route takes.
    answers_preflights: bool = False
    #: What may be fetched for a caller whose provider takes no URLs.
    fetching: FetchingConfig = field(default_factory=FetchingConfig)
    #: Whether the route serves the models that it lists and no others, so that a request without one says nothing.
    listed: bool = False
    #: What is charged for answers that no call was made for; None is nothing.
    charging: ChargingConfig | None = None
    #: What calls cost, for who asks while nothing runs.
    tariff: Tariff = field(default_factory=lambda: Tariff({}, Clock()))
    #: Opens the store in which translations keep what callers refer to.
    open_memory: Callable[[], Awaitable[Store]] = field(default=lambda: cast("Awaitable[Store]", None))
    pipeline: Pipeline = field(default_factory=lambda: cast("Pipeline", None))

    def pinned_face(self, path: str) -> ClientFace | None:
        """Return the face of a path's callers where no header can change it, or None."""
        return self.face if self.faces is None else self.faces.pinned(path)

    def face_of(self, request: ClientRequest) -> ClientFace | None:
        """Return the face of a request's caller."""
        faces = self.faces
        return self.face if faces is None else faces.choose(request.path, request.headers, self.face)
