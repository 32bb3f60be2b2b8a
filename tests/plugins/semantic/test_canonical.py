"""One form for texts that say the same, and two for those that do not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_semantic.canonical import canonicalise

WORDS = ["what", "is", "the", "5", "five", "can't", '"C d"', "?", ".", ",", "please", "hi", "US", "us"]
PAIRS = Path(__file__).parents[4] / "shared" / "data" / "semantic_pairs_dev.jsonl"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is the capital of France?", "what is  the capital of france"),
        ("What's the capital of France?", "What is the capital of France?"),
        ("What\u2019s the capital of France?", "What's the capital of France?"),
        ("I can't log in", "I cannot log in."),
        ("How do I sort a list in Python?", "how do i sort a list in python"),
        ("Hi - what is DNS?", "what is DNS?"),
        ("They won't start, why?", "they will not start, why?"),
        ("Hi there, what is 2 + 2?", "What is 2 + 2?"),
        ("Hello, I have a question. What is DNS?", "What is DNS?"),
        ("Could you help me with this: how do I sort a list?", "How do I sort a list?"),
        ("Can you please explain DNS?", "Explain DNS"),
        ("Please explain DNS", "Explain DNS, thanks in advance!"),
        ("How do I study? pls", "How do I study?"),
        ("Name the top ten snacks.", "Name the top 10 snacks"),
        ("How much is 1,000 dollars?", "How much is 1000 dollars?"),
        ("What is 20 percent of 50?", "What is 20% of 50?"),
        ("Write two hundred words", "Write 200 words"),
        ("What is twenty-five plus six", "what is 25 plus 6?"),
        ("How do I organise colours?", "how do i organize colors?"),
        ("Is it actually raining?", "Is it raining?"),
        ("Is it a grey-haired colour-blind dog?", "is it a gray-haired color-blind dog"),
        ("I'd like to know what DNS is", "what DNS is"),
        ("List these:\n\n a\n b", "List these:\n a\n b"),
        ("WHO IS THE PRESIDENT?", "who is the president?"),
    ],
)
def test_texts_that_say_the_same_have_one_form(one: str, other: str) -> None:
    assert canonicalise(one) == canonicalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Is the US large?", "Is us large?"),
        ("What is WHO?", "What is who?"),
        ("Fix `Foo.bar`", "Fix `foo.bar`"),
        ('Translate "Can\'t stop"', 'Translate "cannot stop"'),
        ("GET https://a.test/Items", "GET https://a.test/items"),
        ("Run ls -L", "Run ls -l /"),
        ("What is a_b?", "What is A_b?"),
        ("for i in x:\n  a()\nb()", "for i in x:\n  a()\n  b()"),
        ("Why do people not vote?", "Why do people vote?"),
        ("You are leaving.", "You are leaving?"),
        ("What is 1.5 + 1?", "What is 15 + 1?"),
        ("What is 1,5?", "What is 15?"),
        ("Explain in five sentences", "Explain in six sentences"),
        ("What is 5 - 3?", "What is 5 + 3?"),
        ("Write 2 hundred-word essays", "Write 200-word essays"),
        ("thanks", "please"),
        ("Say hello", "Say"),
        ("Is this please?", "Is this"),
        ("How do you say thank you", "How do you say please"),
        ("Translate thanks", "Translate please"),
        ("In Spanish, how do you say thank you", "In Spanish, how do you say please"),
        ("Translate to Spanish: thanks", "Translate to Spanish: please"),
        ("Tell me about Cheers", "Tell me about Thanks"),
        ("What is Cheers", "What is please"),
        ("What is 5!", "What is 5"),
        ("Compute n!", "Compute n"),
        ("What is n!?", "What is n?"),
        ("What is the meaning of .", "What is the meaning of !"),
        ("What does actually mean?", "What does basically mean?"),
        ("Translate indeed into French", "Translate basically into French"),
        ("A synonym for actually", "A synonym for indeed"),
        ("How many letters are in colour?", "How many letters are in color?"),
        ("Is grey a British spelling?", "Is gray a British spelling?"),
        ("Is this sentence correct: i am here", "Is this sentence correct: I am here"),
        ("Correct the grammar: I dont know", "Correct the grammar: I do not know"),
        ("How many words are in: I can't go", "How many words are in: I can not go"),
        ("What is SOAP?", "What is soap?"),
        ("What is REST?", "What is rest?"),
        ("What is ICE?", "What is ice?"),
        ("What is FIRE?", "What is fire?"),
        ("What are TIPS?", "What are tips?"),
        ("What is STEM?", "What is stem?"),
        ("US", "us"),
        ("WHO?", "who?"),
        ("How do I cook in Turkey?", "How do I cook in turkey?"),
        ("Where is China made?", "Where is china made?"),
        ("What is Polish?", "What is polish?"),
        ("Was machen Sie?", "Was machen sie?"),
        ("Wie finde ich Ihr Haus?", "Wie finde ich ihr Haus?"),
        ("How long does 5 Gb take at 1 MB/s?", "How long does 5 GB take at 1 Mb/s?"),
        ("Is 5 mW much?", "Is 5 MW much?"),
        ("What is Co?", "What is CO?"),
        ("What is R?", "What is r?"),
        ("Let A be a matrix and b a row", "Let a be a matrix and B a row"),
        ("What is the letter 'A'?", "What is the letter 'a'?"),
        ("Why does print(\u201ca\u201d) fail?", 'Why does print("a") fail?'),
        ("Fix ```print(\u201ca\u201d)```", 'Fix ```print("a")```'),
        ("Who is no one?", "Who is No 1?"),
        ("What is half of two hundred and five?", "What is half of 200 and 5?"),
        ("What is 1/2 million dollars?", "What is 1/2000000 dollars?"),
        ("When was the Labour party founded?", "When was the Labor party founded?"),
        ("What is Calibre?", "What is caliber?"),
        ("How do I write a dialog?", "How do I write a dialogue?"),
        ("Sort 100,200,300", "Sort 100200300"),
        ("Was sind 1,500 kg in Pfund?", "Was sind 1500 kg in Pfund?"),
        ("What is in src/Main.java?", "What is in src/main.java?"),
        ("What does getName do?", "What does getname do?"),
        ("Who wrote 'Don't Stop'?", "Who wrote 'do not stop'?"),
        ("Translate \u201eDie Weise\u201c", "Translate \u201edie weise\u201c"),
        ("Translate \xabLe Monde\xbb", "Translate \xable monde\xbb"),
        ('Translate "Hello\nWorld"', 'Translate "hello\nworld"'),
        ("Hello, World", "World"),
        ("Hello, world program in C", "World program in C"),
        ("Please Please Me album", "Me album"),
        ("Can you please everyone?", "everyone"),
        ("On Monday we meet?", "On Monday we meet."),
        ("He is here, which is nice?", "He is here, which is nice."),
        ("def F(x): return X", "def f(X): return x"),
        ('Is "a" a word? "B" too 5"', 'Is "a" a word? "b" too 5"'),
        ("Capitalize this: john", "Capitalize this: JOHN"),
        ("Is this a haiku: thanks", "Is this a haiku: please"),
        ("Reply with: thanks", "Reply with: please"),
        ("Remove the fillers: it is basically good", "Remove the fillers: it is good"),
        ("Is this polite: give me that please", "Is this polite: give me that"),
        ("Make this more polite: send it, thanks", "Make this more polite: send it"),
        ("Rewrite: hello, can you please send it?", "Rewrite: hello, can you please send it"),
        ("Rate my email: Hi, send it. Thanks", "Rate my email: Hi, send it."),
        ("Rate my email.\nHi, send it.\nThanks", "Rate my email.\nHi, send it."),
        ("What is the sentiment of: cheers", "What is the sentiment of: thanks"),
        ("Does this text contain contractions? It's fine", "Does this text contain contractions? It is fine"),
        ("Is this shouting? STOP THAT", "Is this shouting? stop that"),
        ("What rhymes with mum?", "What rhymes with mom?"),
        (
            "What is the difference between program and programme?",
            "What is the difference between programme and program?",
        ),
        ("How is tyre pronounced?", "How is tire pronounced?"),
        ("What is God?", "What is god?"),
        ("List words, then say please", "List words, then say thanks"),
        ("What should I reply to him: thanks or cheers", "What should I reply to him: thanks or please"),
        ("Is it rude to say ty", "Is it rude to say thx"),
        ("Who sings Thank You", "Who sings Please"),
        ("A = 5, a = 6. What is A?", "A = 5, a = 6. What is a?"),
        ("What is a ?", "What is a ."),
        ("Convert 5 m to feet", "Convert 5 M to feet"),
        ("How heavy is 5 g?", "How heavy is 5 G?"),
        ("Is he home? Yes", "Is he home. Yes"),
        ("Name a vitamin: A, B, C", "Name a vitamin: a, b, c"),
        ("Complete the series: 1, 2, 3,", "Complete the series: 1, 2, 3"),
        ('Finish this: "a", "b"!', 'Finish this: "a", "b"'),
        ("Is Mark here?", "Is mark here?"),
        ("Can will write?", "Can Will write?"),
        ("What may do?", "What May do?"),
        ("Where is Nice?", "Where is nice?"),
        ("Is Reading fun?", "Is reading fun?"),
        ("What is a Mole?", "What is a mole?"),
        ("What does Bill want?", "What does bill want?"),
        ("a  b\tc: how many spaces?", "a b c: how many spaces?"),
        ('Rename a_b to "c"', 'Rename "c" to a_b'),
        ("Does a_b call `C`?", "Does `C` call a_b?"),
        ("Is it can't or cannot?", "Is it cannot or cannot?"),
        ("Is grey different to gray?", "Is gray different to gray?"),
        ("Is ten more than 10?", "Is 10 more than 10?"),
        ("Is ten a roman numeral?", "Is 10 a roman numeral?"),
        ("Write the number ten in full", "Write the number 10 in full"),
        ("What is the British way to write color?", "What is the British way to write colour?"),
        ("What is the long form of can't?", "What is the long form of can not?"),
        ("How do I get to Nine Elms?", "How do I get to 9 Elms?"),
        ("Hi-Fi, what is it?", "Fi, what is it?"),
        ("Hello, Goodbye by the Beatles", "Goodbye by the Beatles"),
        ("Please don't go lyrics", "don't go lyrics"),
        ("How do I print Hello in Python?", "How do I print hello in Python?"),
        ("Set the variable Name to x", "Set the variable name to x"),
        ("What is an Integer in Java?", "What is an integer in Java?"),
        ("What does ls -L do?", "What does ls -l do?"),
        ("What is vitamin B-12 (B)?", "What is vitamin B-12 (b)?"),
        ("What does NaN mean?", "What does nan mean?"),
        ("What is a MAC address?", "What is a Mac address?"),
        ("Where is Bath?", "Where is bath?"),
        ("Was ist Weise?", "Was ist weise?"),
        ("Ich habe liebe Genossen", "Ich habe Liebe genossen"),
        ("What is German for Weise?", "What is German for weise?"),
        ("SINIR nedir?", "sinir nedir?"),
        ("Was sind 1,000 kg?", "Was sind 1000 kg?"),
        ("Kdo je ten?", "Kdo je 10?"),
    ],
)
def test_texts_that_do_not_have_two(one: str, other: str) -> None:
    assert canonicalise(one) != canonicalise(other)


@given(st.text(max_size=80))
def test_any_text_has_a_form_and_the_form_of_lines_is_not_much_longer(text: str) -> None:
    assert len(canonicalise(text)) <= 3 * len(text) + 16


@given(st.lists(st.sampled_from(WORDS), max_size=9))
def test_space_and_case_outside_of_what_is_kept_never_matter(words: list[str]) -> None:
    text = " ".join(words)

    assert canonicalise(text) == canonicalise(f"  {text} ")
    assert canonicalise(text) == canonicalise(text.replace(" what ", "  What "))


@given(st.text(alphabet=" abA5'\"`?.,-\n\tps", max_size=40))
def test_a_form_is_its_own_form(text: str) -> None:
    form = canonicalise(text)

    assert canonicalise(form) == canonicalise(canonicalise(form))


def test_a_text_is_its_own_form_where_it_is_too_long() -> None:
    text = "What's  DNS? " * 1000

    assert canonicalise(text) == text


@pytest.mark.shared
@pytest.mark.skipif(not PAIRS.exists(), reason="the labelled pairs are not here")
def test_the_labelled_pairs_are_told_apart() -> None:
    same: Counter[tuple[str, int]] = Counter()
    all_of: Counter[tuple[str, int]] = Counter()
    for line in PAIRS.read_bytes().splitlines():
        pair = orjson.loads(line)
        kind = pair["kind"], pair["label"]
        all_of[kind] += 1
        same[kind] += canonicalise(pair["prompt_a"]) == canonicalise(pair["prompt_b"])
    easy = [(kind, 1) for kind in ("wrapper", "case", "contraction", "number_form")]

    assert sum(same[kind] for kind in all_of if kind[1] == 0) == 0
    assert sum(same[kind] for kind in easy) >= 0.9 * sum(all_of[kind] for kind in easy)
