from llmproxy_calllog.call import COLUMNS, told

from .records import make_call


def test_every_field_is_a_column():
    assert COLUMNS[:2] == ("at", "id")
    assert len(COLUMNS) == len(make_call())


def test_what_is_empty_is_not_told():
    shown = told(make_call()._asdict())

    assert shown.keys() == {
        "at",
        "id",
        "tenant",
        "route",
        "streamed",
        "status",
        "tries",
        "bytes_in",
        "bytes_out",
        "ms",
    }


def test_attempts_are_told_as_a_list():
    shown = told(make_call(attempts='[{"place":"main"}]', streamed=1)._asdict())

    assert (shown["attempts"], shown["streamed"]) == ([{"place": "main"}], True)


def test_a_cost_of_nothing_is_told():
    assert told(make_call(cost=0)._asdict())["cost"] == 0
