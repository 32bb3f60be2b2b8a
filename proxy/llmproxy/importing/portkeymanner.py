"""What a Portkey config says of all its targets here, whichever of them says it: retries, a cache, a circuit breaker."""

from __future__ import annotations

from typing import Any, Final

from llmproxy.importing.deployments import seconds
from llmproxy.importing.groups import number
from llmproxy.importing.portkeytargets import why
from llmproxy.importing.walking import Walk

#: Seconds for which Portkey keeps answers unless it is told otherwise.
_KEPT: Final = 7 * 86400

_MOST_RETRIES: Final = 5


class PortkeyManner:
    """Takes it from one target after the other; the path of the outermost is where it belongs."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.retries = 0
        self.health: dict[str, Any] = {}
        #: Seconds; None where nothing is cached.
        self.ttl: int | None = None

    def take(self, walk: Walk) -> None:
        """Take a target's retries and cache."""
        retry = walk.section("retry")
        attempts = number(retry.take("attempts"))
        if attempts is not None:
            self.retries = max(self.retries, int(min(attempts, _MOST_RETRIES)))
            if walk.path != self._root:
                retry.tell("attempts", "one number holds for all targets: the largest")
        if retry.take("on_status_codes") is not None:
            retry.tell(
                "on_status_codes", "what is tried again follows from the kind of failure, not its status"
            )
        if retry.take("use_retry_after_header") is False:
            retry.tell("use_retry_after_header", "Retry-After is always honoured, up to max_wait")
        retry.tell_rest(why)
        cache = walk.take("cache")
        if cache is not None:
            self._cache(
                Walk({"mode": cache} if isinstance(cache, str) else cache, walk.at("cache"), walk.notes)
            )

    def _cache(self, cache: Walk) -> None:
        if cache.take("mode") == "semantic":
            cache.tell(
                "mode", "a semantic cache is not there yet; equal requests are answered from the store"
            )
        age = number(cache.take("max_age"))
        self.ttl = min(filter(None, (self.ttl, int(age or _KEPT))), default=None)
        if cache.path.rpartition(".")[0] != self._root:
            cache.tell("", "one cache holds for the route, whichever target answers")
        cache.tell_rest(why)

    def take_breaker(self, settings: Walk) -> None:
        """Read a circuit breaker's settings; its times are milliseconds."""
        failures, share = (
            number(settings.take("failure_threshold")),
            settings.take("failure_threshold_percentage"),
        )
        if failures:
            self.health["failures"] = int(max(failures, 1))
        if (ratio := number(share)) and ratio <= 100:
            self.health["ratio"] = ratio / 100
        if least := number(settings.take("minimum_requests")):
            self.health["volume"] = int(max(least, 1))
        if rest := seconds((number(settings.take("cooldown_interval")) or 0) / 1000):
            self.health["rest"] = rest
            if float(rest[:-1]) > 60:
                self.health["longest_rest"] = rest
        settings.tell_rest(lambda key: "what counts as a failure follows from its kind")
