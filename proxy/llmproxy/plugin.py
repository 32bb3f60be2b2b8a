"""The public API: everything a plugin may import."""

from __future__ import annotations

from llmproxy.accounts import (
    RESERVATIONS,
    AccountScope,
    Measure,
    Reservation,
    ScopeKind,
    Settlement,
    SettlementState,
    Taken,
    scopes_of,
    settlement_id,
)
from llmproxy.apiclient import ApiClient, Refused
from llmproxy.arms import ARM, Arm
from llmproxy.authorizers import Authorizer
from llmproxy.belated import BATCH, TOLD, Belated, Spent, belated
from llmproxy.body import Body, BodyTooLarge, Recording, Sink
from llmproxy.bodyreader import BodyReader, media_type, scan_members
from llmproxy.caching.entry import BadEntry, Entry
from llmproxy.caching.forms import Form, Untellable
from llmproxy.caching.kin import KIN, Answered, Asked, Fresh, Kin, Kinship
from llmproxy.caching.sharedboard import SharedServer, next_message, shared_server
from llmproxy.caching.space import CacheSpace
from llmproxy.carried import carried_headers, passed_headers
from llmproxy.commands.options import admin_options, config_option
from llmproxy.conversation import Change, edits_apart, in_order, message_edits
from llmproxy.dialects import (
    ByteFilter,
    Claim,
    ClientFace,
    LocalUpstream,
    Memory,
    StreamDecoder,
    StreamEncoder,
    Tap,
    ToolNames,
    Untranslated,
    UntranslatedClient,
    UpstreamFace,
    no_translation,
)
from llmproxy.discovery import BadRegistry, DiscoverySettings, Listed, MemberSource, RegistryAway, discovering
from llmproxy.echoes import says
from llmproxy.errors import (
    BadField,
    BadRequest,
    ConfigError,
    ConfigErrors,
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
from llmproxy.failures import (
    KINDS,
    Failure,
    failure_of,
    failure_of_attempt,
    read_failure,
)
from llmproxy.fetching import UnreachableUrl, fetch_public
from llmproxy.filewatch import WatchedFile
from llmproxy.hooks import CallNext, EventTransform, hookimpl
from llmproxy.jsonscan import (
    BrokenJson,
    JsonFault,
    Member,
    elements,
    insert_member,
    insertion,
    member_value,
    patch,
    scan,
)
from llmproxy.keyreading import Ground, Reading
from llmproxy.keyring import another_key
from llmproxy.keyrules import KeyRules, Turns, key_rules_of, rules_by_end
from llmproxy.lanes import Lane
from llmproxy.latetaps import LinesTap, MessagesTap, ObjectTap, summed
from llmproxy.listing import wanted_model
from llmproxy.log import LogSink
from llmproxy.members import MemberList, PoolMember
from llmproxy.messages import (
    ClientRequest,
    Headers,
    RawHeader,
    Reply,
    Spellings,
    StoredReply,
    UpstreamRequest,
    is_stream,
)
from llmproxy.metrics import (
    DEFAULT_SECONDS,
    Counter,
    CounterChild,
    Gauge,
    Histogram,
    Metrics,
)
from llmproxy.ndjson import LineFramer
from llmproxy.patterns import has_dot_segment, normalise_path, plain_path
from llmproxy.plugincommands import ask_gateway, configured_plugins
from llmproxy.pools import Place, Pool, Strategy, Vitals
from llmproxy.poolsettings import Capabilities, StrategyRef, TargetConfig
from llmproxy.postgres import Postgres, PostgresAway, postgres_of, postgres_value
from llmproxy.postgresblocking import BlockingPostgres, numbered_places
from llmproxy.postgresurl import PostgresUrl
from llmproxy.pricesettings import PriceConfig
from llmproxy.providers.prices import Rates, Tiers, covers
from llmproxy.providers.prices import price as price_usage
from llmproxy.questions import take_question
from llmproxy.quirks import Quirks
from llmproxy.redaction import is_sensitive, redact_text
from llmproxy.references import Secret
from llmproxy.refusals import error_of, retry_fields
from llmproxy.registry import FORESEEN, AdminRequest, Embedder, MakeStrategy, NoConfig, Plugin, Registry
from llmproxy.route import Route
from llmproxy.runtime import ChildRequest, Clock, Runtime
from llmproxy.saying import said
from llmproxy.secondhand import HIT, Secondhand, is_charged, secondhand
from llmproxy.sections import Section
from llmproxy.settings import UpstreamConfig
from llmproxy.sse import Event, EventTooLarge, Framer, parse
from llmproxy.standing import StandingError
from llmproxy.storedheaders import StoredHeaders, wire_fields
from llmproxy.stores import Store, StoreAway, StoreUrl, reserving
from llmproxy.stores import key as store_key
from llmproxy.stores.interface import Measured
from llmproxy.stores.names import StoreName
from llmproxy.taps import CountingTap, Findings, UsageReader, WholeTap, event_data, unfinished
from llmproxy.tariff import Priced, Tariff, priced_as
from llmproxy.templates import TextTemplate, ValueTemplate
from llmproxy.tickets import keep_ticket, ticket_holder
from llmproxy.tokencache import CredentialsAway, Granted, TokenCache
from llmproxy.units import Duration, Size, format_duration, parse_duration
from llmproxy.upstreamsettings import UpstreamTls
from llmproxy.usage import Parts, count_of
from llmproxy.valuepaths import EACH, Missing, Omitted, Reference, read_path

__all__ = [
    "ANONYMOUS",
    "ARM",
    "BATCH",
    "DEFAULT_SECONDS",
    "EACH",
    "FORESEEN",
    "HIT",
    "KIN",
    "KINDS",
    "RESERVATIONS",
    "TOLD",
    "AccountScope",
    "AdminRequest",
    "Answered",
    "ApiClient",
    "Arm",
    "Asked",
    "Attempt",
    "Authorizer",
    "BadEntry",
    "BadField",
    "BadRegistry",
    "BadRequest",
    "Belated",
    "BlockingPostgres",
    "Body",
    "BodyReader",
    "BodyTooLarge",
    "BrokenEventStream",
    "BrokenJson",
    "ByteFilter",
    "CacheSpace",
    "CallNext",
    "Caller",
    "Capabilities",
    "Change",
    "ChildRequest",
    "Claim",
    "ClientFace",
    "ClientRequest",
    "Clock",
    "ConfigError",
    "ConfigErrors",
    "Counter",
    "CounterChild",
    "CountingTap",
    "CredentialsAway",
    "DiscoverySettings",
    "Duration",
    "Edit",
    "Embedder",
    "Endpoint",
    "Entry",
    "Event",
    "EventHeader",
    "EventStreamDecoder",
    "EventStreamMessage",
    "EventTooLarge",
    "EventTransform",
    "Exchange",
    "Failure",
    "Findings",
    "Form",
    "Framer",
    "Fresh",
    "GatewayError",
    "Gauge",
    "Granted",
    "Ground",
    "Headers",
    "Histogram",
    "JsonFault",
    "KeyRules",
    "Kin",
    "Kinship",
    "Lane",
    "LineFramer",
    "LinesTap",
    "Listed",
    "LocalUpstream",
    "LogSink",
    "MakeStrategy",
    "Measure",
    "Measured",
    "Member",
    "MemberList",
    "MemberSource",
    "Memory",
    "MessageEdit",
    "MessagesTap",
    "Metrics",
    "Missing",
    "NoConfig",
    "ObjectTap",
    "Omitted",
    "Outcome",
    "Parts",
    "Place",
    "Plugin",
    "Pool",
    "PoolMember",
    "Postgres",
    "PostgresAway",
    "PostgresUrl",
    "PriceConfig",
    "Priced",
    "ProviderError",
    "Quirks",
    "Rates",
    "RawHeader",
    "Reading",
    "Recording",
    "Reference",
    "Refused",
    "Registry",
    "RegistryAway",
    "Reply",
    "Reservation",
    "Route",
    "Runtime",
    "ScopeKind",
    "Secondhand",
    "Secret",
    "Section",
    "Settlement",
    "SettlementState",
    "SharedServer",
    "Sink",
    "Size",
    "Spellings",
    "Spent",
    "StandingError",
    "StartError",
    "StateKey",
    "Store",
    "StoreAway",
    "StoreName",
    "StoreUrl",
    "StoredHeaders",
    "StoredReply",
    "Strategy",
    "StrategyRef",
    "StreamDecoder",
    "StreamEncoder",
    "Taken",
    "Tap",
    "TargetConfig",
    "Tariff",
    "TextTemplate",
    "Tiers",
    "TokenCache",
    "ToolNames",
    "Turns",
    "UnreachableUrl",
    "Untellable",
    "Untranslated",
    "UntranslatedClient",
    "UpstreamConfig",
    "UpstreamError",
    "UpstreamFace",
    "UpstreamRequest",
    "UpstreamTimeout",
    "UpstreamTls",
    "Usage",
    "UsageReader",
    "ValueTemplate",
    "Vitals",
    "WatchedFile",
    "WholeTap",
    "admin_options",
    "another_key",
    "ask_gateway",
    "belated",
    "carried_headers",
    "config_option",
    "configured_plugins",
    "count_of",
    "covers",
    "discovering",
    "edits_apart",
    "elements",
    "error_of",
    "event_data",
    "failure_of",
    "failure_of_attempt",
    "fetch_public",
    "format_duration",
    "has_dot_segment",
    "hookimpl",
    "in_order",
    "insert_member",
    "insertion",
    "is_charged",
    "is_sensitive",
    "is_stream",
    "keep_ticket",
    "key_rules_of",
    "media_type",
    "member_value",
    "message_edits",
    "next_message",
    "no_translation",
    "normalise_path",
    "numbered_places",
    "parse",
    "parse_duration",
    "passed_headers",
    "patch",
    "plain_path",
    "postgres_of",
    "postgres_value",
    "price_usage",
    "priced_as",
    "read_failure",
    "read_path",
    "redact_text",
    "reserving",
    "retry_fields",
    "rules_by_end",
    "said",
    "says",
    "scan",
    "scan_members",
    "scopes_of",
    "secondhand",
    "settlement_id",
    "shared_server",
    "store_key",
    "summed",
    "take_question",
    "ticket_holder",
    "unfinished",
    "wanted_model",
    "wire_fields",
]
