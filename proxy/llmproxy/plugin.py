"""The public API: everything a plugin may import."""

from __future__ import annotations

from llmproxy.body import Body, BodyTooLarge, Recording, Sink
from llmproxy.dialects import (
    ByteFilter,
    ClientFace,
    LocalUpstream,
    StreamDecoder,
    StreamEncoder,
    Tap,
    UpstreamFace,
)
from llmproxy.errors import BadRequest, ConfigError, GatewayError, StartError, UpstreamError, UpstreamTimeout
from llmproxy.exchange import (
    ANONYMOUS,
    Attempt,
    Caller,
    Edit,
    Endpoint,
    Exchange,
    MessageEdit,
    Outcome,
    StateKey,
    Usage,
)
from llmproxy.hooks import CallNext, EventTransform, hookimpl
from llmproxy.jsonscan import BrokenJson, DuplicateKey, Member, NotAnObject, insert_member, patch, scan
from llmproxy.messages import ClientRequest, Headers, Reply, StoredReply, UpstreamRequest
from llmproxy.metrics import Counter, Gauge, Histogram, Metrics
from llmproxy.references import Secret
from llmproxy.registry import AdminRequest, Embedder, NoConfig, Plugin, Registry, Strategy
from llmproxy.runtime import ChildRequest, Clock, Runtime
from llmproxy.sse import Event, Framer
from llmproxy.stores import Store, StoreAway, StoreUrl
from llmproxy.units import Duration, Size

__all__ = [name for name in dir() if not name.startswith("_") and name != "annotations"]
