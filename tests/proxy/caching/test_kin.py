from llmproxy.caching.kin import KIN, Kin
from llmproxy.testing import make_exchange


def test_whoever_knows_of_likeness_is_found_in_the_exchange_and_nobody_is_there_by_itself() -> None:
    assert make_exchange().state.get(KIN) is None


def test_questions_of_one_form_are_wholly_alike() -> None:
    assert Kin(b"k", "canonical").similarity == 1.0
