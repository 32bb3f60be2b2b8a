from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest

from llmproxy.decode import decode_struct
from llmproxy.errors import ConfigError, ConfigErrors
from llmproxy.references import Resolved, Secret
from llmproxy.sections import Section
from llmproxy.units import Duration, Size


class Inner(msgspec.Struct, frozen=True):
    ttl: Duration = 5.0
    size: Size | None = None


class Sample(msgspec.Struct, frozen=True, rename={"names": "name"}):
    required: str
    names: tuple[str, ...] = ()
    numbers: list[int] = []
    inner: Inner = Inner()
    by_name: dict[str, Inner] = {}
    key: Secret | None = None
    mode: Literal["a", "b"] = "a"
    version: Literal[1] = 1
    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    flag: bool = False
    either: int | str = 0
    timeout: Annotated[Duration, msgspec.Meta(gt=0)] = 1.0
    anything: Any = None


class Checked(msgspec.Struct, frozen=True):
    low: int = 0
    items: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.low < 0:
            raise ValueError("low is below zero")
        if self.low > 9:
            raise ConfigError("low", "above nine")
        if self.items:
            raise ConfigError("[0]", "odd path")


class Short(msgspec.Struct, frozen=True):
    name: str

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        if tree == "":
            raise ValueError("nothing is no name")
        return {"name": tree} if isinstance(tree, str) else tree


def mistakes(type_: type[msgspec.Struct], tree: object, path: str = "") -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        decode_struct(type_, tree, path)
    return [str(error) for error in caught.value.errors]


def test_a_mapping_becomes_a_struct_with_units_read() -> None:
    tree = {
        "required": "x",
        "name": ["n"],
        "numbers": [1],
        "inner": {"ttl": "1m", "size": "1KiB"},
        "by_name": {"k": {"ttl": 3}},
        "mode": "b",
        "timeout": "2s",
        "either": "text",
        "anything": [{"free": 1}],
    }

    assert decode_struct(Sample, tree) == Sample(
        required="x",
        names=("n",),
        numbers=[1],
        inner=Inner(ttl=60.0, size=1024),
        by_name={"k": Inner(ttl=3.0)},
        mode="b",
        timeout=2.0,
        either="text",
        anything=[{"free": 1}],
    )


def test_nothing_is_allowed_where_it_means_nothing() -> None:
    assert decode_struct(Inner, {"size": None}).size is None


def test_a_default_stays_where_a_key_is_left_out() -> None:
    assert decode_struct(Sample, {"required": "x"}) == Sample(required="x")


def test_a_reference_fits_any_type_of_value() -> None:
    tree = {
        "required": Resolved("value", "${env:A}"),
        "count": Resolved("7", "${env:B}"),
        "flag": Resolved("true", "${env:C}"),
        "mode": Resolved("b", "${env:D}"),
        "version": Resolved("1", "${env:E}"),
        "timeout": Resolved("3s", "${env:F}"),
        "key": Resolved("sk", "${env:G}"),
    }

    sample = decode_struct(Sample, tree)

    assert (sample.count, sample.flag, sample.mode, sample.version, sample.timeout) == (7, True, "b", 1, 3.0)
    assert sample.key == Secret("sk")
    assert repr(sample.required) == "'${env:A}'"
    assert sample.required == "value"


def test_every_mistake_is_told_at_once() -> None:
    tree = {
        "nmae": [],
        "name": "n",
        "numbers": ["x", 1, None],
        "inner": {"ttl": "soon", "sise": 1},
        "by_name": [],
        "key": "sk-literal",
        "mode": "c",
        "version": 2,
        "count": 0,
        "flag": "yes",
        "timeout": 0,
        "either": 1.5,
    }

    assert mistakes(Sample, tree, "plugins.x") == [
        "plugins.x.nmae: unknown key \"nmae\"; did you mean 'name'?",
        "plugins.x.required: missing; it has no default",
        "plugins.x.name: expected a list, got text",
        "plugins.x.numbers[0]: expected int, got str",
        "plugins.x.numbers[2]: expected int, got null",
        "plugins.x.inner.sise: unknown key \"sise\"; did you mean 'size'?",
        'plugins.x.inner.ttl: "soon" is not a duration such as "250ms", "30s" or "1m30s"',
        "plugins.x.by_name: expected a mapping, got a list",
        "plugins.x.key: a secret is not written out; write it as ${env:NAME} or ${file:PATH}",
        'plugins.x.mode: expected "a" or "b", got "c"',
        "plugins.x.version: expected 1, got a number",
        "plugins.x.count: expected int >= 1",
        "plugins.x.flag: expected bool, got str",
        "plugins.x.either: expected int | str, got float",
        "plugins.x.timeout: expected float > 0.0",
    ]


@pytest.mark.parametrize(
    ("tree", "kind"),
    [([], "a list"), ("x", "text"), (None, "nothing"), (True, "true or false"), (5, "a number")],
)
def test_what_is_no_mapping_is_told_by_its_kind(tree: object, kind: str) -> None:
    assert mistakes(Sample, tree, "p") == [f"p: expected a mapping, got {kind}"]


def test_true_is_not_the_number_one() -> None:
    assert mistakes(Sample, {"required": "x", "version": True}) == ["version: expected 1, got true or false"]


def test_a_value_from_a_reference_is_never_repeated() -> None:
    tree = {"required": "x"} | {
        key: Resolved("sk-secret", "${env:A}") for key in ("mode", "count", "flag", "timeout", "version")
    }

    told = mistakes(Sample, tree)
    assert len(told) == 5
    assert "sk-secret" not in "".join(told)


class Strict(msgspec.Struct, frozen=True):
    words: tuple[str, ...] = ()
    inner: tuple[Inner, ...] = ()
    by_name: dict[str, str] = {}

    def __post_init__(self) -> None:
        "".join((*self.words, *self.by_name.values()))
        [item.ttl for item in self.inner]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"words": [5]}, "words[0]: expected str, got int"),
        ({"inner": [5]}, "inner[0]: expected a mapping, got a number"),
        ({"by_name": {"a": 5}}, "by_name.a: expected str, got int"),
    ],
)
def test_a_structs_own_check_never_sees_a_broken_item(tree: object, message: str) -> None:
    assert mistakes(Strict, tree) == [message]


class Rule(Section, frozen=True):
    name: str
    words: tuple[str, ...] = ("default",)

    def __post_init__(self) -> None:
        if not self.words:
            raise ConfigError("words", "empty")


class Rules(Section, frozen=True):
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        if not {rule.name for rule in self.rules}:
            raise ConfigError("rules", "nobody has a name")


@pytest.mark.parametrize(
    ("tree", "messages"),
    [
        (
            {"rules": [{"name": 5}, {"name": "b", "words": []}]},
            ["rules[0].name: expected str, got int", "rules[1].words: empty"],
        ),
        ({"rules": "all"}, ["rules: expected a list, got text"]),
    ],
)
def test_a_plugins_own_check_sees_neither_broken_sections_nor_what_stands_in_for_them(
    tree: object, messages: list[str]
) -> None:
    assert mistakes(Rules, tree) == messages


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"low": -1}, "p: low is below zero"),
        ({"low": 10}, "p.low: above nine"),
        ({"items": ["a"]}, "p[0]: odd path"),
    ],
)
def test_a_check_of_the_structs_own_is_told_with_its_path(tree: object, message: str) -> None:
    assert mistakes(Checked, tree, "p") == [message]


def test_a_struct_may_have_a_shorthand() -> None:
    assert decode_struct(Short, "x") == Short("x")
    assert mistakes(Short, "", "p") == ["p: nothing is no name"]
