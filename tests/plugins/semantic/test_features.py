"""What is compared of a question."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_semantic.features import LONGEST, features_of, number_of, pack, unpack


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I improve my English?", "how can you improve your english"),
        ("How to install Python?", "How can I install Python?"),
        ("What are some good books?", "What are good books?"),
        ("Is there any cure?", "is there a cure"),
        ("Which is the best laptop?", "What is the best laptop?"),
        ("Why don't cats swim?", "Why do not cats swim?"),
    ],
)
def test_what_makes_no_difference_is_not_compared(one: str, other: str) -> None:
    here, there = features_of(one), features_of(other)

    assert (here.words, here.closed, here.third) == (there.words, there.closed, there.third)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1,000", "1000"),
        ("20k", "20000"),
        ("1st", "1th"),
        ("first", "1th"),
        ("2nd", "2th"),
        ("ii", "2"),
        ("2.50", "2.5"),
        ("20%", "20%"),
    ],
)
def test_a_number_is_written_in_one_way(written: str, number: str) -> None:
    assert number_of(written) == number


def test_numbers_are_taken_from_words_too() -> None:
    assert features_of("Name five rivers in 2 lists of 1,000").numbers == ("1000", "2", "5")


def test_names_are_capitals_inside_a_sentence_and_words_with_digits() -> None:
    assert features_of("Does Anna like NASA and the mp3 of Paris?").names == ("anna", "mp3", "nasa", "paris")


def test_a_title_and_a_shout_tell_no_names() -> None:
    assert features_of("How Did You Decide Which Career To Take?").names == ()
    assert features_of("WHY IS THE SKY BLUE TODAY?").names == ()


def test_code_addresses_paths_and_flags_are_kept_word_for_word() -> None:
    text = "Why does `Foo()` fail with --dry-run on /etc/hosts and https://a.example/B?"

    assert features_of(text).parts == ("--dry-run", "/etc/hosts", "`Foo()`", "https://a.example/B?")


def test_quotations_are_kept_apart() -> None:
    features = features_of('What does "Carpe Diem" mean?')

    assert features.quoted == ("carpe diem",)
    assert "mean" in features.words
    assert "diem" not in features.words


def test_what_is_said_word_for_word_has_a_place_among_the_words() -> None:
    one, other = features_of("Rename `a` to `b`"), features_of("Rename `b` to `a`")

    assert one.parts == other.parts
    assert one.words == other.words[:1] + other.words[:0:-1]


def test_words_that_are_joined_are_marked() -> None:
    assert features_of("Compare Rome and Oslo").words == ("compare", "rome", "&", "oslo")


#: What patterns that give back what they took stumble over: one sign for ever, and two by turns.
SIGNS = "aA1 \n\t.,?!'\"`-_/\\@:;=(){}[]<>#~\xe9\u201c\xab\U0001f34e"
HOSTILE = [
    *(sign * 8000 for sign in SIGNS),
    *(
        word * 2000
        for word in ("a@b.", "@a", "a/", "/a", "a.b", "a_", "--a=", "://", "a://", "a'", "1,", "1a", "A a ")
    ),
    *(
        word * 1000
        for word in ("in a ", "is a ", "the ", "please ", "hi, ", "thanks ", "how ", "five ", "million ")
    ),
    *(
        f"{begin}{middle * 3000}{end}"
        for begin in ("what is ", "in ")
        for middle in "a ?"
        for end in ("have", ", how")
    ),
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_takes_more_than_its_length(text: str) -> None:
    """That of the square of it would take seconds, that of its cube hours ("@" did)."""
    features = features_of(text)

    assert features_of(text[:LONGEST]).length < LONGEST
    assert features.length > 0 or not text.strip()


def test_no_text_is_kept_of_a_long_question() -> None:
    features = features_of("word " * 1000)

    assert features.words == ()
    assert features.length > 60


@given(st.text(max_size=200))
def test_features_are_packed_and_unpacked(text: str) -> None:
    features = features_of(text)

    assert unpack(pack(features)) == features


@given(st.binary(max_size=60))
def test_what_nobody_packed_is_no_features(data: bytes) -> None:
    assert unpack(data) is None or data[:1] == pack(features_of("a"))[:1]


def test_features_of_another_version_or_broken_ones_are_none() -> None:
    packed = pack(features_of("What is DNS?"))

    assert unpack(b"\x00" + packed[1:]) is None
    assert unpack(packed[:-3]) is None
    assert unpack(b"") is None


@given(st.text(max_size=200))
def test_a_text_has_the_same_features_each_time(text: str) -> None:
    assert features_of(text) == features_of(text)
