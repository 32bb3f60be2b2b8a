from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_aggregate.filtering import Filter

VALUE = {"id": 1, "name": "Ada", "items": [{"id": 1, "p": {"q": 2}}, {"id": 2, "p": {"q": 3}}], "x": {"y": 1}}


@pytest.mark.parametrize(
    ("pick", "drop", "expected"),
    [
        ([], [], VALUE),
        (["/id", "/x/y"], [], {"id": 1, "x": {"y": 1}}),
        (["/items/*/id"], [], {"items": [{"id": 1}, {"id": 2}]}),
        (["/items/0"], [], {"items": [VALUE["items"][0]]}),
        (["/x", "/x/y"], [], {"x": {"y": 1}}),
        (["/x/z", "/x"], [], {"x": {"y": 1}}),
        (["/nothing"], [], {}),
        ([], ["/items", "/x/y"], {"id": 1, "name": "Ada", "x": {}}),
        (
            [],
            ["/items/*/p/q", "/x"],
            {"id": 1, "name": "Ada", "items": [{"id": 1, "p": {}}, {"id": 2, "p": {}}]},
        ),
        (["/items"], ["/items/1"], {"items": [VALUE["items"][0]]}),
        ([], ["/id/deeper"], VALUE),
    ],
)
def test_an_answer_is_filtered_by_paths(pick, drop, expected):
    assert Filter(pick, drop).apply(VALUE) == expected


@pytest.mark.parametrize("path", ["", "id", "/a~2"])
def test_what_is_no_path_is_told(path):
    with pytest.raises(ValueError, match="path"):
        Filter([path])


@given(st.dictionaries(st.sampled_from("abc"), st.integers()), st.sets(st.sampled_from("abc")))
def test_what_is_picked_and_what_is_dropped_make_up_the_whole(value, names):
    paths = [f"/{name}" for name in names]
    picked = Filter(paths).apply(value) if paths else {}

    assert {**picked, **Filter((), paths).apply(value)} == value
