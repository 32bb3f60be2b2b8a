"""Which dialect a caller speaks, told by path and header names. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llmproxy.dialects import ClientFace
    from llmproxy.messages import Headers

#: Paths whose answer is remembered, and how long they may be: callers decide what stands there.
_REMEMBERED: Final = 1024
_LONGEST: Final = 256

#: Claims on one path: the header that each needs (b"" for none) and the face, best first.
_Candidates = tuple[tuple[bytes, "ClientFace"], ...]


class Faces:
    """Chooses the client face of a request: the longest claimed path, else a marker header."""

    def __init__(self, faces: Mapping[str, ClientFace]) -> None:
        claims = [(claim, face) for face in faces.values() for claim in face.claims]
        claims.sort(key=lambda pair: (-len(pair[0].path.replace("*", "")), not pair[0].header))
        self._claims = [
            (claim.path.split("*"), claim.header.lower().encode(), face) for claim, face in claims
        ]
        self._markers = [
            (marker.lower().encode(), face) for face in faces.values() for marker in face.markers
        ]
        self._known: dict[str, _Candidates] = {}

    def choose(
        self, path: str, headers: Headers | None, default: ClientFace | None = None
    ) -> ClientFace | None:
        """Return the face of the best claim on the path, else of a marker header, else `default`."""
        for header, face in self._candidates(path):
            if not header or (headers is not None and header in headers.index):
                return face
        if headers is not None:
            for marker, face in self._markers:
                if marker in headers.index:
                    return face
        return default

    def pinned(self, path: str) -> ClientFace | None:
        """Return the face of a path that no header can change, or None."""
        candidates = self._candidates(path)
        return candidates[0][1] if candidates and not candidates[0][0] else None

    def _candidates(self, path: str) -> _Candidates:
        known = self._known.get(path)
        if known is None:
            known = tuple((header, face) for pieces, header, face in self._claims if _claimed(path, pieces))
            if len(self._known) < _REMEMBERED and len(path) <= _LONGEST:
                self._known[path] = known
        return known


def _claimed(path: str, pieces: list[str]) -> bool:
    """Whether a path ends in what is claimed, stars between the pieces: it counts wherever it is mounted.

    Each piece is taken where it first stands, so that no path takes longer than its length.
    """
    if path[:1] != "/":
        return False
    at = 0
    for piece in pieces[:-1]:
        at = path.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return path.endswith(pieces[-1]) and len(path) - len(pieces[-1]) >= at
