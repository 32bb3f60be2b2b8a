import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llmproxy.body import ENDED, FAILED, OPEN, Body
from llmproxy.caching.tape import Reader, Spool, Tape

BROKEN = ConnectionError("cut")


class Owner:
    """Writes down what a tape tells it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.tape: Tape

    def begun(self) -> None:
        self.said.append("begun")

    def outgrown(self) -> None:
        self.said.append("outgrown")

    def over(self, error: BaseException | None) -> None:
        self.said.append("over" if error is None else "broke")

    def deserted(self) -> None:
        self.said.append("deserted")
        self.tape.drop()


class Heard:
    """A sink that writes down what it is told, and may pause, go on or leave at any piece."""

    def __init__(self, body: Body, acts: str = "") -> None:
        self.body = body
        self.acts = list(acts)
        self.data = b""
        self.ends: list[BaseException | None] = []
        self.inside = False

    def feed(self, data: bytes) -> None:
        assert data
        assert not self.ends
        assert not self.inside
        self.inside = True
        self.data += data
        act = self.acts.pop(0) if self.acts else "."
        if act in "pb":
            self.body.pause(self)
        if act == "b":
            self.body.resume(self)
        if act == "l":
            self.body.detach(self)
        self.inside = False

    def end(self) -> None:
        assert not self.ends
        self.ends.append(None)

    def fail(self, error: BaseException) -> None:
        assert not self.ends
        self.ends.append(error)


class Recorded:
    """A source, its tape, and the source's switches."""

    def __init__(self, limit: int = 1 << 20, window: int = 10, spool: Spool | None = None) -> None:
        self.switched: list[str] = []
        self.owner = Owner()
        self.spool = spool or Spool()
        self.source = Body(self.pause, self.resume, self.abandon)
        self.tape = self.owner.tape = Tape(self.source, self.owner, self.spool, limit, window)

    def pause(self) -> None:
        self.switched.append("pause")

    def resume(self) -> None:
        self.switched.append("resume")

    def abandon(self) -> None:
        self.switched.append("abandon")
        self.source.fail(ConnectionAbortedError("given up"))

    def join(self, acts: str = "") -> Heard:
        body = self.tape.reader()
        heard = Heard(body, acts)
        body.attach(heard)
        return heard


@pytest.fixture
def recorded() -> Recorded:
    made = Recorded()
    made.tape.record()
    return made


def test_a_reader_gets_what_came_and_what_comes(recorded: Recorded) -> None:
    recorded.source.feed(b"one ")
    first = recorded.join()
    recorded.source.feed(b"two ")
    second = recorded.join()
    recorded.source.feed(b"three")
    recorded.source.end()
    late = recorded.join()

    assert first.data == second.data == late.data == b"one two three"
    assert first.ends == second.ends == late.ends == [None]
    assert recorded.tape.recorded() == b"one two three"
    assert recorded.owner.said == ["begun", "over"]


def test_what_the_source_held_is_on_the_tape() -> None:
    made = Recorded()
    reader = made.tape.reader()
    made.source.feed(b"held")
    made.source.end()
    made.tape.record()
    heard = Heard(reader)
    reader.attach(heard)

    assert (heard.data, heard.ends) == (b"held", [None])
    assert made.owner.said == ["begun", "over"]


def test_a_body_without_a_piece_has_an_end(recorded: Recorded) -> None:
    early = recorded.join()
    waiting = recorded.tape.reader()
    recorded.source.end()
    late = recorded.join()
    told = Heard(waiting)
    waiting.attach(told)

    assert early.ends == late.ends == told.ends == [None]
    assert recorded.tape.recorded() == b""


def test_all_readers_are_told_what_it_broke_off_with(recorded: Recorded) -> None:
    live, slow, unread = recorded.join(), recorded.join("p"), recorded.tape.reader()
    recorded.source.feed(b"one")
    recorded.source.feed(b"two")
    recorded.source.fail(BROKEN)
    slow.body.resume(slow)
    late = Heard(unread)
    unread.attach(late)

    assert [each.data for each in (live, slow, late)] == [b"onetwo"] * 3
    assert [each.ends for each in (live, slow, late)] == [[BROKEN]] * 3
    assert recorded.tape.recorded() is None


def test_a_slow_caller_slows_nobody(recorded: Recorded) -> None:
    slow, quick = recorded.join("p"), recorded.join()
    for _ in range(100):
        recorded.source.feed(b"x" * 100)
    recorded.source.end()
    at_once = (slow.data, len(quick.data), quick.ends)
    slow.body.resume(slow)

    assert at_once == (b"x" * 100, 10_000, [None])
    assert (slow.data, slow.ends) == (quick.data, [None])
    assert recorded.switched == []


def test_who_is_far_behind_gets_many_pieces_at_once(recorded: Recorded) -> None:
    sizes: list[int] = []

    class Sizes(Heard):
        def feed(self, data: bytes) -> None:
            sizes.append(len(data))

    for _ in range(300):
        recorded.source.feed(b"x" * 1000)
    reader = recorded.tape.reader()
    reader.attach(Sizes(reader))

    assert sum(sizes) == 300_000
    assert len(sizes) == 5


def test_observers_of_a_reader_see_every_piece(recorded: Recorded) -> None:
    recorded.source.feed(b"one ")
    reader = recorded.tape.reader()
    observer, sink = Heard(reader), Heard(reader)
    reader.observe(observer)
    reader.attach(sink)
    recorded.source.feed(b"two")
    recorded.source.end()

    assert observer.data == sink.data == b"one two"
    assert observer.ends == sink.ends == [None]
    assert reader.size == 7


def test_who_judges_the_source_judges_its_readers_too(recorded: Recorded) -> None:
    class Tap:
        first_output = False

    recorded.source.tap = Tap()

    assert recorded.tape.reader().tap is recorded.source.tap


def test_the_source_is_given_up_when_the_last_reader_leaves(recorded: Recorded) -> None:
    first, second = recorded.join(), recorded.tape.reader()
    recorded.source.feed(b"one")
    first.body.detach(first)
    before = list(recorded.switched)
    second.abandon()

    assert (before, recorded.switched) == ([], ["abandon"])
    assert recorded.owner.said == ["begun", "deserted"]
    assert second.state == FAILED


def test_a_reader_that_has_left_gets_nothing_more(recorded: Recorded) -> None:
    stays, leaves = recorded.join(), recorded.join("l")
    recorded.source.feed(b"one ")
    recorded.source.feed(b"two")
    recorded.source.end()

    assert (stays.data, leaves.data) == (b"one two", b"one ")
    assert leaves.ends == []


def test_a_tape_that_is_over_cannot_be_deserted(recorded: Recorded) -> None:
    reader = recorded.tape.reader()
    recorded.source.feed(b"one")
    recorded.source.end()
    reader.abandon()

    assert recorded.owner.said == ["begun", "over"]
    assert recorded.switched == []


def test_a_tape_that_outgrows_its_limit_is_a_window() -> None:
    made = Recorded(limit=25, window=20)
    made.tape.record()
    quick, slow = made.join(), made.join("p")
    for _ in range(4):
        made.source.feed(b"x" * 10)
    held = (made.tape.size, list(made.switched))
    slow.body.resume(slow)
    let_go = (made.tape.size, list(made.switched))
    made.source.end()

    assert held == (30, ["pause"])
    assert let_go == (0, ["pause", "resume"])
    assert quick.data == slow.data == b"x" * 40
    assert made.owner.said == ["begun", "outgrown", "over"]
    assert made.tape.recorded() is None


def test_a_window_waits_no_longer_for_a_reader_that_has_left() -> None:
    made = Recorded(limit=25, window=20)
    made.tape.record()
    quick, slow = made.join(), made.join("p")
    for _ in range(4):
        made.source.feed(b"x" * 10)
    slow.body.detach(slow)

    assert made.switched == ["pause", "resume"]
    assert made.tape.size == 0
    assert len(quick.data) == 40


def test_tapes_that_are_too_large_together_are_windows() -> None:
    spool = Spool(30)
    one, two = Recorded(spool=spool), Recorded(spool=spool)
    for made in (one, two):
        made.tape.record()
        made.join()
        made.source.feed(b"x" * 20)

    assert (one.owner.said, two.owner.said) == (["begun"], ["begun", "outgrown"])
    assert spool.used == 20


def test_what_a_closed_tape_holds_goes_with_its_last_reader(recorded: Recorded) -> None:
    slow = recorded.join("p")
    recorded.source.feed(b"one")
    recorded.source.feed(b"two")
    recorded.source.end()
    recorded.tape.close()
    before = recorded.spool.used
    slow.body.resume(slow)

    assert (before, recorded.spool.used) == (6, 0)
    assert slow.data == b"onetwo"


def test_a_tape_that_is_closed_early_holds_only_what_its_readers_need(recorded: Recorded) -> None:
    quick, slow = recorded.join(), recorded.join("p")
    recorded.source.feed(b"one")
    recorded.source.feed(b"two")
    recorded.tape.close()
    recorded.source.feed(b"x" * 20)
    paused = list(recorded.switched)
    slow.body.resume(slow)
    recorded.source.end()

    assert paused == ["pause"]
    assert quick.data == slow.data == b"onetwo" + b"x" * 20
    assert recorded.spool.used == 0


def test_a_tape_that_is_forgotten_takes_no_room() -> None:
    spool = Spool()
    made = Recorded(spool=spool)
    made.tape.record()
    made.source.feed(b"one")
    made.source.end()
    before = spool.used
    del made
    gc.collect()

    assert (before, spool.used) == (3, 0)


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=12), max_size=30),
    readers=st.lists(st.tuples(st.integers(0, 30), st.text("..pbl", max_size=8)), min_size=1, max_size=5),
    broken=st.booleans(),
    limit=st.sampled_from([1 << 20, 40]),
)
def test_every_reader_gets_exactly_the_bytes_of_the_source(
    pieces: list[bytes], readers: list[tuple[int, str]], broken: bool, limit: int
) -> None:
    made = Recorded(limit)
    anchor = made.tape.reader()  # nobody else's leaving ends the source
    made.tape.record()
    heard: list[Heard] = []
    for number, piece in enumerate([*pieces, b""]):
        if made.tape.whole:
            heard += [made.join(acts) for joins, acts in readers if joins == number]
        made.source.feed(piece)
    made.source.fail(BROKEN) if broken else made.source.end()
    last = Heard(anchor)
    anchor.attach(last)
    for _ in range(10):
        for each in heard:
            each.body.resume(each)
    whole = b"".join(pieces)

    assert (last.data, last.ends) == (whole, [BROKEN if broken else None])
    for each in heard:
        left = bool(each.body.state == FAILED and each.body.error is not BROKEN)
        assert each.data == whole or (left and whole.startswith(each.data))
        assert each.ends == ([] if left else [BROKEN if broken else None])


class Readers(RuleBasedStateMachine):
    """A tape and its readers, in any order of events."""

    def __init__(self) -> None:
        super().__init__()
        self.made = Recorded(limit=60, window=15)
        self.anchor = self.made.tape.reader()
        self.made.tape.record()
        self.sent = b""
        self.heard: list[Heard] = []

    @rule(piece=st.binary(min_size=1, max_size=10))
    def comes(self, piece: bytes) -> None:
        if self.made.source.state == OPEN:
            self.sent += piece
        self.made.source.feed(piece)

    @precondition(lambda self: self.made.tape.whole)
    @rule(acts=st.text("..pb", max_size=4))
    def joins(self, acts: str) -> None:
        self.heard.append(self.made.join(acts))

    @precondition(lambda self: self.heard)
    @rule(data=st.data(), act=st.sampled_from(["pause", "resume", "leave"]))
    def acts(self, data: st.DataObject, act: str) -> None:
        each = data.draw(st.sampled_from(self.heard))
        if act == "pause":
            each.body.pause(each)
        elif act == "resume":
            each.body.resume(each)
        else:
            each.body.detach(each)
            self.heard.remove(each)

    @rule()
    def ends(self) -> None:
        self.made.source.end()

    @rule()
    def breaks(self) -> None:
        self.made.source.fail(BROKEN)

    @invariant()
    def nobody_has_bytes_that_were_not_sent(self) -> None:
        for each in self.heard:
            assert self.sent.startswith(each.data)
            assert not each.ends or each.data == self.sent

    @invariant()
    def who_takes_everything_has_everything(self) -> None:
        for each in self.heard:
            assert isinstance(each.body, Reader)
            if not each.body.held:
                assert each.data == self.sent
                assert bool(each.ends) == (self.made.source.state != OPEN)

    @invariant()
    def the_budget_is_what_is_held(self) -> None:
        assert self.made.spool.used == self.made.tape.size
        if self.made.tape.whole and self.made.source.state in {OPEN, ENDED}:
            assert self.made.tape.size == len(self.sent)


TestReaders = Readers.TestCase
