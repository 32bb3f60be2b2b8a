from llmproxy.caching.missmemory import MissMemory


class Watch:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_remembered_for_its_time() -> None:
    watch = Watch()
    misses = MissMemory(120, now=watch)
    misses.add(b"k")
    watch.now = 119
    before = b"k" in misses
    watch.now = 120

    assert before
    assert b"k" not in misses
    assert len(misses) == 0


def test_a_key_that_misses_again_is_remembered_anew() -> None:
    watch = Watch()
    misses = MissMemory(120, now=watch)
    misses.add(b"k")
    watch.now = 100
    misses.add(b"k")
    watch.now = 200

    assert b"k" in misses


def test_a_key_that_is_lifted_is_forgotten() -> None:
    misses = MissMemory()
    misses.add(b"k")
    misses.lift(b"k")
    misses.lift(b"never there")

    assert b"k" not in misses


def test_no_more_than_so_many_are_remembered_those_met_last() -> None:
    misses = MissMemory(most=3)
    for key in (b"a", b"b", b"c"):
        misses.add(key)
    met_again = b"a" in misses
    misses.add(b"d")

    assert met_again
    assert [key for key in (b"a", b"b", b"c", b"d") if key in misses] == [b"a", b"c", b"d"]
