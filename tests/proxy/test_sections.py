import pytest

from llmproxy.decode import decode_struct
from llmproxy.errors import ConfigErrors
from llmproxy.sections import Section


class Lamp(Section, frozen=True):
    colour: str = "white"


class Short(Section, frozen=True):
    colour: str

    @classmethod
    def from_shorthand(cls, tree: object) -> object:
        return {"colour": tree} if isinstance(tree, str) else tree


def test_a_section_is_closed_to_unknown_keys():
    with pytest.raises(ConfigErrors, match="color"):
        decode_struct(Lamp, {"color": "red"})


def test_a_section_stays_what_it_is():
    with pytest.raises(AttributeError):
        Lamp().colour = "red"


def test_a_section_may_have_a_short_way_of_writing():
    assert decode_struct(Short, "red") == decode_struct(Short, {"colour": "red"}) == Short(colour="red")
    assert Lamp.from_shorthand("red") == "red"
