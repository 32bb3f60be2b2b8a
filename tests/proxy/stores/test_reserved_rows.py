from llmproxy.stores.memory_reserving import MemoryRows
from llmproxy.stores.reserved_rows import SWEEP, prefix, reserve, sweep
from llmproxy.stores.reserving import SECOND, Claim, Lease, Want


def test_one_sweep_ends_a_bounded_number() -> None:
    rows = MemoryRows()
    for number in range(SWEEP + 1):
        reserve(rows, Claim(b"%d" % number, b"t", (Want(Lease(b"l", 1000), 1),)), 0)
    sweep(rows, 60 * SECOND)

    assert len(rows.helds) == 1
    assert rows.rows[prefix(b"t") + b"l"] == [0, 1]
