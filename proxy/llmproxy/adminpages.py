"""The admin listener's own pages."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

_OWN: Final = (
    ("/metrics", "Metrics"),
    ("/config", "Configuration in effect"),
    ("/plugins", "Plugins"),
    ("/readyz", "Readiness"),
    ("/livez", "Liveness"),
)


def front(pages: Sequence[tuple[str, str]]) -> str:
    """Return the front page: what there is to look at, plugins' pages (path, title) first."""
    items = "\n".join(
        f'<li><a href="{escape(path)}">{escape(title)}</a></li>' for path, title in (*pages, *_OWN)
    )
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>llmproxy</title>
<h1>llmproxy</h1>
<ul>
{items}
</ul>
</html>
"""
