from typing import Any

import pytest

from llmproxy.config import decode
from llmproxy.errors import ConfigErrors


def read(prices: dict[str, Any]) -> Any:
    tree = {"upstreams": {"main": {"base_url": "http://main.test"}}, "prices": prices}
    return decode(tree, environ={"PRICE": "0.25"}, read_file=str).prices


def test_a_price_may_come_from_the_environment() -> None:
    price = read({"main/*": {"input": "${env:PRICE}", "output": 2}})["main/*"]

    assert (price.input, price.output, price.cache_read, price.request) == (0.25, 2, None, 0)


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        ({"main": {"input": 1, "output": 1}}, "prices.main: a price is of UPSTREAM/MODEL; MODEL may be *"),
        ({"mian/m": {"input": 1, "output": 1}}, 'unknown upstream "mian"; did you mean'),
        ({"main/m": {"input": 1}}, "output"),
        ({"main/m": {"input": -1, "output": 1}}, "input"),
        ({"main/m": {"input": float("nan"), "output": 1}}, "input"),
        ({"main/m": {"input": 1, "output": float("inf")}}, "output"),
        ({"main/m": {"input": 1, "output": 1, "request": 11}}, "request"),
    ],
)
def test_what_is_no_price_is_told(prices: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read(prices)

    assert said in str(caught.value)
