"""Classes of tests stand in configurations by name."""

from __future__ import annotations

import gc

import pytest

from llmproxy.errors import ConfigError
from llmproxy.plugin import NoConfig, Plugin
from llmproxy.registry import load
from llmproxy.testing.classes import use, with_names


class LocalPlugin(Plugin[NoConfig]):
    """Does nothing."""


def test_a_class_is_loaded_by_the_name_it_was_given() -> None:
    assert load(use(LocalPlugin), "plugins.local.use") is LocalPlugin


def test_classes_of_one_name_are_told_apart() -> None:
    other = type("LocalPlugin", (Plugin,), {})

    assert load(use(LocalPlugin), "") is not load(use(other), "")


def test_a_class_that_is_gone_is_no_plugin() -> None:
    passing = type("PassingPlugin", (Plugin,), {})
    name = use(passing)
    del passing
    gc.collect()

    with pytest.raises(ConfigError, match="cannot be imported"):
        load(name, "plugins.passing.use")


def test_a_tree_gets_names_where_it_holds_classes() -> None:
    tree = {"plugins": {"a": {"use": LocalPlugin, "size": 3}}, "pipeline": ["a"], "log": {"level": "info"}}

    assert with_names(tree) == {
        "plugins": {"a": {"use": use(LocalPlugin), "size": 3}},
        "pipeline": ["a"],
        "log": {"level": "info"},
    }
