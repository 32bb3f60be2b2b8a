from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from llmproxy_calllog.database import Database, Reader
from llmproxy_calllog.filtering import EQUAL, MOST, NAMES, BadFilter, Filter, read_filter, statuses

from .records import NOW, make_record

TENANTS = ["acme", "shop", "acme' OR '1'='1", "", "*"]


def test_a_filter_is_read_from_texts():
    wanted = read_filter(
        {
            "tenant": "acme",
            "slower_than": "1m30s",
            "since": "2h",
            "limit": "5",
            "bodies": "1",
            "status": "5xx",
        },
        NOW,
    )

    assert wanted == Filter(tenant="acme", slower=90, since=NOW - 7200, limit=5, bodies=True, status="5xx")


def test_an_empty_filter_binds_too(database):
    database[0].write([make_record(id="a", key="web"), make_record(id="b")])

    assert database[1].read(read_filter({"tenant": ""}, NOW)) == []
    assert [call["id"] for call in database[1].read(read_filter({"key": ""}, NOW))] == ["b"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22", 1795305600),
        ("2026-11-22T09:30", 1795339800),
        ("2026-11-22T09:30:00+01:00", 1795336200),
        ("2026-11-22T09:30Z", 1795339800),
    ],
)
def test_a_moment_may_be_a_date(text, moment):
    assert read_filter({"since": text}, NOW).since == moment


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"tennant": "a"}, "did you mean 'tenant'"),
        ({"slower": "1"}, "slower_than"),
        ({"status": "6xx"}, "status: a number"),
        ({"limit": "0"}, "limit: from 1"),
        ({"limit": str(MOST + 1)}, "limit: from 1"),
        ({"limit": "-1"}, "a whole number"),
        ({"before": "9" * 30}, "a whole number"),
        ({"since": "yesterday"}, "such as 2h"),
        ({"slower_than": "slow"}, "slower_than: "),
        ({"failed": "yes"}, "true or false"),
        ({"text": " "}, "one word or more"),
        ({"text": ""}, "one word or more"),
        ({"since": ""}, "such as 2h"),
        ({"status": ""}, "status: a number"),
    ],
)
def test_what_is_no_filter_is_told(asked, told):
    with pytest.raises(BadFilter, match=told):
        read_filter(asked, NOW)


def test_a_status_may_be_a_class():
    assert (statuses("429"), statuses("5xx"), statuses("0")) == ([429, 429], [500, 599], [0, 0])


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"status": "429"}, "b"),
        ({"status": "4xx"}, "b"),
        ({"failed": True}, "bc"),
        ({"slower": 1.0}, "c"),
        ({"since": NOW - 5}, "bc"),
        ({"until": NOW - 5}, "a"),
        ({"model": "fast"}, "ac"),
        ({"error": "rate_limited"}, "b"),
        ({"tenant": "acme", "result": "cut"}, "c"),
    ],
)
def test_each_filter_finds_its_own(database, wanted, found):
    database[0].write(
        [
            make_record(id="a", at=NOW - 10, model="fast", result="ok"),
            make_record(id="b", status=429, error="rate_limited", result="refused"),
            make_record(id="c", ms=1500.0, model="fast", result="cut"),
        ]
    )

    assert "".join(sorted(call["id"] for call in database[1].read(Filter(**wanted)))) == found


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    path = tmp_path_factory.mktemp("kept") / "calls.db"
    opened = Database(path, search=True, wall=lambda: NOW)
    reader = Reader(path)
    yield opened, reader
    reader.close()
    opened.close()


@pytest.fixture
def database(kept):
    for table in ("calls", "bodies", "words"):
        kept[0]._db.execute(f"DELETE FROM {table}")
    return kept


WORDS = st.sampled_from(
    ["acme", "shop", "key", "rains", "' OR 1=1 --", '" OR tenant:"shop', "tenant", "NULL", "fast", "%", "\0"]
)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
FILTERS = st.fixed_dictionaries(
    {"tenant": st.sampled_from(TENANTS)},
    optional={
        **dict.fromkeys((name for name in EQUAL if name != "tenant"), WORDS),
        "text": WORDS,
        "status": st.sampled_from(["200", "4xx", "0"]),
        "failed": st.booleans(),
        "since": st.floats(allow_nan=False),
        "until": st.floats(allow_nan=False),
        "slower": st.floats(0, 10),
        "before": NUMBERS,
        "after": NUMBERS,
        "limit": st.integers(1, MOST),
        "bodies": st.booleans(),
    },
)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    path = tmp_path_factory.mktemp("mixed") / "calls.db"
    database = Database(path, search=True, wall=lambda: NOW)
    database.write(
        make_record(
            f"it rains on {tenant}",
            "fast",
            id="key",
            key=key,
            tenant=tenant,
            status=status,
            model="fast",
            team="acme",
        )
        for tenant in TENANTS
        for key in ("acme", "shop", "key")
        for status in (200, 429)
    )
    reader = Reader(path)
    yield reader
    reader.close()
    database.close()


@given(FILTERS)
@hypothesis_settings(max_examples=300, deadline=None)
def test_no_filter_shows_a_tenant_what_is_anothers(mixed, wanted):
    found = mixed.read(Filter(**wanted))

    assert {call["tenant"] for call in found} <= {wanted["tenant"]}
    assert all(call.get("request") in (None, f"it rains on {wanted['tenant']}") for call in found)


def test_each_tenant_finds_all_of_its_own(mixed):
    for tenant in TENANTS:
        assert len(mixed.read(Filter(tenant=tenant))) == 6


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=20), min_size=1))
def test_any_texts_are_a_filter_or_told_to_be_none(asked):
    with suppress(BadFilter):
        assert isinstance(read_filter(asked, NOW), Filter)
