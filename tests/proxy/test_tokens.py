from llmproxy.canonical import GenerateRequest, Message, Text
from llmproxy.tokens import count_request, count_text


def test_a_count_of_the_gateway_is_marked_as_an_estimate():
    request = GenerateRequest(model="m", messages=(Message("user", (Text("Hello there"),)),))

    answer = count_request(request, "m")

    assert answer.estimated
    assert answer.tokens >= count_text("Hello there", "m") > 0
