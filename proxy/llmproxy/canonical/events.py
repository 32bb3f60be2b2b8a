"""A streamed answer, event by event.

Order: one `Started`; then for each block a `BlockStarted`, its `Delta`s, `Signed`s and `Cited`s, a `BlockEnded`; one
`Finished` for each choice; `Counted` any number of times, the last one counts. Blocks have an index of their own, in
the order in which they started, over all choices; those of one choice may overlap (OpenAI's parallel tool calls do):
who cannot write that puts a `Sequencer` before. A `Failed` ends the stream wherever it comes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from llmproxy.canonical.answers import FinishReason
from llmproxy.canonical.blocks import Block, Citation
from llmproxy.errors import GatewayError
from llmproxy.exchange import Usage


class Started(msgspec.Struct, frozen=True, gc=False):
    """The answer begins. `usage` is set where the provider tells input tokens first."""

    id: str = ""
    model: str = ""
    created: int = 0
    usage: Usage | None = None
    service_tier: str = ""
    fingerprint: str = ""


class BlockStarted(msgspec.Struct, frozen=True, gc=False):
    """A block begins; `block` is of its kind and holds what is known, its text or arguments empty ("")."""

    index: int
    block: Block
    choice: int = 0


class Delta(msgspec.Struct, frozen=True, gc=False):
    """More of a block: of its text, reasoning or refusal, or of the JSON text of a tool call's arguments."""

    index: int
    text: str
    #: OpenAI's log probabilities of the tokens in this piece.
    logprobs: dict[str, Any] | None = None


class Signed(msgspec.Struct, frozen=True, gc=False):
    """The signature of a reasoning, text or tool-call block, whole."""

    index: int
    signature: str


class Cited(msgspec.Struct, frozen=True, gc=False):
    """A source of the text block."""

    index: int
    citation: Citation


class BlockEnded(msgspec.Struct, frozen=True, gc=False):
    """A block is whole."""

    index: int


class Finished(msgspec.Struct, frozen=True, gc=False):
    """One choice is whole."""

    reason: FinishReason
    stop_sequence: str | None = None
    detail: str = ""
    explanation: str = ""
    choice: int = 0


class Counted(msgspec.Struct, frozen=True, gc=False):
    """What the answer has used so far, as a whole."""

    usage: Usage


class Failed(msgspec.Struct, frozen=True, gc=False):
    """The provider broke the stream off with an error of its own."""

    error: GatewayError


class Ping(msgspec.Struct, frozen=True, gc=False):
    """The provider is alive."""


StreamEvent = (
    Started | BlockStarted | Delta | Signed | Cited | BlockEnded | Finished | Counted | Failed | Ping
)
