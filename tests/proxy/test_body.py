import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llmproxy.body import ENDED, FAILED, HOLD_LIMIT, OPEN, Body, Recording

BROKEN = ConnectionError("cut")


class Heard:
    """A sink that writes down what it is told."""

    def __init__(self):
        self.pieces = []
        self.ends = []

    def feed(self, data):
        assert data
        assert not self.ends
        self.pieces.append(data)

    def end(self):
        self.ends.append(None)

    def fail(self, error):
        self.ends.append(error)

    @property
    def data(self):
        return b"".join(self.pieces)


class Switches:
    """A source's switches, counted."""

    def __init__(self):
        self.said = []
        self.body = Body(
            lambda: self.said.append("pause"),
            lambda: self.said.append("resume"),
            lambda: self.said.append("abandon"),
        )


def test_what_came_before_the_first_sink_is_handed_to_it():
    body, sink = Body(), Heard()
    body.feed(b"ab")
    body.feed(b"c")
    body.attach(sink)
    body.feed(b"d")
    body.end()

    assert sink.pieces == [b"abc", b"d"]
    assert sink.ends == [None]
    assert body.size == 4


def test_a_later_sink_gets_what_comes_from_then_on():
    body, first, second = Body(), Heard(), Heard()
    body.attach(first)
    body.feed(b"a")
    body.attach(second)
    body.feed(b"b")

    assert (first.data, second.data) == (b"ab", b"b")


@pytest.mark.parametrize("error", [None, BROKEN])
def test_a_sink_that_comes_after_the_end_is_told_of_it(error):
    body, first, late = Body(), Heard(), Heard()
    body.feed(b"a")
    body.end() if error is None else body.fail(error)
    body.attach(first)
    body.attach(late)

    assert (first.data, late.data) == (b"a", b"")
    assert first.ends == late.ends == [error]


def test_what_comes_after_the_end_is_ignored():
    body, sink = Body(), Heard()
    body.attach(sink)
    body.end()
    body.feed(b"late")
    body.fail(BROKEN)

    assert sink.pieces == []
    assert sink.ends == [None]
    assert body.state == ENDED


def test_an_empty_piece_reaches_nobody():
    body, sink = Body(), Heard()
    body.attach(sink)
    body.feed(b"")

    assert sink.pieces == []


def test_observers_see_each_piece_before_the_sinks():
    order = []

    class Noting(Heard):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def feed(self, data):
            order.append((self.name, data))

    body = Body()
    body.feed(b"held")
    body.observe(Noting("observer"))
    body.attach(Noting("sink"))
    body.feed(b"more")

    assert order == [("observer", b"held"), ("sink", b"held"), ("observer", b"more"), ("sink", b"more")]


def test_an_observer_that_would_miss_pieces_is_refused():
    body = Body()
    body.attach(Heard())

    with pytest.raises(RuntimeError, match="have begun to leave"):
        body.observe(Heard())


def test_observers_of_a_shown_body_see_what_is_held_and_its_end_before_any_sink():
    body, early, late, sink = Body(), Heard(), Heard(), Heard()
    body.observe(early)
    body.feed(b"ab")
    body.show()
    body.observe(late)
    body.feed(b"c")

    assert (early.pieces, late.pieces) == ([b"ab", b"c"], [])

    body.end()

    assert (early.ends, late.ends) == ([None], [])

    body.attach(sink)

    assert (early.pieces, late.pieces, sink.pieces) == ([b"ab", b"c"], [b"abc"], [b"abc"])
    assert early.ends == late.ends == sink.ends == [None]


def test_observers_of_a_shown_body_see_the_rest_like_all_others():
    body, early, sink = Body(), Heard(), Heard()
    body.observe(early)
    body.show()
    body.feed(b"a")
    body.attach(sink)
    body.show()
    body.feed(b"b")
    body.fail(BROKEN)

    assert early.pieces == sink.pieces == [b"a", b"b"]
    assert early.ends == sink.ends == [BROKEN]


def test_a_body_that_is_over_is_shown_with_its_end_and_may_be_spoilt_by_who_sees_it():
    class Judge(Heard):
        def end(self):
            super().end()
            body.spoil(BROKEN)

    body, judge, sink = Body(), Judge(), Heard()
    body.feed(b"a")
    body.end()
    body.observe(judge)
    body.show()
    body.attach(sink)

    assert (judge.ends, sink.ends) == ([None], [BROKEN])


def test_a_source_may_be_let_hold_more():
    source = Switches()
    source.body.hold_limit = 2 * HOLD_LIMIT
    source.body.feed(b"x" * 2 * HOLD_LIMIT)

    assert source.said == []


def test_too_much_held_pauses_the_source_until_a_sink_comes():
    source = Switches()
    source.body.feed(b"x" * HOLD_LIMIT)

    assert source.said == []

    source.body.feed(b"x")
    source.body.attach(Heard())

    assert source.said == ["pause", "resume"]


def test_the_source_rests_while_any_sink_asks_for_it():
    source = Switches()
    one, two = Heard(), Heard()
    source.body.pause(one)
    source.body.pause(two)
    source.body.pause(one)
    source.body.resume(one)

    assert source.said == ["pause"]

    source.body.resume(two)
    source.body.resume(two)

    assert source.said == ["pause", "resume"]


def test_a_sink_that_leaves_takes_its_pause_along():
    source = Switches()
    slow, quick = Heard(), Heard()
    source.body.attach(slow)
    source.body.attach(quick)
    source.body.pause(slow)
    source.body.detach(slow)

    assert source.said == ["pause", "resume"]


def test_the_source_is_abandoned_when_the_last_sink_leaves_though_observers_stay():
    source = Switches()
    one, two = Heard(), Heard()
    source.body.observe(Heard())
    source.body.attach(one)
    source.body.attach(two)
    source.body.detach(one)

    assert source.said == []

    source.body.detach(two)
    source.body.detach(two)

    assert source.said == ["abandon"]


def test_a_body_that_somebody_wants_goes_on():
    wanted, unwanted = Switches(), Switches()
    wanted.body.attach(Heard())
    wanted.body.abandon_unless_wanted()
    unwanted.body.abandon_unless_wanted()

    assert wanted.said == []
    assert unwanted.said == ["abandon"]


def test_a_stranger_that_leaves_changes_nothing():
    source = Switches()
    source.body.detach(Heard())

    assert source.said == []


def test_a_body_that_is_over_is_not_abandoned():
    source, sink = Switches(), Heard()
    source.body.attach(sink)
    source.body.end()
    source.body.detach(sink)
    source.body.pause(sink)
    source.body.resume(sink)

    assert source.said == []


@pytest.mark.parametrize("over", [True, False])
def test_observers_of_a_body_abandoned_before_any_sink_learn_of_its_pieces_and_its_end(over):
    body = Body(abandon=lambda: body.fail(BROKEN))
    observer = Heard()
    body.observe(observer)
    body.feed(b"ab")
    if over:
        body.end()
    body.abandon()

    assert observer.data == b"ab"
    assert observer.ends == [None if over else BROKEN]


def test_a_sink_that_gives_up_on_held_pieces_makes_nobody_hear_the_end_twice():
    class Fussy(Heard):
        def feed(self, data):
            body.detach(self)

    body = Body(abandon=lambda: body.fail(BROKEN))
    observer, fussy = Heard(), Fussy()
    body.observe(observer)
    body.feed(b"a")
    body.attach(fussy)

    assert observer.ends == [BROKEN]
    assert fussy.ends == []


class Interleavings(RuleBasedStateMachine):
    """Any order of events: each sink sees one contiguous run of the bytes, and the source's switches balance."""

    def __init__(self):
        super().__init__()
        self.paused = False
        self.abandoned = 0
        self.sent = b""
        self.here = []
        self.gone = []
        self.waiting = set()
        self.began = False
        self.body = Body(self.shut, self.open, self.give_up)
        self.observer = Heard()
        self.body.observe(self.observer)
        self.early = Heard()
        self.shown = False

    def shut(self):
        assert not self.paused
        self.paused = True

    def open(self):
        assert self.paused
        self.paused = False

    def give_up(self):
        self.abandoned += 1

    @rule(data=st.binary(max_size=4))
    def feed(self, data):
        if self.body.state == OPEN:
            self.sent += data
        self.body.feed(data)

    @rule(big=st.just(b"x" * (HOLD_LIMIT + 1)))
    def flood(self, big):
        self.feed(big)

    @precondition(lambda self: not self.began and not self.shown)
    @rule()
    def show(self):
        self.shown = True
        self.body.observe(self.early)
        self.body.show()

    @rule()
    def attach(self):
        sink = Heard()
        start = len(self.sent) if self.began else 0
        self.began = True
        self.here.append((sink, start))
        self.body.attach(sink)

    @precondition(lambda self: self.here)
    @rule(which=st.integers(0, 9), error=st.booleans())
    def detach(self, which, error):
        sink, start = self.here.pop(which % len(self.here))
        self.waiting.discard(sink)
        self.gone.append((sink, start, len(self.sent)))
        before = self.abandoned
        self.body.detach(sink)

        assert self.abandoned - before == (not self.here and self.body.state == OPEN)

    @precondition(lambda self: self.here)
    @rule(which=st.integers(0, 9))
    def pause(self, which):
        sink, _ = self.here[which % len(self.here)]
        self.waiting.add(sink)
        self.body.pause(sink)

    @precondition(lambda self: self.here)
    @rule(which=st.integers(0, 9))
    def resume(self, which):
        sink, _ = self.here[which % len(self.here)]
        self.waiting.discard(sink)
        self.body.resume(sink)

    @rule(broken=st.booleans())
    def conclude(self, broken):
        self.body.fail(BROKEN) if broken else self.body.end()

    @invariant()
    def each_sink_saw_a_contiguous_piece(self):
        assert all(sink.data == self.sent[start:] for sink, start in self.here)
        assert all(sink.data == self.sent[start:stop] for sink, start, stop in self.gone)
        assert self.observer.data == (self.sent if self.began or self.shown else b"")
        assert self.early.data == (self.sent if self.shown else b"")

    @invariant()
    def each_sink_heard_of_the_end_once(self):
        over = self.body.state != OPEN
        assert all(len(sink.ends) == over for sink, _ in self.here)
        assert len(self.observer.ends) == (over and (self.began or self.shown))
        assert len(self.early.ends) == (over and self.shown)

    @invariant()
    def the_source_rests_exactly_while_somebody_waits(self):
        if self.body.state == OPEN:
            full = not self.began and len(self.sent) > HOLD_LIMIT
            assert self.paused == (bool(self.waiting) or full)


test_any_interleaving_keeps_the_order_of_bytes = Interleavings.TestCase


class Pieces:
    """An async iterator that notes whether it was closed."""

    def __init__(self, *pieces, then=None):
        self._pieces = list(pieces)
        self._then = then
        self.asked = 0
        self.closed = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        self.asked += 1
        if self._pieces:
            return self._pieces.pop(0)
        if self._then is not None:
            await self._then()
        raise StopAsyncIteration

    async def aclose(self):
        self.closed += 1


async def forever():
    await asyncio.Event().wait()


async def fault():
    raise LookupError("source")


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_pumped_body_is_what_its_iterator_gives():
    pieces = Pieces(b"a", b"", b"b")
    data = await Body.pumped(pieces).read(10)
    await settle()

    assert data == b"ab"
    assert pieces.closed == 1


async def test_a_pumped_body_fails_with_its_iterators_fault():
    pieces = Pieces(b"a", then=fault)
    body = Body.pumped(pieces)

    with pytest.raises(LookupError, match="source"):
        await body.read(10)
    await settle()
    assert pieces.closed == 1


async def test_a_pump_asks_for_nothing_while_its_body_rests():
    pieces = Pieces(*[b"a"] * 10)
    body, sink = Body.pumped(pieces), Heard()
    body.attach(sink)
    body.pause(sink)
    await settle()

    assert pieces.asked == 1

    body.resume(sink)
    await settle()

    assert sink.data == b"a" * 10


async def test_a_pump_closes_its_iterator_when_the_body_is_abandoned():
    pieces = Pieces(b"a", then=forever)
    body, sink = Body.pumped(pieces), Heard()
    body.attach(sink)
    await settle()
    body.detach(sink)
    await settle()

    assert pieces.closed == 1
    assert (sink.data, sink.ends) == (b"a", [])
    assert body.state == FAILED


async def test_a_pump_that_is_abandoned_before_it_started_closes_its_iterator_unread():
    pieces = Pieces(b"a")
    body, observer = Body.pumped(pieces), Heard()
    body.observe(observer)
    body.abandon()
    await settle()

    assert (pieces.asked, pieces.closed) == (0, 1)
    assert isinstance(observer.ends[0], ConnectionAbortedError)


async def test_an_iterator_that_cannot_be_closed_is_let_go():
    class Plain:
        def __aiter__(self):
            return self

        async def __anext__(self):
            raise StopAsyncIteration

    assert await Body.pumped(Plain()).read(1) == b""


async def test_a_fault_in_closing_harms_nobody():
    class Stubborn(Pieces):
        async def aclose(self):
            raise RuntimeError

    assert await Body.pumped(Stubborn(b"a")).read(1) == b"a"


@given(st.lists(st.binary(min_size=1, max_size=5)), st.integers(0, 20))
def test_a_recording_is_whole_or_nothing(pieces, limit):
    recording = Recording(limit)
    for piece in pieces:
        recording.feed(piece)

    assert recording.whole() is None

    recording.end()
    data = b"".join(pieces)

    assert recording.whole() == (data if len(data) <= limit else None)


def test_a_recording_of_a_broken_body_is_forgotten_and_says_so():
    told = []
    recording = Recording(10, lambda: told.append(recording.whole()))
    recording.feed(b"a")
    recording.fail(BROKEN)

    assert told == [None]


def test_a_recording_says_when_it_is_complete():
    told = []
    recording = Recording(10, lambda: told.append(recording.whole()))
    recording.feed(b"a")
    recording.end()

    assert told == [b"a"]


def test_an_observer_may_find_at_the_end_that_the_body_is_not_whole():
    body, sink = Body(), Heard()

    class Judge(Heard):
        def end(self):
            super().end()
            body.spoil(BROKEN)

    judge, behind = Judge(), Heard()
    body.observe(judge)
    body.observe(behind)
    body.attach(sink)
    body.feed(b"half")
    body.end()

    assert judge.ends == [None]
    assert behind.ends == sink.ends == [BROKEN]
    assert body.state == FAILED
