from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from llmproxy.stores.calendars import month_number, month_start


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_a_time_is_in_the_month_that_the_calendar_says(at: datetime) -> None:
    month = month_number(int(at.timestamp()) * 1_000_000)

    assert month == (at.year - 1970) * 12 + at.month - 1
    assert month_start(month) == int(datetime(at.year, at.month, 1, tzinfo=UTC).timestamp()) * 1_000_000
