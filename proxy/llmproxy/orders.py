"""What the supervisor and its workers say to each other."""

from __future__ import annotations

from typing import Literal

import msgspec

CONFIG_LIMIT = 64 * 1024 * 1024  # bytes of one message: a configuration may be large


class Build(msgspec.Struct, tag=True, frozen=True):
    """Build a generation from these bytes, beside the one that serves."""

    generation: int
    data: bytes


class Commit(msgspec.Struct, tag=True, frozen=True):
    """Every worker has built this generation: serve it."""

    generation: int


class Abort(msgspec.Struct, tag=True, frozen=True):
    """Some worker could not build this generation: forget it."""

    generation: int


class Drain(msgspec.Struct, tag=True, frozen=True):
    """Finish what is under way and leave. With `handover`, another worker accepts from the same sockets."""

    timeout: float
    handover: bool


class PeerDied(msgspec.Struct, tag=True, frozen=True):
    """Another worker is gone; what it held in shared stores may be freed."""

    slot: int
    pid: int


class ReloadResult(msgspec.Struct, tag=True, frozen=True):
    """How a reload or a roll ended; `reason` says why not, `notes` what still needs a restart."""

    ok: bool
    generation: int
    reason: str = ""
    notes: tuple[str, ...] = ()


class Answer(msgspec.Struct, tag=True, frozen=True):
    """The result of an `Ask`."""

    id: int
    result: ReloadResult


class Ready(msgspec.Struct, tag=True, frozen=True):
    """This worker accepts connections."""


class StartFailed(msgspec.Struct, tag=True, frozen=True):
    """This worker cannot start, and why."""

    reason: str
    code: int


class Built(msgspec.Struct, tag=True, frozen=True):
    """This worker can serve the generation."""

    generation: int
    notes: tuple[str, ...] = ()


class Failed(msgspec.Struct, tag=True, frozen=True):
    """This worker cannot serve the generation, and why."""

    generation: int
    reason: str


class Committed(msgspec.Struct, tag=True, frozen=True):
    """This worker serves the generation."""

    generation: int


Wish = Literal["reload", "roll", "replace"]


class Ask(msgspec.Struct, tag=True, frozen=True):
    """Read the config again; replace all workers one by one; replace me."""

    id: int
    wish: Wish


ToWorker = Build | Commit | Abort | Drain | PeerDied | Answer
ToSupervisor = Ready | StartFailed | Built | Failed | Committed | Ask

to_worker: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
to_supervisor: msgspec.msgpack.Decoder[ToSupervisor] = msgspec.msgpack.Decoder(ToSupervisor)
