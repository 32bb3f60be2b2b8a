"""The plugin's configuration, and what a route says of it."""

from __future__ import annotations

from typing import Literal

from llmproxy.plugin import Section

#: Which questions count as the same: those whose texts have one form.
Policy = Literal["canonical"]


class SemanticConfig(Section, frozen=True):
    """Nothing is needed."""


class SemanticRoute(Section, frozen=True):
    """How far a route goes."""

    policy: Policy = "canonical"
