"""What models' providers put around a prompt's texts, in tokens: data, measured on recorded requests.

Each row says how many tokens one thing costs. They are fitted, by least relative deviation, to recorded requests and
the prompt tokens that their providers told; a row stands for what its models have in common, and an operator's own
server may render otherwise.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class Rendering(NamedTuple):
    """What a family of models counts.

    `text` and `words` are factors on texts and on the texts in tools; the others are tokens: of a request, a message,
    a request with instructions, a request with tools, a tool, a field of its schema, a call and its result, a
    request with a schema for its answer. `signature` is tokens for each character of a signature that comes back.
    """

    text: float = 1.1
    request: float = 4
    message: float = 3
    system: float = 2
    tools: float = 60
    tool: float = 20
    words: float = 1.2
    field: float = 10
    call: float = 20
    format: float = 10
    signature: float = 0


#: What stands in a model's name, in the order in which it is looked for, and its row, the fields in their order.
_ROWS: Final = (
    (r"claude-(instant|v?[23])", Rendering(1.15, 2.5, 4, 0, 257, 20, 1.65, 21, 48, 100)),
    (
        r"claude-(opus|sonnet|haiku)-(4-[7-9]|4\.[7-9]|[5-9]\b)",
        Rendering(1.2, 0, 11.5, 2.5, 293, 67, 2.5, 65, 50, 120),
    ),
    (r"claude-(opus|sonnet|haiku)-4[-.][56]", Rendering(1.07, 4, 3, 0, 472, 56, 1.6, 19.5, 53, 119)),
    (r"claude", Rendering(1.15, 6, 0, 0, 272, 48, 2.5, 9.5, 75, 119)),
    (r"gpt-oss", Rendering(1, 67, 0, 8, 32, 4.5, 1.2, 4, 10, 20)),
    (r"gpt-[5-9]|o\d", Rendering(1, 2, 4, 4, 9, 13, 1, 6, 12, 21)),
    (r"gpt|chatgpt", Rendering(1, 3, 4, 4, 17, 4.5, 1.2, 3.5, 8.5, 40)),
    (r"gemini-(1|2\.0)", Rendering(1, 0, 0, 0, 9, 0, 0.8, 0, 0, 0)),
    (r"gemini-2", Rendering(1, 1, 0, 1, 0, 21, 0.8, 0, 26, 0)),
    (r"gemini", Rendering(1, 0, 1, 1, 2.5, 10, 1.55, 0, 12.5, 0, 0.2)),
    (r"grok", Rendering(0.95, 169, 0, 0, 30, 50, 0.8, 28, 5, 0)),
    (r"command", Rendering(1, 486, 9.5, 36, 900, 0, 2.5, 15.5, 58, 0)),
    (r"deepseek-r1", Rendering(1, 0, 3, 0, 60, 20, 1.2, 10, 20, 10)),
    (r"deepseek", Rendering(1, 2.5, 1.5, 0, 260, 0, 1.2, 17.5, 37, 0)),
    (r"mi[sx]tral|codestral|pixtral|devstral|voxtral", Rendering(1.25, 7.5, 2, 0, 42, 0, 2.2, 5.5, 5.5, 0)),
    (r"nova-2", Rendering(0.95, 44, 2.5, 0, 833, 0, 2.35, 7, 48, 0)),
    (r"nova", Rendering(1, 0, 0, 0, 360, 11, 0.8, 24, 39, 0)),
    (r"llama-?4", Rendering(1.05, 10, 4, 0, 660, 20, 0.8, 15.5, 20, 10)),
    (r"llama", Rendering(0.95, 33, 2, 0, 100, 20, 1.2, 10, 20, 10)),
    (r"kimi", Rendering(0.9, 12, 0, 0, 26, 0, 2.5, 6.5, 39, 10)),
    (r"glm", Rendering(0.9, 6.5, 0, 0, 98, 32, 0.8, 15.5, 20, 10)),
    (r"qwen", Rendering(1.15, 5, 3, 0, 250, 20, 0.8, 5, 20, 10)),
    (r"sonar", Rendering(1, 1.5, 0, 0, 60, 20, 1.2, 10, 20, 10)),
)
_RENDERINGS: Final = tuple((re.compile(rf"(?<![a-z0-9])(?:{pattern})"), row) for pattern, row in _ROWS)


def rendering_of(model: str) -> Rendering:
    """Return the row of a model, by what stands in its name."""
    name = model.lower()
    return next((row for pattern, row in _RENDERINGS if pattern.search(name)), Rendering())
