"""Blocks of a streamed answer as they are told: what was said of each, so that nothing is said twice."""

from __future__ import annotations

from typing import Any

from llmproxy.canonical import Block, BlockEnded, BlockStarted, Citation, Cited, Delta, Signed, StreamEvent

#: Where a block stands: its item's place in the output, and its own in the item.
Key = tuple[Any, Any]


class Told:
    """One block: its number, what was told of it; its kind is empty once it is whole."""

    __slots__ = ("cited", "index", "kind", "part", "pieces")

    def __init__(self, index: int, kind: str) -> None:
        self.index = index
        self.kind = kind
        self.pieces: list[str] = []
        self.cited = 0
        self.part = 0


class ToldBlocks:
    """All blocks of an answer by their place; what is to be told gathers in `out`."""

    __slots__ = ("_known", "out")

    def __init__(self) -> None:
        self.out: list[StreamEvent] = []
        self._known: dict[Key, Told] = {}

    def get(self, key: Key) -> Told | None:
        """Return a block, whole or not, or None where none began."""
        return self._known.get(key)

    def of_item(self, place: Any) -> list[Key]:
        """Return where the blocks of an item stand, in the order in which they began."""
        return [key for key in self._known if key[0] == place]

    def start(self, key: Key, kind: str, block: Block) -> Told:
        """Begin a block."""
        told = self._known[key] = Told(len(self._known), kind)
        self.out.append(BlockStarted(told.index, block))
        return told

    def more(self, told: Told, text: Any, logprobs: Any = None) -> None:
        """Tell a piece of a block.

        Raises:
            TypeError: it is no text.
        """
        if not isinstance(text, str):
            raise TypeError
        if text:
            told.pieces.append(text)
            tokens = {"content": logprobs} if logprobs and isinstance(logprobs, list) else None
            self.out.append(Delta(told.index, text, tokens))

    def rest(self, told: Told, whole: str) -> None:
        """Tell what of a block's whole text was not told yet; one that differs from its pieces is passed over."""
        said = "".join(told.pieces)
        if whole.startswith(said):
            self.more(told, whole[len(said) :])

    def cite(self, told: Told, citations: list[Citation]) -> None:
        """Tell sources of a block."""
        told.cited += len(citations)
        self.out.extend(Cited(told.index, citation) for citation in citations)

    def sign(self, told: Told, signature: str) -> None:
        """Tell what proves a block."""
        if signature:
            self.out.append(Signed(told.index, signature))

    def end(self, told: Told) -> None:
        """End a block, once."""
        if told.kind:
            told.kind = ""
            self.out.append(BlockEnded(told.index))

    def end_all(self) -> None:
        """End what is still open."""
        for told in self._known.values():
            self.end(told)
