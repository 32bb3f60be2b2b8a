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
from llmproxy.jsonscan import (
    BrokenJson,
    DuplicateKey,
    JsonFault,
    Member,
    NotAnObject,
    TooComplex,
    insert_member,
    insertion,
    patch,
    scan,
)
from llmproxy.log import LogSink
from llmproxy.messages import ClientRequest, Headers, Reply, Spellings, StoredReply, UpstreamRequest
from llmproxy.metrics import (
    DEFAULT_SECONDS,
    Counter,
    CounterChild,
    Gauge,
    GaugeChild,
    Histogram,
    HistogramChild,
    Metrics,
)
from llmproxy.references import Secret
from llmproxy.registry import AdminRequest, Embedder, NoConfig, Plugin, Registry, Strategy
from llmproxy.runtime import ChildRequest, Clock, Runtime
from llmproxy.sse import Event, Framer
from llmproxy.stores import Store, StoreAway, StoreUrl
from llmproxy.units import Duration, Size

__all__ = [
    "ANONYMOUS",
    "DEFAULT_SECONDS",
    "AdminRequest",
    "Attempt",
    "BadRequest",
    "Body",
    "BodyTooLarge",
    "BrokenJson",
    "ByteFilter",
    "CallNext",
    "Caller",
    "ChildRequest",
    "ClientFace",
    "ClientRequest",
    "Clock",
    "ConfigError",
    "Counter",
    "CounterChild",
    "DuplicateKey",
    "Duration",
    "Edit",
    "Embedder",
    "Endpoint",
    "Event",
    "EventTransform",
    "Exchange",
    "Framer",
    "GatewayError",
    "Gauge",
    "GaugeChild",
    "Headers",
    "Histogram",
    "HistogramChild",
    "JsonFault",
    "LocalUpstream",
    "LogSink",
    "Member",
    "MessageEdit",
    "Metrics",
    "NoConfig",
    "NotAnObject",
    "Outcome",
    "Plugin",
    "Recording",
    "Registry",
    "Reply",
    "Runtime",
    "Secret",
    "Sink",
    "Size",
    "Spellings",
    "StartError",
    "StateKey",
    "Store",
    "StoreAway",
    "StoreUrl",
    "StoredReply",
    "Strategy",
    "StreamDecoder",
    "StreamEncoder",
    "Tap",
    "TooComplex",
    "UpstreamError",
    "UpstreamFace",
    "UpstreamRequest",
    "UpstreamTimeout",
    "Usage",
    "hookimpl",
    "insert_member",
    "insertion",
    "patch",
    "scan",
]
