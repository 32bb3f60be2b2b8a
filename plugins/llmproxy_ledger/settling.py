"""In which state an attempt ends, what it used, and how sure that is."""

from __future__ import annotations

import asyncio
import re
from math import ceil
from typing import Final, Literal, NamedTuple

from msgspec.structs import replace

from llmproxy.canonical import (
    CountRequest,
    GenerateRequest,
    ImageRequest,
    Losses,
    ModelRequest,
    SpeechRequest,
    TranscriptionRequest,
)
from llmproxy.plugin import Attempt, Exchange, GatewayError, SettlementState, Tariff, Tiers, Usage
from llmproxy_ledger.config import OnAbort
from llmproxy_ledger.estimating import Seen, ceiling, output_limit

#: What a usage rests on: the provider, what was seen, an upper bound, nothing.
Basis = Literal["told", "seen", "ceiling", "none"]

#: Bytes of a token of text, about.
_OF_A_TOKEN: Final = 4
#: Bytes of a stream that a token comes with, about, where nobody counted its events.
_OF_AN_EVENT: Final = 200
_COMPLETES: Final = re.compile(r"(?<!/chat)/completions\Z")
#: Calls that name a model and ask it nothing: what will be asked of it, by whom, is set up.
_SETS_UP: Final = re.compile(r"/assistants(?:/[^/]+)?/?\Z")
#: Bytes of a request that is read for its estimate; a longer one is measured by its size.
_READ: Final = 512 * 1024


class Sent(NamedTuple):
    """What is known of a request that was sent: its bytes, the output that it may have, and what it is priced by.

    `bound` is the tokens of input and of output that were reserved for it, if any were, `otherwise` the output of a
    call that sets no limit itself.
    """

    size: int
    most: int
    rates: Tiers
    bound: tuple[int, int] | None = None
    otherwise: int = 0


class Finding(NamedTuple):
    """How an attempt ended for the ledger; `priced` says whether its price can be told from the usage."""

    state: SettlementState
    usage: Usage
    basis: Basis
    result: str
    priced: bool = True


FREE: Final = Usage()


def find(  # noqa: PLR0911  # one line a case, in the order in which they hold
    exchange: Exchange,
    attempt: Attempt,
    sent: Sent | None,
    seen: Seen | None,
    policy: OnAbort,
    tariff: Tariff,
) -> Finding:
    """Find what an attempt came to; `sent` is None for one that never left."""
    result = result_of(exchange, attempt)
    if sent is None:
        return Finding("free", FREE, "none", result)
    if attempt.usage is not None and (attempt.complete or exchange.upgraded):
        # A session tells of each answer when it ends.
        return Finding("exact" if attempt.complete else "partial", attempt.usage, "told", result)
    refused = attempt.status is not None and attempt.status >= 400
    if attempt.usage is None and (
        refused or exchange.model is None or _SETS_UP.search(exchange.request.path)
    ):
        return Finding("free", FREE, "none", result)  # a refusal, or a call that nobody counts in tokens
    asked = request_of(exchange)
    if isinstance(asked, CountRequest):
        return Finding("free", FREE, "none", result)
    state: SettlementState = "estimated" if attempt.usage is None else "partial"
    if attempt.status is None and not given_up(attempt):
        state = "unknown"
    if not attempt.complete and (policy == "ceiling" or (policy == "drain" and sent.bound is not None)):
        return Finding(state, _ceiling(exchange, attempt, sent), "ceiling", result)
    output = min(_output(exchange, attempt, asked, seen), _most(exchange, sent))
    if attempt.usage is None:
        prompt = _input(exchange, asked, sent.size, tariff)
        return Finding(
            state, Usage(input=prompt, output=output), "seen", result, not _is_media(exchange, asked)
        )
    told = attempt.usage
    more = max(0, output - told.output - told.reasoning)
    usage = replace(told, output=told.output + more)
    return Finding(state, usage, "seen" if more else "told", result)


def result_of(exchange: Exchange, attempt: Attempt) -> str:
    """Return in one word how an attempt ended."""
    if attempt.error is None:
        status = attempt.status or 0
        return "ok" if status < 400 else f"status_{status}"
    if given_up(attempt):
        return "client_gone" if exchange.outcome.client_gone else "given_up"
    return attempt.error.code if isinstance(attempt.error, GatewayError) else "failed"


def given_up(attempt: Attempt) -> bool:
    """Whether it was the gateway that ended it: its caller left, or another attempt was quicker."""
    return isinstance(attempt.error, asyncio.CancelledError | ConnectionAbortedError | GeneratorExit)


def request_of(exchange: Exchange) -> ModelRequest | None:
    """Return what a model was asked for; None where the body is not at hand, too large, or of no known form."""
    body, face = exchange.body_at_hand, exchange.client_face
    if not body or face is None or len(body) > _READ:
        return None
    try:
        return face.decode_request(exchange, body, Losses(face.loss_names))
    except (GatewayError, ValueError):
        return None


def _input(exchange: Exchange, asked: ModelRequest | None, size: int, tariff: Tariff) -> int:
    if isinstance(asked, GenerateRequest):
        return tariff.prompt_tokens(asked)
    if not (exchange.body_at_hand or b"").lstrip().startswith(b"{"):
        return 0  # of a form with a sound or a picture in it the bytes tell nothing
    return ceil(size / _OF_A_TOKEN)


def _is_media(exchange: Exchange, asked: ModelRequest | None) -> bool:
    """Say whether pictures or sound are made or heard, whose price no text tells."""
    if asked is not None:
        return isinstance(asked, ImageRequest | SpeechRequest | TranscriptionRequest)
    body = (exchange.body_at_hand or b"").lstrip()
    return bool(body) and not body.startswith(b"{")


def _output(exchange: Exchange, attempt: Attempt, asked: ModelRequest | None, seen: Seen | None) -> int:
    """Return about how many tokens of output were made; an answer that is whole and no text has none that is known."""
    # Completions of old have no canonical form.
    completion = _COMPLETES.search(exchange.request.path) is not None
    if attempt.complete and not isinstance(asked, GenerateRequest) and not completion:
        return 0
    if seen is not None:
        return seen.tokens
    if attempt.first_output_at is None or (asked is not None and not isinstance(asked, GenerateRequest)):
        return 0
    size = 0 if attempt.body is None else attempt.body.size
    return ceil(size / _OF_AN_EVENT)


def _most(exchange: Exchange, sent: Sent) -> int:
    """Return how many tokens of output the request lets it have."""
    body = exchange.body_at_hand
    return (
        sent.most if body is None else output_limit(body, sent.otherwise or sent.most, exchange.request.path)
    )


def _ceiling(exchange: Exchange, attempt: Attempt, sent: Sent) -> Usage:
    """Return the most that it may have used: what was told of its input, the limit of its output."""
    size, most = sent.bound or (sent.size, _most(exchange, sent))
    if attempt.usage is None:
        return ceiling(size, most, sent.rates)
    told = attempt.usage
    return replace(told, output=max(told.output, most - told.reasoning))
