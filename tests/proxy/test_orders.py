import msgspec
import pytest

from llmproxy import orders


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        (orders.to_worker, orders.Build(2, b"\x00bytes")),
        (orders.to_worker, orders.Commit(2)),
        (orders.to_worker, orders.Abort(2)),
        (orders.to_worker, orders.Drain(1.5, handover=True)),
        (orders.to_worker, orders.PeerDied(1, 4242)),
        (orders.to_worker, orders.Answer(7, orders.ReloadResult(False, 1, "why not", ("a note",)))),
        (orders.to_supervisor, orders.Ready()),
        (orders.to_supervisor, orders.StartFailed("why", 78)),
        (orders.to_supervisor, orders.Built(2, ("a note",))),
        (orders.to_supervisor, orders.Failed(2, "why")),
        (orders.to_supervisor, orders.Committed(2)),
        (orders.to_supervisor, orders.Ask(7, "roll")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_order_survives_the_wire(decoder, message):
    assert decoder.decode(msgspec.msgpack.encode(message)) == message
