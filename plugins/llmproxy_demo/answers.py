"""The model's answer, before it has a shape: text or a tool call, and what it cost."""

from __future__ import annotations

from typing import Any

import msgspec

from llmproxy.plugin import BadRequest, Usage
from llmproxy_demo import words
from llmproxy_demo.directives import BadDirective, Directives, split


class Answer(msgspec.Struct, frozen=True):
    """What the model says. `pieces` joined are the text, or a tool call's arguments."""

    id: str
    model: str
    directives: Directives
    pieces: list[str]
    input_tokens: int
    output_tokens: int

    @property
    def text(self) -> str:
        """The whole text, or the whole arguments."""
        return "".join(self.pieces)

    @property
    def usage(self) -> Usage:
        """The same counts as the gateway's own record."""
        return Usage(input=self.input_tokens, output=self.output_tokens)


def answer_messages(messages: Any, model: str, seed: bytes) -> Answer:
    """Answer a conversation with the last thing its user said; raise `BadRequest` where there is none."""
    if not isinstance(messages, list):
        raise BadRequest("invalid_type", "The conversation must be a list of messages.")
    said = [
        (message.get("role"), words.text_of(message.get("content")))
        for message in messages
        if isinstance(message, dict)
    ]
    last = next((text for role, text in reversed(said) if role == "user"), "")
    return answer_text(last, model, seed, sum(words.count_tokens(text) for _, text in said))


def answer_text(message: str, model: str, seed: bytes, input_tokens: int) -> Answer:
    """Answer one message, as its directives say."""
    try:
        directives, text = split(message)
    except BadDirective as fault:
        raise BadRequest("bad_directive", f"The demo model does not understand this: {fault}.") from None
    if directives.tool is not None:
        pieces = words.pieces(directives.arguments)
    elif directives.size is not None:
        pieces = words.filled(text, directives.size)
    else:
        pieces = words.pieces(text)
    # A filled answer repeats one piece: counted once, however long it is.
    counts = {piece: words.count_tokens(piece) for piece in set(pieces)}
    output_tokens = sum(counts[piece] for piece in pieces)
    return Answer(words.identifier("", seed), model, directives, pieces, input_tokens, output_tokens)
