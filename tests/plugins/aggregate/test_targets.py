from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.plugin import Missing, TextTemplate
from llmproxy_aggregate.targets import check_target, fill_target


def filled(template, value, path="/*"):
    return fill_target(TextTemplate(template), {"query": {"x": value}, "params": {"rest": value}}, path)


@pytest.mark.parametrize(
    ("template", "value", "expected"),
    [
        ("/a/{query/x}", "b/c?d#e&f", "/a/b%2Fc%3Fd%23e%26f"),
        ("/a/{query/x}", "%2e%2e", "/a/%252e%252e"),
        ("/a?b={query/x}", "", "/a?b="),
        ("/a?b={query/x}", "..", "/a?b=.."),
        ("/a?b={query/x}&c=1", "1&c=2", "/a?b=1%26c%3D2&c=1"),
        ("/a?ids={query/x}", [1, "b,c", True], "/a?ids=1,b,c,true"),
        ("/a/{query/x}", "ä", "/a/%C3%A4"),
    ],
)
def test_a_value_stays_what_it_is(template, value, expected):
    assert filled(template, value) == expected


@pytest.mark.parametrize(
    "value", ["", ".", "..", "...", "../x", "x/..", "a/../b", "..\\x", "..;x", None, {}, [{}], "x" * 9000]
)
def test_a_value_that_is_no_segment_is_missing(value):
    with pytest.raises(Missing):
        filled("/a/{query/x}/b", value)


def test_a_catch_all_stands_as_it_was_written():
    assert filled("/to/{params/rest}", "a/b%20c", "/from/{rest...}") == "/to/a/b%20c"
    assert filled("/to/{params/rest}", "a/b%20c", "/from/{other...}") == "/to/a%2Fb%2520c"


@pytest.mark.parametrize("template", ["/a b", "/a#b", "/ä", "/a\n{query/x}"])
def test_a_template_of_no_target_is_refused(template):
    with pytest.raises(ValueError, match="not ASCII"):
        check_target(TextTemplate(template))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_no_value_leaves_its_place(value):
    try:
        target = filled("/a/{query/x}/z?q={query/x}&r=1", value)
    except Missing:
        return
    path, _, query = target.partition("?")

    assert [unquote(part) for part in path.split("/")] == ["", "a", value, "z"]
    assert [unquote(part) for part in query.split("&")] == [f"q={value}", "r=1"]
