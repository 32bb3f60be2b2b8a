from llmproxy_calllog.table import money, printable, row, tokens

from .records import make_call


def shown(**fields):
    return make_call(**fields)._asdict()


def test_a_row_says_who_what_and_how_it_went():
    text = row(
        shown(
            key="web",
            model="fast",
            upstream="main",
            input=7,
            output=5,
            cost=1_500_000,
            ms=1234.5,
            tries=2,
            result="ok",
        )
    )

    for part in (
        "2027-01-15 08:00:00",
        "200",
        "1.234s",
        "acme/web",
        "fast",
        "main",
        "7>5",
        "$1.500000",
        "x2",
        "ok",
        "req-1",
    ):
        assert part in text


def test_what_is_not_known_is_a_dash():
    assert (tokens(shown()), money(shown())) == ("-", "-")


def test_tokens_are_those_read_and_those_written():
    assert tokens(shown(input=1, cache_read=2, cache_write=3, output=4, reasoning=5)) == "6>9"


def test_nothing_that_a_terminal_would_obey_is_shown():
    assert printable("a\x1b[2Jb") == "a?[2Jb"
    assert "\x1b" not in row(shown(model="\x1b]0;x"))
