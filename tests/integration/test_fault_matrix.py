"""Each fault ends as documented, in each dialect; `python -m tests.integration.faultmatrix` prints all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from .faultdialects import CHAT, DIALECTS, Dialect
from .faultmatrix import cells, judge, run, table


@pytest.mark.parametrize(
    "dialect",
    [each if each is CHAT else pytest.param(each, marks=pytest.mark.slow, id=each.name) for each in DIALECTS],
    ids=lambda each: each.name,
)
async def test_every_fault_ends_as_documented(dialect: Dialect, tmp_path: Path) -> None:
    found = await run(cells([dialect]), tmp_path)

    assert len(found) > 80
    assert [(cell, judge(cell, seen)) for cell, seen in found if judge(cell, seen)] == []


async def test_the_judge_tells_what_is_not_documented(tmp_path: Path) -> None:
    found = await run(list(cells([CHAT]))[:6], tmp_path)
    spoilt = [(cell, seen._replace(status=seen.status + 1)) for cell, seen in found]

    assert all(judge(cell, seen) for cell, seen in spoilt)
    assert list(table(spoilt))[-1] == "6 cases, 6 unexpected"
