import pytest

from llmproxy.stores import StoreAway
from llmproxy.stores.memory_reserving import MemoryReservations
from llmproxy.stores.reserving import SECOND, Claim, Lease, Rate, Want


async def test_a_full_memory_refuses_and_forgets_nothing_that_lives() -> None:
    now = 0
    kept = MemoryReservations("memory://", most=3, clock=lambda: now)
    for number in range(3):
        await kept.reserve(Claim(b"", b"t", (Want(Rate(b"%d" % number, 1, SECOND, 1), 1),)))
    with pytest.raises(StoreAway, match="holds 3"):
        await kept.reserve(Claim(b"x", b"t", (Want(Lease(b"l", 1), 1),)))

    now = 10 * SECOND

    assert (await kept.reserve(Claim(b"x", b"t", (Want(Lease(b"l", 1), 1),)))).granted
