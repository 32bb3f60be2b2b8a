import mmap

from llmproxy.caching.landings import SIZE, Landings, place_of


def test_other_keys_and_other_names_have_other_places() -> None:
    places = {place_of(name, key) for name in ("a", "ab") for key in (b"k", b"bk", b"")}

    assert len(places) == 6
    assert all(0 <= place < 1 << 62 for place in places)
    assert place_of("a", b"k") == place_of("a", b"k")


def test_nothing_has_landed_since_one_came_who_came_after_it() -> None:
    landings = Landings(now=lambda: 5.0)
    landings.stamp(7)

    assert landings.since(7, 4.0)
    assert landings.since(7, 5.0)
    assert not landings.since(7, 5.1)
    assert not landings.since(8, 4.0)


def test_a_place_may_be_any_number() -> None:
    landings = Landings(now=lambda: 5.0)
    landings.stamp(hash(b"k"))
    landings.stamp(-(1 << 62))

    assert landings.since(-(1 << 62), 5.0)


def test_workers_see_each_others_landings() -> None:
    with mmap.mmap(-1, SIZE) as memory:
        one, two = Landings(memory, lambda: 5.0), Landings(memory)
        one.stamp(7)
        seen = two.since(7, 5.0)
        del one, two

    assert seen
