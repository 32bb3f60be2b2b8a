"""A bounded copy of an answer, also of one that breaks off."""

from __future__ import annotations

from llmproxy.plugin import Body, Reply


class Copy:
    """The first bytes of an answer, as they pass; `size` is all that passed, `broken` whether it broke off."""

    __slots__ = ("_pieces", "_room", "broken", "coding", "media", "size")

    def __init__(self, media: bytes, coding: bytes, most: int) -> None:
        self.media = media
        self.coding = coding
        self.size = 0
        self.broken = False
        self._pieces: list[bytes] = []
        self._room = most

    @classmethod
    def of(cls, reply: Reply, most: int) -> Copy:
        """Copy a reply from here on; one that is whole is copied at once."""
        index = reply.headers.index
        copy = cls(index.get(b"content-type", b""), index.get(b"content-encoding", b"identity"), most)
        body = reply.body
        if not isinstance(body, Body):
            copy.feed(bytes(body[:most]))
            copy.size = len(body)
        else:
            body.observe(copy)
        return copy

    @property
    def data(self) -> bytes:
        """What was kept."""
        return b"".join(self._pieces)

    @property
    def whole(self) -> bool:
        """Whether nothing that passed is missing."""
        return self._room > 0 or self.size == sum(map(len, self._pieces))

    def feed(self, data: bytes) -> None:
        """Keep what there is room for."""
        self.size += len(data)
        if self._room > 0:
            self._pieces.append(data if len(data) <= self._room else data[: self._room])
            self._room -= len(data)

    def end(self) -> None:
        """Nothing follows."""

    def fail(self, error: BaseException) -> None:
        """It broke off."""
        self.broken = True
