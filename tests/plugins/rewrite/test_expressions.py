from __future__ import annotations

import sys

import pytest

from llmproxy_rewrite.expressions import compile_expression


def test_an_expression_has_named_groups() -> None:
    found = compile_expression(r"/users/(?P<id>[0-9]+)").fullmatch("/users/7")

    assert found.groupdict() == {"id": "7"}


@pytest.mark.parametrize("text", ["(", "(?=x)", r"(a)\1", "a{5000}"])
def test_what_could_take_long_is_no_expression(text: str) -> None:
    with pytest.raises(ValueError, match="no RE2 expression"):
        compile_expression(text)


def test_what_makes_others_slow_is_told_no_at_once() -> None:
    # Backtracking would try 2**4000 ways.
    assert compile_expression(r"/(a+)+b").fullmatch("/" + "a" * 4000) is None


def test_without_its_package_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)

    with pytest.raises(ValueError, match=r"llmproxy-gateway\[regex\]"):
        compile_expression("a")
