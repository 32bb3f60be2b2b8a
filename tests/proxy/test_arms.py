from llmproxy.arms import ARM, Arm
from llmproxy.testing import make_exchange


def test_an_arm_is_told_as_its_experiment_and_its_name() -> None:
    assert str(Arm("chat", "canary", sticky=True)) == "chat=canary"


def test_an_exchange_is_in_no_arm_until_it_is_assigned_to_one() -> None:
    exchange = make_exchange()

    assert exchange.state.get(ARM) is None

    exchange.state[ARM] = Arm("chat", "canary", sticky=True)

    assert exchange.state[ARM].name == "canary"
