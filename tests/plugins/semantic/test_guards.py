"""What keeps two questions apart, however much alike they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_semantic.features import features_of
from llmproxy_semantic.guards import GUARDS, objection, one_edit
from llmproxy_semantic.tiers import tier_of

GUARD = dict(GUARDS)

TRAPS = {
    "length": [("What is DNS?", "What is DNS and how would one set up a server of it at home?")],
    "numbers": [
        ("Plan a 4-day trip to Rome", "Plan a 40-day trip to Rome"),
        ("What is 20% of 50?", "What is 20 of 50?"),
        ("What are the two largest cities?", "What is the second largest city?"),
        ("Who won World War II?", "Who won World War I?"),
    ],
    "negation": [
        ("Which plants are poisonous?", "Which plants are not poisonous?"),
        ("What should I always do?", "What should I never do?"),
    ],
    "closed_words": [
        ("Who invented the phone?", "When was the phone invented?"),
        ("Can I drink milk?", "Should I drink milk?"),
        ("Is Ann a nurse?", "Was Ann a nurse?"),
        ("Do all cats swim?", "Do most cats swim?"),
        ("What to eat before a run?", "What to eat after a run?"),
        ("Tea with milk", "Tea without milk"),
        ("Is it tea and milk?", "Is it tea or milk?"),
        ("Do few dogs bite?", "Do a few dogs bite?"),
        ("How do people treat me?", "How do people treat you?"),
        ("how to make me laugh", "how to make you laugh"),
        ("Can I see the file?", "Can you see the file?"),
        ("Does he still smoke?", "Does he smoke?"),
    ],
    "pronouns": [
        ("Do I know if you like me?", "Do I know if I like you?"),
        ("Did he see her?", "Did she see him?"),
        ("What if he would reject her?", "What if they would reject her?"),
    ],
    "verbatim": [
        ("Explain `a.b`", "Explain `a.c`"),
        ("What is in /etc/hosts?", "What is in /etc/passwd?"),
        ("git log --oneline", "git log --stat"),
    ],
    "quotations": [('Translate "good day"', 'Translate "good night"')],
    "operators": [
        ("What is -5 + 3?", "What is 5 + 3?"),
        ("What is 5-3?", "What is 5/3?"),
        ("What is 2 + 3?", "What is 2 * 3?"),
        ("if a < b", "if a > b"),
        ("Does \U0001f34e contain sugar?", "Does \U0001f34c contain sugar?"),
        ("What is the sign \u2642 for?", "What is the sign \u2640 for?"),
        ("Is he home? Yes", "Is he home. Yes"),
    ],
    "names": [
        ("Is vitamin A good?", "Is vitamin good?"),
        ("Is Ann Clark a nurse?", "Is Ann Bailey a nurse?"),
        ("What does NASA do?", "what does esa do?"),
        ("Does it play mp3?", "Does it play mp4?"),
        ("What happened in Iran?", "What happened in Iraq?"),
    ],
    "order": [
        ("Does Ann hurt Bob?", "Does Bob hurt Ann?"),
        ('Rename a_b to "c"', 'Rename "c" to a_b'),
        ("Only Ann likes Bob, why?", "Ann only likes Bob, why?"),
        ("Is he not tall and rich?", "Is he tall and not rich?"),
        ("Convert Celsius to Kelvin", "Convert Kelvin to Celsius"),
        ("clean it with salt and water", "clean it with salt water"),
        ("How do I make him like me?", "How do I make me like him?"),
        ("Is Monday before or after a holiday?", "Is a holiday before or after Monday?"),
        ("Is Ann close to Bob's mother?", "Is Bob close to Ann's mother?"),
        ("Which dogs bite cats and mice?", "Which mice and dogs bite cats?"),
        ("Was Ann seen by Bob?", "Did Ann see Bob?"),
        ("Why did Ann and Bob leave Eve?", "Why did Eve and Bob leave Ann?"),
        ("Why do my neighbors hate me?", "Why do I hate my neighbors?"),
        ("Sort by name, then by date", "Sort by date, then by name"),
        ("Add 3 to 10 and double it", "Double 3 and add it to 10"),
    ],
    "contrast": [
        ("How to install it on a server?", "How to uninstall it on a server?"),
        ("how to read json", "how to read yaml"),
        ("meetings on monday", "meetings on friday"),
        ("Is it a legal drug?", "Is it an illegal drug?"),
        ("meet at 5 am", "meet at 5 pm"),
        ("Is he able to walk?", "Is he unable to walk?"),
        ("He is the employer", "He is the employee"),
        ("How do I gain weight?", "How do I lose weight?"),
    ],
    "roles": [
        ("flights from rome to oslo", "flights to rome from oslo"),
        ("Sell it to Apple", "Sell it for Apple"),
        ("meet at 5", "meet by 5"),
        ("Talk to me", "Talk about me"),
        ("What is it for?", "What is it about?"),
        ("a letter to my boss", "a letter about my boss"),
    ],
    "sides": [
        ("Which tools need electricity?", "Which tools does electricity need?"),
        ("Which cities have a harbour?", "Which cities does a harbour have?"),
        ("Which house is behind the mill?", "Which house is the mill behind?"),
        ("What is the lamp on?", "What is on the lamp?"),
        ("Who is Ann after in the queue?", "Who is after Ann in the queue?"),
        ("Which class is over mine?", "Which class is mine over?"),
        ("Does more sleep mean less stress?", "Does less sleep mean more stress?"),
    ],
    "unbound": [
        ("How do I report my neighbor?", "How do I report to my neighbor?"),
        ("How do I shoot the dog?", "How do I shoot at the dog?"),
        ("What is the shed called that is in the barn?", "What is in the shed that is called the barn?"),
    ],
    "inflection": [
        ("He walks to school", "He walked to school"),
        ("Who runs the club?", "Who ran the club?"),
        ("Is he bored?", "Is he boring?"),
    ],
    "pivot": [("Is Ann a nurse?", "Is Ann a real nurse?")],
    "text": [("Sum it up: a b", "Sum it up: b a"), ("Sum it up\na", "Sum it up\nb")],
    "capitals": [
        ("What is SOAP?", "What is soap?"),
        ("What are TIPS?", "what are tips"),
        ("How do I cook in Turkey?", "How can I cook in turkey?"),
        ("What does getName do?", "What does getname do?"),
        ("Is 5 Mb much?", "Is 5 MB much?"),
        ("Was machen Weise?", "Was machen weise?"),
        ("Which members does WHO have?", "Which members does who have?"),
        ("How do I get the most out of IT?", "How do I get the most out of it?"),
    ],
    "accents": [
        ("Is it an a\xf1o?", "Is it an ano?"),
        ("What does \u72d7 eat?", "What does \u732b eat?"),
    ],
    "tongue": [("Ist der Pilz giftig?", "Ist der Pilz giftig, oder?")],
    "long": [("word " * 61, "word " * 61)],
}

ALIKE = {
    "numbers": [("Name five rivers", "Name 5 rivers"), ("a prize of 1,000", "a prize of 1000")],
    "negation": [("Why don't cats swim?", "Why do cats not swim?")],
    "closed_words": [("How do I get rid of ants?", "How can one get rid of ants?")],
    "names": [
        ("Who founded Starbucks?", "who founded starbucks?"),
        ("Who is Christopher?", "Who is Christoper?"),
    ],
    "order": [
        ("Compare Rome and Oslo", "Compare Oslo and Rome"),
        ("Is Ann an actress and Brazilian?", "Is Ann a Brazilian actress?"),
        ("Is Ann an actor or a singer?", "Is Ann a singer or an actor?"),
        ("Is Ann married to Bob?", "Is Bob married to Ann?"),
        ("In Kotlin, how can I sort dates?", "How do I sort dates in Kotlin?"),
        ("Was the horse sold by Ann?", "Did Ann sell the horse?"),
        ("Who won the prize in 2009?", "The 2009 prize was won by whom?"),
        ("Who do voters think is the best chef?", "Who is the best chef according to voters?"),
    ],
    "contrast": [("What is a good book?", "What is a good novel?")],
    "sides": [
        ("Which drawer is the key in?", "In which drawer is the key?"),
        ("What do Ann and Bob have in common?", "What do Bob and Ann have in common?"),
        ("What do I need for a tent?", "What do I need for tents?"),
    ],
    "unbound": [
        ("Is Ann married to Bob?", "Is Bob married to Ann?"),
        ("a pact between Ann and Bob", "a pact between Bob and Ann"),
    ],
    "quotations": [('What is "love"?', "What is 'love'?")],
}


@pytest.mark.parametrize(("name", "one", "other"), [(name, *pair) for name in TRAPS for pair in TRAPS[name]])
def test_a_guard_objects(name: str, one: str, other: str) -> None:
    here, there = features_of(one), features_of(other)

    assert GUARD[name](here, there)
    assert GUARD[name](there, here)


@pytest.mark.parametrize(("name", "one", "other"), [(name, *pair) for name in ALIKE for pair in ALIKE[name]])
def test_a_guard_lets_pass(name: str, one: str, other: str) -> None:
    here, there = features_of(one), features_of(other)

    assert not GUARD[name](here, there)
    assert not GUARD[name](there, here)


def test_every_guard_has_a_trap() -> None:
    assert TRAPS.keys() == GUARD.keys()


def test_the_first_guard_that_objects_is_named() -> None:
    here, there = features_of("Is Ann 5?"), features_of("Is Ann not 6?")

    assert objection(here, there) == "numbers"


def test_questions_of_one_form_are_never_kept_apart() -> None:
    here, there = features_of("word " * 70), features_of("Please, word " + "word " * 69)

    assert objection(here, there) == ""


@given(st.text(max_size=120), st.text(max_size=120))
def test_guards_hold_both_ways(one: str, other: str) -> None:
    here, there = features_of(one), features_of(other)

    assert objection(here, there) == objection(there, here)


@pytest.mark.parametrize(
    ("one", "other"), [("christopher", "christoper"), ("abc", "acb"), ("abc", "abd"), ("abc", "abcd")]
)
def test_one_edit_is_one_letter(one: str, other: str) -> None:
    assert one_edit(one, other)
    assert one_edit(other, one)


@pytest.mark.parametrize(
    ("one", "other"), [("abc", "abc"), ("abc", "cba"), ("abc", "abcde"), ("abcd", "badc")]
)
def test_more_or_less_is_not_one_edit(one: str, other: str) -> None:
    assert not one_edit(one, other)


#: Pairs whose answers differ, with the kind of what differs; written by whoever wrote the guards.
MORE_TRAPS = Path(__file__).with_name("traps.tsv")


def test_no_trap_is_past_the_guards_and_shares_every_word() -> None:
    """Those in which a word differs are past them, and must be alike as no two questions with other words are."""
    passed = []
    for line in MORE_TRAPS.read_text(encoding="utf-8").splitlines():
        _, one, other = line.split("\t")
        here, there = features_of(one), features_of(other)
        if not objection(here, there) and not tier_of(here, there):
            passed.append(line)

    assert passed == []
