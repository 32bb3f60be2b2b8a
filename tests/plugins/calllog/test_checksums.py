import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_calllog.checksums import iban_length, is_card

CARDS = [
    "4111111111111111",
    "5555555555554444",
    "378282246310005",
    "6011111111111117",
    "30569309025904",
    "2223003122003222",
]
IBANS = ["DE89370400440532013000", "GB82WEST12345698765432", "NO9386011117947", "FR1420041010050500013M02606"]


@pytest.mark.parametrize("digits", CARDS)
def test_a_card_is_known(digits):
    assert is_card(digits)


@given(st.sampled_from(CARDS), st.data())
def test_one_wrong_digit_makes_it_none(digits, data):
    place = data.draw(st.integers(1, len(digits) - 1))
    other = data.draw(st.sampled_from([sign for sign in "0123456789" if sign != digits[place]]))

    assert not is_card(digits[:place] + other + digits[place + 1 :])


@pytest.mark.parametrize("digits", ["", "4", "1800000000000", "0000000000000000", "41111111111111111111"])
def test_other_numbers_are_no_cards(digits):
    assert not is_card(digits)


@pytest.mark.parametrize("account", IBANS)
def test_an_account_is_known_whatever_follows_it(account):
    assert iban_length(account) == iban_length(account.lower()) == iban_length(account + "is") == len(account)


@given(st.sampled_from(IBANS), st.data())
def test_one_wrong_sign_makes_it_none_either(account, data):
    place = data.draw(st.integers(4, len(account) - 1))
    sign = "1" if account[place] != "1" else "2"

    assert iban_length(account[:place] + sign + account[place + 1 :]) == 0


@given(st.text())
def test_any_text_may_be_asked_about(text):
    assert iban_length(text) in range(34)
