"""What an attempt failed with, in one word that decides what follows: another try, another place, or the end. Pure.

    failure = failure_of(fault)             # of what `call_next` raised
    failure = await read_failure(reply)     # of an error reply, which stays whole and may still be passed on

None means that no place is to blame, so that no other one would do better: the caller's own mistake, a refusal of the
gateway, a good answer.

    connect dns tls     no connection came about: nothing was sent
    reset timeout       no answer: what was sent may have been executed
    cut protocol        an answer that is no whole one
    busy overloaded     the place says, or the gateway knows, that it has too much to do
    rate_limit quota    this key asks too often; or has spent what it may spend, which time alone does not mend
    authentication permission not_found     the place does not know the key, or the model
    window policy       the request is too long for the model; or its content is refused
    too_large invalid_request               the place does not take the request as it is
    server              the place is broken
"""

from __future__ import annotations

import asyncio
import math
import re
import socket
from collections.abc import Iterable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from llmproxy.body import ENDED, Body
from llmproxy.echoes import Says
from llmproxy.errors import BadRequest, GatewayError, ProviderError, UpstreamError
from llmproxy.exchange import Attempt
from llmproxy.inflate import Inflate
from llmproxy.lanes import run_whole
from llmproxy.messages import Headers, Reply
from llmproxy.refusals import read_error


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Every kind of failure that there is.
KINDS: Final = _words(
    """
    connect dns tls reset timeout cut protocol rate_limit quota authentication permission overloaded server window
    policy not_found invalid_request too_large busy
    """
)

#: Bytes of an error's body that are read, and seconds that they may take to come: what is larger or slower is no
#: message, and is told by its status.
MOST_READ: Final = 64 * 1024
READ_WITHIN: Final = 2.0

#: Seconds; a longer wait than a year is a mistake.
_LONGEST_WAIT: Final = 366 * 86400.0

_OF_CODE: Final = {
    "upstream_unreachable": "connect",
    "upstream_tls_error": "tls",
    "upstream_unauthorized": "authentication",
    "upstream_reset": "reset",
    "upstream_timeout": "timeout",
    "upstream_cut": "cut",
    "upstream_protocol_error": "protocol",
    "upstream_bad_answer": "protocol",
    "upstream_too_large": "protocol",
    "upstream_busy": "busy",
    "credentials_unavailable": "authentication",
}

# What a face says of a request that its own provider cannot serve: another one may.
_NOT_HERE: Final = frozenset(
    {"not_supported_by_provider", "not_translatable", "no_translation", "lossy_translation"}
)

# What a provider's words may mean that says no more than one of these kinds, and for which of them. An error object in
# a good stream has the status of its kind.
_VAGUE: Final = {
    "quota": frozenset({"invalid_request", "permission", "rate_limit"}),
    "policy": frozenset({"invalid_request", "permission", "server"}),
    "window": frozenset({"invalid_request", "too_large", "server"}),
    "authentication": frozenset({"invalid_request"}),
}
# As recorded from OpenAI, Perplexity, Cohere (`error_type`), llama.cpp's server.
_WINDOW_WORDS: Final = _words(
    """
    context_length_exceeded string_above_max_length too_many_prompt_tokens too_many_tokens exceed_context_size_error
    """
)
# As documented by OpenAI (images, reasoning models), Azure OpenAI, Moonshot, Alibaba Cloud Model Studio.
_POLICY_WORDS: Final = _words(
    """
    content_policy_violation content_filter moderation_blocked invalid_prompt responsibleaipolicyviolation
    data_inspection_failed datainspectionfailed contentfilter
    """
)
# What is spent, of the words that `refusals` takes for something else.
_QUOTA_WORDS: Final = frozenset({"exceeded_current_quota_error", "insufficient_balance", "arrearage"})

_WINDOW: Final = re.compile(
    r"context (?:length|window|limit|size)|maximum (?:prompt|context|input) length"
    r"|(?:prompt|input) (?:is )?too long|too many (?:prompt |input )?tokens|input tokens exceeded"
    r"|input token count .{0,40}exceed|total length of all messages is too long"
    r"|tokens .{0,40}too large for model|reduce the length of the (?:messages|prompt|input)"
)
_POLICY: Final = re.compile(
    r"content filter|content management policy|usage polic(?:y|ies)|content polic(?:y|ies)|safety system"
    r"|content exists risk|flagged (?:as|by|for)|input was flagged|requires moderation|inappropriate content"
    r"|considered high risk"
)
_QUOTA: Final = re.compile(
    r"credit balance is too low|insufficient balance|insufficient credits|insufficient[_ ]quota"
    r"|used all available credits|spending limit|billing hard limit"
)
# Google and xAI refuse a key by 400.
_KEY: Final = re.compile(r"(?:incorrect|invalid) api key|api key not valid|api key (?:has )?expired")
#: What is about the gateway's own keys: it must not be a caller who says so.
_OF_KEYS: Final = frozenset({"quota", "authentication"})
_SIGNS: Final = (
    ("quota", _QUOTA_WORDS, _QUOTA),
    ("policy", _POLICY_WORDS, _POLICY),
    ("window", _WINDOW_WORDS, _WINDOW),
    ("authentication", frozenset[str](), _KEY),
)
# A request that alone is more than a minute's allowance: waiting does not help it.
_NEVER_FITS: Final = "request too large for"
# Google tells by the quota's name whether it comes back within a minute or a day.
_DAILY: Final = b"PerDay"


class Failure(msgspec.Struct, frozen=True):
    """How one attempt failed.

    `retry_after` is in seconds, as the place asked. `sent` says whether the request may have reached the place.
    `phase` is where an attempt without an answer broke: `connect`, `tls`, `send`, `headers`, `first_token`, `body`,
    `total`; `encode` where the place's dialect has no words for the request.
    """

    kind: str
    status: int | None = None
    retry_after: float | None = None
    sent: bool = True
    phase: str = ""


def failure_of(
    found: BaseException | Reply, *, wall: float = 0.0, said: Says | None = None
) -> Failure | None:
    """Return what an attempt failed with, by what it raised or by its reply; None if no place is to blame.

    A reply whose body is still coming is judged by its head; `read_failure` knows more. `wall` is in seconds since 1970,
    for a `Retry-After` that is a date in a reply that has none. `said` tells which words the caller's own request has:
    what an error's message repeats of those says nothing of the gateway's keys.
    """
    if isinstance(found, Reply):
        return None if found.status < 400 else _of_reply(found, wall, said)
    if isinstance(found, UpstreamError):
        return _of_upstream_error(found)
    if isinstance(found, ProviderError):
        return _of_provider_error(found, wall, said)
    if isinstance(found, BadRequest):
        unsaid = found.code in _NOT_HERE
        return Failure("invalid_request", found.status, None, sent=False, phase="encode") if unsaid else None
    if isinstance(found, GatewayError) and found.code == "upstream_busy":
        return Failure("busy", found.status, found.retry_after, sent=False, phase="connect")
    return None


def failure_of_attempt(attempt: Attempt) -> Failure | None:
    """Return what an attempt that has ended failed with, as far as it knows itself: an error reply by its status."""
    if attempt.error is not None:
        return failure_of(attempt.error)
    if attempt.status is not None and attempt.status >= 400:
        return _of_provider_error(read_error(attempt.status, b""), 0.0, None)
    return None


async def read_failure(
    reply: Reply, *, wall: float = 0.0, within: float = READ_WITHIN, said: Says | None = None
) -> Failure | None:
    """Return what a reply failed with; its body is read as far as that is of use, and the reply stays whole."""
    if reply.status < 400:
        return None
    if isinstance(reply.body, Body) and _tells_more(reply):
        peek = _Peek(reply.body)
        reply.body = peek.relay
        try:
            async with asyncio.timeout(within):
                await peek.done
        except TimeoutError:
            pass  # its head must do
        except BaseException:
            peek.relay.abandon()
            raise
        if peek.relay.state == ENDED and len(known := peek.read) == peek.relay.size:
            reply.body = known
    return failure_of(reply, wall=wall, said=said)


def retry_delay(headers: Headers | Iterable[tuple[str, str]], wall: float = 0.0) -> float | None:
    """Return the seconds that a reply asks to wait (RFC 9110 §10.2.3), or None; never less than 0.

    `retry-after-ms`, which OpenAI and Azure send, is the more exact one and goes first.
    """
    told = {name.lower(): value.strip() for name, value in headers}
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        seconds = _number(told.get(name, ""))
        if seconds is not None:
            return min(max(0.0, seconds * unit), _LONGEST_WAIT)
    at = _date(told.get("retry-after", ""))
    # The reply's own clock is the one that the date was written by.
    now = _date(told.get("date", "")) or wall
    return None if at is None or not now else min(max(0.0, at - now), _LONGEST_WAIT)


def _of_upstream_error(fault: UpstreamError) -> Failure | None:
    kind = _OF_CODE.get(fault.code)
    if kind is None:
        return None
    cause = fault.__cause__
    if kind == "connect" and isinstance(getattr(cause, "os_error", cause), socket.gaierror):
        kind = "dns"
    elif kind == "reset" and fault.phase == "body":
        kind = "cut"
    return Failure(kind, None, fault.retry_after, fault.sent, fault.phase)


def _of_reply(reply: Reply, wall: float, said: Says | None) -> Failure:
    body = b"" if isinstance(reply.body, Body) else reply.body
    coding = reply.headers.index.get(b"content-encoding", b"identity")
    if coding != b"identity":
        body = _plain(coding, body)
    error = read_error(reply.status, body[:MOST_READ])
    if error.kind == "rate_limit" and _DAILY in body:
        error.kind = "quota"
    wait = retry_delay(reply.headers, wall)
    return _judged(error, reply.status, error.retry_after if wait is None else wait, said)


def _of_provider_error(error: ProviderError, wall: float, said: Says | None) -> Failure:
    wait = error.retry_after
    return _judged(error, error.status, retry_delay(error.headers, wall) if wait is None else wait, said)


def _judged(error: ProviderError, status: int, wait: float | None, said: Says | None) -> Failure:
    words = (error.code.lower(), error.type.lower())
    return Failure(_closer(error.kind, words, error.message[:2000].lower(), said), status, wait)


def _closer(kind: str, words: tuple[str, str], message: str, said: Says | None) -> str:
    """Return what a provider's words say beyond the kind that its status or type is of."""
    if kind == "rate_limit" and message.startswith(_NEVER_FITS):
        return "too_large"
    for closer, known, pattern in _SIGNS:
        if kind not in _VAGUE[closer]:
            continue
        repeated = said if closer in _OF_KEYS else None
        if not known.isdisjoint(words) or _tells(pattern, message, repeated):
            return closer
    return kind


def _tells(pattern: re.Pattern[str], message: str, repeated: Says | None) -> bool:
    """Whether a message has such words, and they are the provider's own."""
    if repeated is None:
        return pattern.search(message) is not None
    return any(not repeated(match[0]) for match in pattern.finditer(message))


def _tells_more(reply: Reply) -> bool:
    """Whether an error's body may say what its status does not."""
    length = reply.headers.get("content-length") or ""
    small = not length.isdecimal() or int(length) <= MOST_READ
    return 400 <= reply.status < 500 and reply.status not in (401, 404, 405) and small


def _plain(coding: bytes, body: bytes) -> bytes:
    try:
        return run_whole([Inflate(coding)], body)
    except ValueError:
        return b""


def _number(text: str) -> float | None:
    try:
        number = float(text) if text.isascii() else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _date(text: str) -> float | None:
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


class _Peek:
    """Reads the beginning of a body that stays whole: `relay` holds all of it for whoever comes next."""

    def __init__(self, body: Body) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self.relay = Body(lambda: body.pause(self), lambda: body.resume(self), lambda: body.detach(self))
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        body.attach(self)

    @property
    def read(self) -> bytes:
        """What was read, which is all of it where the relay has ended."""
        return b"".join(self._pieces)

    def feed(self, data: bytes) -> None:
        self._size += len(data)
        if not self.done.done():
            self._pieces.append(data)
        if self._size > MOST_READ:
            self._enough()
        self.relay.feed(data)

    def end(self) -> None:
        self.relay.end()
        self._enough()

    def fail(self, error: BaseException) -> None:
        self.relay.fail(error)
        self._enough()

    def _enough(self) -> None:
        if not self.done.done():
            self.done.set_result(None)
