import os

from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Parts, Rates, Settlement, Usage
from llmproxy.providers.prices import PartRates
from llmproxy_ledger.records import Begun, Intent, PriceList, Row, Whose, Written, frame, read

COUNT = st.integers(0, 2**50)
ROWS = st.builds(
    Settlement,
    id=st.text(max_size=20),
    exchange=st.text(max_size=20),
    at=st.floats(0, 1e10),
    tenant=st.text(max_size=20),
    usage=st.builds(
        Usage, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT, st.none() | st.builds(Parts, output_image=COUNT)
    ),
    cost=COUNT,
    state=st.sampled_from(["exact", "partial", "estimated", "free", "unknown"]),
)
PARTS = st.none() | st.builds(PartRates, output_image=st.none() | COUNT)
RATES = st.builds(Rates, **dict.fromkeys(Rates.__struct_fields__, COUNT) | {"parts": PARTS})
SHORT = st.text(max_size=9)
BEGUN = st.builds(
    Begun, *[SHORT] * 3, st.floats(0, 1e10), st.builds(Whose, *[SHORT] * 9), SHORT, COUNT, COUNT, COUNT
)
RECORDS = st.one_of(
    BEGUN,
    st.builds(Written, st.lists(SHORT | COUNT | st.floats(0, 1e10), max_size=9).map(tuple)),
    st.builds(Row, st.text(max_size=9), ROWS, st.sampled_from(["told", "seen"])),
    st.builds(Intent, st.text(max_size=9), ROWS, COUNT, COUNT),
    st.builds(PriceList, st.text(max_size=9), st.lists(RATES, max_size=2).map(tuple)),
)


@given(st.lists(RECORDS, max_size=5))
def test_records_come_back_as_they_were_framed(records):
    data = b"".join(map(frame, records))

    assert [reading.record for reading in read(data)] == records


@given(BEGUN)
def test_a_call_is_told_as_others_are(begun):
    told = begun.intent.row

    assert (begun.intent.entry, begun.intent.size, begun.intent.most) == (begun.entry, begun.size, begun.most)
    assert (told.id, told.exchange, told.at, told.prices) == (
        begun.id,
        begun.exchange,
        begun.at,
        begun.prices,
    )
    assert (told.reserved, told.state, told.usage) == (begun.reserved, "unknown", Usage())
    assert {name: getattr(told, name) for name in Whose._fields} == begun.whose._asdict()


@given(st.lists(RECORDS, min_size=1, max_size=4), st.data())
def test_of_a_journal_that_was_cut_the_whole_records_are_read(records, data):
    frames = [*map(frame, records)]
    whole = b"".join(frames)
    cut = data.draw(st.integers(0, len(whole)))
    kept, size = 0, 0
    while kept < len(frames) and size + len(frames[kept]) <= cut:
        size += len(frames[kept])
        kept += 1
    found = list(read(whole[:cut]))

    assert [reading.record for reading in found] == records[:kept]
    assert (found[-1].end if found else 0) == size


@given(RECORDS, st.data())
def test_no_changed_byte_is_taken_for_a_record(record, data):
    spoilt = bytearray(frame(record))
    at = data.draw(st.integers(0, len(spoilt) - 1))
    spoilt[at] ^= data.draw(st.integers(1, 255))

    assert list(read(bytes(spoilt))) == []


def test_what_is_no_journal_holds_nothing():
    assert list(read(os.urandom(4096))) == []
