"""Limits that many workers share, exactly: what is claimed of several at once is taken of all of them, or of none.

Amounts are whole numbers below 2**53, as every engine counts them; times are whole microseconds of the wall clock, which
is the engine's where it has one. A row of numbers stands for each limit; the first says when it can be forgotten.

- A rate leaks: `limit` units in each `period`, up to `burst` at once (the generic cell rate algorithm, ITU-T I.371, in
  whole numbers). What was taken is never given back.
- A window counts amounts by the buckets they were taken in: one bucket of a calendar, or as many as cover the time up
  to now. What an amount came to is set when its reservation is settled.
- A lease counts reservations that are not settled and have not ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from llmproxy.stores.calendars import month_number, month_start

if TYPE_CHECKING:
    from llmproxy.stores.advancing import Advancing as Advancing  # noqa: PLC0414  # plugins have it from here
    from llmproxy.stores.advancing import Kind as Kind  # noqa: PLC0414
    from llmproxy.stores.advancing import Slice as Slice  # noqa: PLC0414
    from llmproxy.stores.sheltering import Shelter, Sheltered

Row: TypeAlias = "list[int]"
Mode = Literal["hard", "soft", "shadow"]

SECOND: Final = 1_000_000
#: No number of seconds to wait: it can never be had.
NEVER: Final = -1
_SHORT: Final = 200
#: Above this engines that count in floating point miscount.
MOST: Final = 2**53

RATE: Final = 0
WINDOW: Final = 1
LEASE: Final = 2


class Standing(NamedTuple):
    """How a limit stands: what is left, and microseconds until it is whole again, or until the claimed amount fits.

    Where it does not fit `ok` is false; `wait` is `NEVER` where it cannot ever.
    """

    ok: bool
    left: int
    wait: int


class Taking(NamedTuple):
    """What taking comes to: how the limit stands then, its row, and the bucket that the amount is in."""

    standing: Standing
    row: Row
    bucket: int = 0


#: As the two are made, without a call of Python's.
_standing: Final[Callable[[tuple[bool, int, int]], Standing]] = partial(tuple.__new__, Standing)
_taking: Final[Callable[[tuple[Standing, Row, int]], Taking]] = partial(tuple.__new__, Taking)


class Rate(NamedTuple):
    """So many units in each `period` (microseconds), `burst` of them at once."""

    key: bytes
    limit: int
    period: int
    burst: int
    kind: int = RATE

    def take(self, row: Row | None, amount: int, now: int) -> Taking:
        """Take of the row as it is; None is a new one."""
        _, limit, period, burst, _ = self
        debt = 0
        if row is not None:
            passed = now - row[2]
            debt = row[1] if passed <= 0 else row[1] - passed * limit
            debt = max(debt, 0)
        room = burst * period
        wanted = debt + amount * period
        full = -(-wanted // limit)
        taken = [now + full + SECOND, wanted, now]
        if wanted <= room:
            return _taking((_standing((True, (room - wanted) // period, full)), taken, 0))
        fits = NEVER if amount > burst else -((room - wanted) // limit)
        return Taking(Standing(ok=False, left=max(0, room - debt) // period, wait=fits), taken)


class Window(NamedTuple):
    """So much in each bucket, or in `keep` of them: `step` microseconds each from `anchor` on; 0 is a calendar month."""

    key: bytes
    limit: int
    step: int
    anchor: int = 0
    keep: int = 1
    kind: int = WINDOW

    def take(self, row: Row | None, amount: int, now: int) -> Taking:
        """Take of the row as it is; None is a new one."""
        bucket = self.bucket(now)
        if self.keep == 1 and (row is None or (row[1] == bucket and len(row) == 3)):
            # As calendars nearly always are: what follows comes to the same.
            total, whole = amount if row is None else row[2] + amount, self.starts(bucket + 1)
            if total <= self.limit:
                standing = _standing((True, self.limit - total, whole - now))
                return _taking((standing, [whole + SECOND, bucket, total], bucket))
        buckets = _live(row, bucket - self.keep)
        used = sum(buckets[1::2])
        ok = used + amount <= self.limit
        whole = self.starts(bucket + self.keep)
        wait = whole - now if ok else self._wait(buckets, used + amount, now)
        left = max(0, self.limit - used - (amount if ok else 0))
        _add(buckets, bucket, amount)
        return Taking(Standing(ok, left, wait), [whole + SECOND, *buckets], bucket)

    def bucket(self, now: int) -> int:
        """Return the number of the bucket that is filled now."""
        return (now - self.anchor) // self.step if self.step else month_number(now)

    def starts(self, bucket: int) -> int:
        """Return when a bucket begins."""
        return bucket * self.step + self.anchor if self.step else month_start(bucket)

    def _wait(self, buckets: Row, wanted: int, now: int) -> int:
        for bucket, amount in sorted(zip(buckets[::2], buckets[1::2], strict=True)):
            wanted -= amount
            if wanted <= self.limit:
                return self.starts(bucket + self.keep) - now
        return NEVER


class Lease(NamedTuple):
    """So many at the same time."""

    key: bytes
    limit: int
    kind: int = LEASE

    def take(self, row: Row | None, amount: int, now: int) -> Taking:
        """Take of the row as it is; None is a new one."""
        held = 0 if row is None else row[1]
        total = held + amount
        left = self.limit - total
        if left >= 0:
            return _taking((_standing((True, left, 0)), [0, total], 0))
        return Taking(Standing(ok=False, left=max(0, self.limit - held), wait=SECOND), [0, total])


Limit: TypeAlias = Rate | Window | Lease


class Want(NamedTuple):
    """So much of one limit. In shadow it is taken though it does not fit; hard ones need the engine itself."""

    limit: Limit
    amount: int
    mode: Mode = "hard"


class Claim(NamedTuple):
    """What one call needs, of different limits, under a name of its own; to claim it again takes nothing more.

    `tag` is what its limits have in common (a tenant): an engine keeps them together. `tag`, `id` and a limit's key are
    names as `short` makes them, none empty. What nobody settles or renews within `ttl` microseconds ends: leases are
    given back, amounts stay as they were taken if `keeps`, else go back too.
    """

    id: bytes
    tag: bytes
    wants: tuple[Want, ...]
    ttl: int = 60 * SECOND
    keeps: bool = True

    @property
    def lasting(self) -> bool:
        """Whether there is anything to settle."""
        for want in self.wants:  # noqa: SIM110  # a generator costs more than all that is asked
            if want.limit.kind != RATE:
                return True
        return False


class Verdict(NamedTuple):
    """Whether all was taken, and how each limit stands, in the order of the claim."""

    granted: bool
    standings: tuple[Standing, ...]


class Reservations(Protocol):
    """Takes claims and settles them; one step each, however many workers do so at once."""

    async def reserve(self, claim: Claim) -> Verdict:
        """Take all that is claimed, or nothing.

        Raises:
            StoreAway: nothing was taken, or it is not known; what was ends by itself.
        """

    async def settle(self, claim: Claim, actual: Sequence[int]) -> bool:
        """Set what each want came to, in the claim's order, more than was taken included; give leases back.

        Return False, and do nothing, where that was done before or the reservation has ended.

        Raises:
            StoreAway: it is not known whether it was done; to do it again does no harm.
        """

    async def renew(self, claims: Sequence[Claim]) -> int:
        """Have reservations end their `ttl` from now on, and not before; return how many were still there."""


@runtime_checkable
class LocalReservations(Reservations, Protocol):
    """Limits within this host, settled without a loop in between."""

    def settle_nowait(self, claim: Claim, actual: Sequence[int]) -> bool:
        """Settle here and now; see `settle`."""


def kind_of(tag: bytes, wants: Sequence[Want]) -> tuple[bytes, ...]:
    """Return what claims of the same limits have in common."""
    return (tag, *[want.limit.key for want in wants])


def in_advance(kept: Reservations) -> Advancing | None:
    """Return limits of which this process takes in advance; None where the engine does not let it.

    Each claim's name must come once.
    """
    from llmproxy.stores.advancing import Advanceable, Advancing  # noqa: PLC0415  # it uses what stands here

    return Advancing(kept) if isinstance(kept, Advanceable) else None


def sheltered(kept: Reservations, share: int, told: Callable[[Shelter], None]) -> Sheltered:
    """Return limits of which the soft ones go on with a share of their own, one in so many, while the store is away.

    `told` hears for each claim what becomes of it then.
    """
    from llmproxy.stores.sheltering import Sheltered  # noqa: PLC0415  # it uses what stands here

    return Sheltered(kept, share, told)


def reservations_of(store: object) -> Reservations | None:
    """Return what keeps limits in a store's engine, behind a tier at hand and a seal; None where nothing does."""
    far = getattr(store, "far", store)
    return getattr(getattr(far, "inner", far), "reservations", None)


def short(name: bytes) -> bytes:
    """Return a name that every engine takes: a long one keeps its beginning and gets a digest."""
    if len(name) < _SHORT:
        return name
    return name[: _SHORT - 32] + blake2b(name, digest_size=32).digest()


def settle_bucket(row: Row, bucket: int, by: int) -> None:
    """Change what was taken in a bucket, if it still counts."""
    for place in range(1, len(row), 2):
        if row[place] == bucket:
            row[place + 1] = max(0, row[place + 1] + by)


def _live(row: Row | None, oldest: int) -> Row:
    if row is None:
        return []
    if len(row) == 3:  # one bucket, as calendars have
        return row[1:] if row[1] > oldest else []
    return [number for at in range(1, len(row), 2) if row[at] > oldest for number in row[at : at + 2]]


def _add(buckets: Row, bucket: int, amount: int) -> None:
    for place in range(0, len(buckets), 2):
        if buckets[place] == bucket:
            buckets[place + 1] += amount
            return
    buckets += (bucket, amount)
