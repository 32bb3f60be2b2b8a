from llmproxy_quota.course import Course


def test_an_exchange_begins_with_nothing_taken() -> None:
    one, other = Course(), Course()
    one.late[1] = None  # type: ignore[assignment]

    assert (other.early, other.late, other.bound, other.gone) == (None, {}, None, False)
