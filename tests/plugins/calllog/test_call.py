import msgspec

from llmproxy_calllog.call import COLUMNS, told

from .records import make_call


def test_every_field_is_a_column():
    assert COLUMNS[:2] == ("at", "id")
    assert len(COLUMNS) == len(msgspec.structs.astuple(make_call()))


def test_what_is_empty_is_not_told():
    shown = told(msgspec.structs.asdict(make_call()))

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
    shown = told(msgspec.structs.asdict(make_call(attempts='[{"place":"main"}]', streamed=1)))

    assert (shown["attempts"], shown["streamed"]) == ([{"place": "main"}], True)


def test_a_cost_of_nothing_is_told():
    assert told(msgspec.structs.asdict(make_call(cost=0)))["cost"] == 0
