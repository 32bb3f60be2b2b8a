"""How a LiteLLM file wants everything done: times, logs, metrics, parameters that a provider lacks."""

from __future__ import annotations

from dataclasses import dataclass, field

from llmproxy.importing.deployments import seconds
from llmproxy.importing.reasons import why
from llmproxy.importing.walking import Walk

_CALLBACKS = ("callbacks", "success_callback", "failure_callback", "service_callbacks")


@dataclass
class Manner:
    """What of it has a counterpart here; None and empty where the file says nothing."""

    log: dict[str, str] = field(default_factory=dict)
    metrics: bool = False
    lossy: str | None = None
    total: str | None = None
    first_token: str | None = None


def read_manner(library: Walk, router: Walk) -> Manner:
    """Read `litellm_settings` and what `router_settings` says of times."""
    manner = Manner(total=time_of(library, "request_timeout"))
    manner.total = time_of(router, "timeout") or manner.total
    manner.first_token = time_of(router, "stream_timeout") or time_of(library, "stream_timeout")
    drops = library.take("drop_params")
    if drops is not None:
        manner.lossy = "warn" if is_true(drops) else "refuse"
    if is_true(library.take("set_verbose")):
        manner.log["level"] = "debug"
    if is_true(library.take("json_logs")):
        manner.log["format"] = "json"
    for key in _CALLBACKS:
        given = library.take(key)
        names = given if isinstance(given, list) else [] if given is None else [given]
        manner.metrics = manner.metrics or "prometheus" in names
        if any(name != "prometheus" for name in names):
            library.tell(key, why(key))
    return manner


def time_of(settings: Walk, key: str) -> str | None:
    """Take a time, which may be 0 for none."""
    given = settings.take(key)
    told = seconds(given)
    if given not in (None, 0) and told is None:
        settings.tell(key, "not a number of seconds")
    return told


def is_true(value: object) -> bool:
    """Whether LiteLLM, whose YAML knows more words for it, takes a value for true."""
    return str(value).lower() in {"true", "yes", "on", "1"}
