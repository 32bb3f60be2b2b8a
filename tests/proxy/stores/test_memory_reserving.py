import pytest

from llmproxy.stores import StoreAway
from llmproxy.stores.memory_reserving import MemoryReservations
from llmproxy.stores.reserving import SECOND, Claim, Lease, Rate, Want, Window


async def test_a_full_memory_refuses_and_forgets_nothing_that_lives() -> None:
    now = 0
    kept = MemoryReservations("memory://", most=3, clock=lambda: now)
    for number in range(3):
        await kept.reserve(Claim(b"", b"t", (Want(Rate(b"%d" % number, 1, SECOND, 1), 1),)))
    with pytest.raises(StoreAway, match="holds 3"):
        await kept.reserve(Claim(b"x", b"t", (Want(Lease(b"l", 1), 1),)))

    now = 10 * SECOND

    assert (await kept.reserve(Claim(b"x", b"t", (Want(Lease(b"l", 1), 1),)))).granted


async def test_what_was_settled_leaves_nothing_until_its_time() -> None:
    now = 0
    kept = MemoryReservations("memory://", clock=lambda: now)
    wants = Want(Window(b"w", 10**6, SECOND * 3600), 1), Want(Lease(b"l", 2), 1)
    lasting = Claim(b"lasting", b"t", wants)
    await kept.reserve(lasting)
    for number in range(20_000):
        claim = Claim(b"%d" % number, b"t", wants)
        await kept.reserve(claim)
        kept.settle_nowait(claim, [1, 1])
    marks = len(kept._rows._marks)
    now = 61 * SECOND
    full = await kept.reserve(Claim(b"next", b"t", (Want(Lease(b"l", 1), 1),)))

    assert marks < 5000
    assert full.granted
    assert not kept.settle_nowait(lasting, [1, 1])
