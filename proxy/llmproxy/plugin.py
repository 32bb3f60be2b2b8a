"""The public API: everything a plugin may import."""

from __future__ import annotations

from llmproxy.body import Body, BodyTooLarge, Recording, Sink
from llmproxy.carried import carried_headers
from llmproxy.dialects import (
    ByteFilter,
    Claim,
    ClientFace,
    LocalUpstream,
    Memory,
    StreamDecoder,
    StreamEncoder,
    Tap,
    Untranslated,
    UntranslatedClient,
    UpstreamFace,
    no_translation,
)
from llmproxy.errors import (
    BadRequest,
    ConfigError,
    GatewayError,
    ProviderError,
    StartError,
    UpstreamError,
    UpstreamTimeout,
)
from llmproxy.eventstream import (
    BrokenEventStream,
    EventHeader,
    EventStreamDecoder,
    EventStreamMessage,
)
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
from llmproxy.fetching import Fetched, UnreachableUrl, fetch_public
from llmproxy.fetchpolicy import FetchingConfig, FetchPolicy
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
from llmproxy.ndjson import LineFramer, encode_line
from llmproxy.quirks import Quirks
from llmproxy.references import Secret
from llmproxy.refusals import STATUS_OF_KIND, error_of, read_error
from llmproxy.registry import AdminRequest, Embedder, NoConfig, Plugin, Registry, Strategy
from llmproxy.runtime import ChildRequest, Clock, Runtime
from llmproxy.settings import UpstreamConfig
from llmproxy.sse import Event, EventTooLarge, Framer, parse
from llmproxy.stores import Store, StoreAway, StoreUrl
from llmproxy.units import Duration, Size

__all__ = [
    "ANONYMOUS",
    "DEFAULT_SECONDS",
    "STATUS_OF_KIND",
    "AdminRequest",
    "Attempt",
    "BadRequest",
    "Body",
    "BodyTooLarge",
    "BrokenEventStream",
    "BrokenJson",
    "ByteFilter",
    "CallNext",
    "Caller",
    "ChildRequest",
    "Claim",
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
    "EventHeader",
    "EventStreamDecoder",
    "EventStreamMessage",
    "EventTooLarge",
    "EventTransform",
    "Exchange",
    "FetchPolicy",
    "Fetched",
    "FetchingConfig",
    "Framer",
    "GatewayError",
    "Gauge",
    "GaugeChild",
    "Headers",
    "Histogram",
    "HistogramChild",
    "JsonFault",
    "LineFramer",
    "LocalUpstream",
    "LogSink",
    "Member",
    "Memory",
    "MessageEdit",
    "Metrics",
    "NoConfig",
    "NotAnObject",
    "Outcome",
    "Plugin",
    "ProviderError",
    "Quirks",
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
    "UnreachableUrl",
    "Untranslated",
    "UntranslatedClient",
    "UpstreamConfig",
    "UpstreamError",
    "UpstreamFace",
    "UpstreamRequest",
    "UpstreamTimeout",
    "Usage",
    "carried_headers",
    "encode_line",
    "error_of",
    "fetch_public",
    "hookimpl",
    "insert_member",
    "insertion",
    "no_translation",
    "parse",
    "patch",
    "read_error",
    "scan",
]
