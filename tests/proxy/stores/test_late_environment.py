import pytest

from llmproxy.stores.interface import StoreAway
from llmproxy.stores.late_environment import LateEnvironment


@pytest.fixture
def late(tmp_path):
    env = LateEnvironment(tmp_path / "env", 1 << 20, ("rows",))
    yield env
    env.close()


def put(env, key, value):
    env.write(lambda txn: txn.put(key, value, db=env.opened.tables[0]))


def get(env, key):
    with env.opened.begin() as txn:
        return bytes(txn.get(key, db=env.opened.tables[0]) or b"")


def test_nothing_is_opened_before_it_is_used(late, tmp_path):
    assert late.check_readers() == 0
    assert not (tmp_path / "env").exists()


def test_what_was_written_is_there_after_it_was_closed(late):
    put(late, b"a", b"1")
    late.close()

    assert get(late, b"a") == b"1"
    assert late.check_readers() == 0


def test_a_full_map_is_told_as_a_store_that_is_away(late):
    with pytest.raises(StoreAway, match="is full"):
        put(late, b"a", bytes(1 << 21))

    put(late, b"b", b"1")
    assert get(late, b"b") == b"1"
