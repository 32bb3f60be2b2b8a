import csv
import io

import orjson
import pytest

from llmproxy_ledger.entries import COLUMNS
from llmproxy_ledger.reporting import BadDay, Period, moment, report, rows, written

from .test_books import settled

DAY = 86_400.0


@pytest.fixture
def books(empty_books):
    told = [
        settled("a", 5, tenant="one", at=1 * DAY),
        settled("b", 6, tenant="one", at=2 * DAY, model="other"),
        settled("c", 7, tenant="two", at=2 * DAY, prices="unknown", cost=0),
        settled("d", 0, tenant="two", at=3 * DAY, state="unknown"),
    ]
    empty_books.post(("j", row) for row in told)
    return empty_books


def test_sums_are_made_by_what_is_asked_for(books):
    sums = list(report(books, ["tenant"], Period()))

    assert [(each["tenant"], each["rows"], each["cost"], each["output"]) for each in sums] == [
        ("one", 2, 124, 11),
        ("two", 2, 7, 7),
    ]
    assert [(each["unpriced"], each["unknown"]) for each in sums] == [(0, 0), (1, 1)]


def test_several_groups_make_one_sum_each(books):
    sums = list(report(books, ["day", "model"], Period()))

    assert [(each["day"], each["model"], each["cost"]) for each in sums] == [
        ("1970-01-03", "other", 67),
        ("1970-01-02", "gpt", 57),
        ("1970-01-04", "gpt", 7),
        ("1970-01-03", "gpt", 0),
    ]


def test_months_are_summed_and_asked_for(books):
    sums = list(report(books, ["month", "upstream_model"], Period(moment("1970-01"), moment("1970-02"))))

    assert [(each["month"], each["rows"]) for each in sums] == [("1970-01", 4)]
    assert sums[0]["upstream_model"] == ""


def test_an_instance_is_told_where_several_share_a_database(books):
    assert [each["instance"] in ("", "one") for each in report(books, ["instance"], Period())] == [True]


def test_without_groups_there_is_one_sum_or_none(books):
    assert [each["rows"] for each in report(books, [], Period())] == [4]
    assert list(report(books, [], Period(tenant="nobody"))) == []


@pytest.mark.parametrize(
    ("period", "found"),
    [
        (Period(), "abcd"),
        (Period(since=2 * DAY), "bcd"),
        (Period(until=2 * DAY), "a"),
        (Period(2 * DAY, 3 * DAY, "one"), "b"),
        (Period(tenant="' OR 1 --"), ""),
    ],
)
def test_a_period_and_a_tenant_bound_what_is_seen(books, period, found):
    assert "".join(row["entry"] for row in rows(books, period)) == found


def test_rows_are_written_as_csv_and_as_json(books):
    lines = list(written(rows(books, Period()), "csv"))
    told = [orjson.loads(line) for line in written(rows(books, Period()), "json")]

    assert next(csv.reader(lines)) == list(COLUMNS)
    assert (
        [line["entry"] for line in csv.DictReader(lines)] == [each["entry"] for each in told] == list("abcd")
    )


def test_no_name_becomes_a_formula(books):
    books.post([("j", settled("e", model="=1+1", at=9 * DAY))])
    line = list(written(rows(books, Period(since=9 * DAY)), "csv"))[-1]

    assert ",'=1+1," in line


def test_no_name_makes_a_row_of_its_own(books):
    books.post([("j", settled("e", model="a\nforged,1\rx", at=9 * DAY))])
    told = list(
        csv.DictReader(io.StringIO("\n".join(written(rows(books, Period(since=9 * DAY)), "csv")), newline=""))
    )

    assert [row["model"] for row in told] == ["a\nforged,1\rx"]


def test_no_name_does_anything_to_a_terminal(books):
    books.post([("j", settled("e", model="a\x1b]0;b\n", at=9 * DAY))])
    table = list(written(report(books, ["model"], Period(since=9 * DAY)), "text"))

    assert table[1].startswith("a?]0;b?")


def test_a_table_for_people_has_dollars(books):
    head, first, *_ = written(report(books, ["tenant"], Period()), "text")

    assert head.split()[:2] == ["tenant", "rows"]
    assert first.split()[0] == "one"
    assert first.endswith("$0.000124")
    assert list(written([], "text")) == []


def test_a_day_begins_at_midnight_utc():
    assert moment("1970-01-02") == DAY
    assert moment(None) is None
    with pytest.raises(BadDay, match="'soon' is no day"):
        moment("soon")
