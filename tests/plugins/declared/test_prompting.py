from __future__ import annotations

import pytest

from llmproxy.canonical import GenerateRequest, Losses, Message, Text
from llmproxy.config import decode_struct
from llmproxy.plugin import ConfigErrors
from llmproxy_declared.prompting import Prompt, PromptConfig

CHATML = PromptConfig(
    system="<|im_start|>system\n{text}<|im_end|>\n",
    user="<|im_start|>user\n{text}<|im_end|>\n",
    assistant="<|im_start|>assistant\n{text}<|im_end|>\n",
    end="<|im_start|>assistant\n",
)


def talk(*turns: str, system: str = "") -> GenerateRequest:
    messages = [Message("user" if n % 2 == 0 else "assistant", (Text(text),)) for n, text in enumerate(turns)]
    return GenerateRequest(model="m", messages=tuple(messages), system=(Text(system),) if system else ())


@pytest.mark.parametrize(
    ("config", "request_", "expected"),
    [
        (None, talk("Hi"), "Hi"),
        (None, talk("Hi", system="Be brief."), "Be brief.\n\nHi"),
        (None, talk("Hi", "Hello", "Bye"), "User: Hi\nAssistant: Hello\nUser: Bye\nAssistant:"),
        (None, talk("Hi", "Hel"), "User: Hi\nAssistant: Hel"),
        (PromptConfig(), talk("Hi"), "User: Hi\nAssistant:"),
        (
            CHATML,
            talk("Hi", system="S"),
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
        ),
        (CHATML, talk("Hi", "Hel"), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHel"),
    ],
)  # fmt: skip
def test_a_conversation_is_one_text(config, request_, expected):
    assert Prompt(config).write(request_, Losses(), system=True) == expected


def test_instructions_that_have_their_own_place_are_left_out():
    assert Prompt(None).write(talk("Hi", system="S"), Losses(), system=False) == "Hi"


def test_a_template_knows_its_text_alone():
    with pytest.raises(ConfigErrors, match=r"prompt.user: \{txt\} is not known .*did you mean 'text'"):
        decode_struct(PromptConfig, {"user": "{txt}"}, "prompt")
