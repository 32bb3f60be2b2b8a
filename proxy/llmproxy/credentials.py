"""What an upstream's requests are sent with: the header fields of its keys, and whose turn it is among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import structlog

from llmproxy.http_api import HttpApi
from llmproxy.keyring import Keyring

if TYPE_CHECKING:
    from llmproxy.config import UpstreamConfig
    from llmproxy.dialects import UpstreamFace
    from llmproxy.keyring import Rested
    from llmproxy.messages import RawHeader
    from llmproxy.runtime import Process

_log = structlog.get_logger("llmproxy")


class Credentials(NamedTuple):
    """The header fields that all requests carry, and where there are several keys those of each."""

    fixed: list[RawHeader]
    keyed: tuple[list[RawHeader], ...] = ()
    keys: Keyring | None = None


def credentials_of(name: str, config: UpstreamConfig, face: UpstreamFace, process: Process) -> Credentials:
    """Prepare an upstream's keys; how each fared before a reload is known to `process`."""
    each = tuple(face.credentials(key.reveal()) for key in config.api_key)
    # Answers of models are read as they pass, so they should come plain.
    plain = [] if face.wire == HttpApi.wire else [(b"Accept-Encoding", b"identity")]
    if len(each) < 2:
        return Credentials([*(each[0] if each else ()), *plain])
    states = [process.keys.of(config.base_url, key.reveal()) for key in config.api_key]
    return Credentials(plain, each, Keyring(states, _tell(name, config, process)))


def _tell(name: str, config: UpstreamConfig, process: Process) -> Rested:
    counter = process.metrics.counter(
        "llmproxy_upstream_key_rests_total",
        "Times that one of an upstream's keys was put aside because the provider refused it.",
        ("upstream", "key", "reason"),
    )

    def tell(number: int, kind: str, seconds: float) -> None:
        counter.labels(name, str(number + 1), kind).inc()
        reference = config.api_key[number].reference
        _log.warning("upstream_key_rests", upstream=name, reference=reference, reason=kind, seconds=seconds)

    return tell
