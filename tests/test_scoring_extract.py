"""The table of replies that fixes what strict and lenient extraction find, and properties that hold for any reply."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.items import Item
from bench.scoring.clean import clean, last_box, plain
from bench.scoring.extract import grade, lenient, strict
from bench.scoring.states import visible_text

NAMES = {"names": ["Mira", "Talo", "Ana Bel", "Ana", "Zoe"]}
ABC = {"letters": "abc"}

# (kind, check, reply, strict, lenient)
TABLE = [
    ("int", {}, "Answer: 42", "42", "42"),
    ("int", {}, "**Answer: 42**", None, "42"),
    ("int", {}, r"Answer: $\boxed{42}$", None, "42"),
    ("int", {}, "### Answer\n42", None, "42"),
    ("int", {}, "Answer: 42\n\nLet me know if you need more.", None, "42"),
    ("int", {}, "Answer: 42 apples", None, "42"),
    ("int", {}, "Answer: −42", None, "-42"),  # a real minus sign
    ("int", {}, "Answer: 40\nWait.\nAnswer: 42", "42", "42"),
    ("int", {}, "Answer: 6*7 = 42", None, "42"),
    ("int", {}, "Answer: 42 or 43", None, None),
    ("int", {}, "The sum is 42. Check 7.", None, None),
    ("int", {}, "<think>Answer: 7", None, None),
    ("int", {}, "<think>Answer: 7</think>\nAnswer: 42", "42", "42"),
    ("int", {}, "Answer: <number>", None, None),
    ("int", {}, "I can't help with that.", None, None),
    ("int", {}, "Answer: -42", "-42", "-42"),
    ("int", {}, "Answer: +42", "42", "42"),
    ("int", {}, "Answer: 1,234", None, "1234"),
    ("int", {}, "Answer: 12 345", None, "12345"),
    ("int", {}, "Answer: 42.0", None, "42"),
    ("int", {}, "Answer: 42.5", None, None),
    ("int", {}, "Answer: 42.", None, "42"),
    ("int", {}, "Answer: 42%", None, None),
    ("int", {}, "Answer: $42", None, "42"),
    ("int", {}, "Answer: <42>", None, "42"),
    ("int", {}, "Answer: 1,23", None, None),
    ("int", {}, "Answer: 42nd", None, None),
    ("int", {}, "Answer: x42", None, None),
    ("int", {}, "Answer: 4²", None, None),
    ("int", {}, "Answer: not 42", None, None),
    ("int", {}, "Answer: at least 42", None, None),
    ("int", {}, "Answer: 40–44", None, None),  # a range with an en dash
    ("int", {}, "Answer: Mira 12, Talo 30", None, None),
    ("int", {}, "Answer: Mira has 42 coins.", None, "42"),
    ("int", {}, "Answer: forty-two", None, None),
    ("int", {}, "Answer:42", None, "42"),
    ("int", {}, "Answer：42", None, "42"),  # a full-width colon
    ("int", {}, "answer = 42", None, "42"),
    ("int", {}, "- **Final Answer:** 42", None, "42"),
    ("int", {}, "> The answer is **42**.", None, "42"),
    ("int", {}, "The final answer is: `42`", None, "42"),
    ("int", {}, "**Answer**\n\n$$42$$", None, "42"),
    ("int", {}, "Answer:\n- 42", None, "42"),
    ("int", {}, "```\nAnswer: 42\n```", None, "42"),
    ("int", {}, "Answer: 42\r\n", "42", "42"),
    ("int", {}, "   Answer: 42  ", "42", "42"),
    ("int", {}, r"So we get \boxed{42}. I checked the 3 steps.", None, "42"),
    ("int", {}, r"\boxed{7} was wrong, so \boxed{\text{42 coins}}", None, "42"),
    ("int", {}, r"\boxed{42", None, None),
    ("int", {}, "So the answer is 42. Step 7 confirms it.", None, "42"),
    ("int", {}, "I say answer: 41, no, answer: 42", None, "42"),
    ("int", {}, "So the answer is either 41 or 42.", None, None),
    ("int", {}, "40 + 2 = 42", None, "42"),
    ("int", {}, "She ends up with 42 coins", None, "42"),
    ("int", {}, "Mira has 42 coins left.", None, "42"),
    ("int", {}, "I used 3 steps to work it out.", None, None),
    ("int", {}, "42", None, "42"),
    ("int", {}, "Check 7", None, None),
    ("int", {}, "It cannot be determined.", None, None),
    ("int", {}, "", None, None),
    ("int", {}, "\n \n", None, None),
    ("int", {}, "Answer:", None, None),
    ("int", {}, "Answer: 42\nAnswer: unknown", None, None),
    ("int", {}, "Answer: " + "9" * 5000, None, None),
    ("int", {}, "Answer: ٤٢", None, None),  # digits, but not the ones we asked for
    ("int", {}, "thinking…</think>Answer: 42", "42", "42"),
    ("dec", {"digits": 2}, "Answer: 3.14", "3.14", "3.14"),
    ("dec", {"digits": 2}, "Answer: about 1,003.5 km", None, "1003.5"),
    ("dec", {"digits": 1}, "Answer: 12.5%", None, None),
    ("dec", {"digits": 1, "percent": True}, "Answer: 12.5%", "12.5", "12.5"),
    ("dec", {"digits": 1}, "Answer: 1.5 or 1.6", None, None),
    ("name", NAMES, "Answer: Mira", "Mira", "Mira"),
    ("name", NAMES, "Answer: mira", "Mira", "Mira"),
    ("name", NAMES, "Answer: Mr. Mira!", None, "Mira"),
    ("name", NAMES, "Answer: Mira's", None, "Mira"),
    ("name", NAMES, "Answer: Miranda", None, None),
    ("name", NAMES, "Answer: Mira or Talo", None, None),
    ("name", NAMES, "Answer: Mira, Talo", None, None),
    ("name", NAMES, "Answer: not Mira", None, None),
    ("name", NAMES, "Answer: Ana Bel", "Ana Bel", "Ana Bel"),
    ("name", NAMES, "Answer: Ana", "Ana", "Ana"),
    ("name", NAMES, "So it must be Talo.", None, "Talo"),
    ("name", NAMES, "Answer: <one name>", None, None),
    ("names", NAMES, "Answer: Mira, Talo, Zoe", "Mira, Talo, Zoe", "Mira, Talo, Zoe"),
    ("names", NAMES, "Answer: Mira > Talo -> Zoe", None, "Mira, Talo, Zoe"),
    ("names", NAMES, "Answer: Mira; Talo and Zoe", None, "Mira, Talo, Zoe"),
    ("names", NAMES, "**Answer:**\n1. Mira\n2. Talo\n3. Zoe\n\nAna is not in it.", None, "Mira, Talo, Zoe"),
    ("set", NAMES, "Answer: Zoe, Mira", "Mira, Zoe", "Mira, Zoe"),
    ("set", NAMES, "Answer: Zoe and Mira tell the truth", None, "Mira, Zoe"),
    ("set", NAMES, "Answer: Zoe and Mira, but not Talo", None, None),
    ("date", {}, "Answer: 2026-03-14", "2026-03-14", "2026-03-14"),
    ("date", {}, "Answer: Saturday, March 14, 2026", None, "2026-03-14"),
    ("date", {}, "Answer: 14th of March 2026", None, "2026-03-14"),
    ("date", {}, "Answer: 03/04/2026", None, None),
    ("date", {}, "Answer: 2026-02-30", None, None),
    ("date", {}, "Answer: YYYY-MM-DD", None, None),
    ("time", {}, "Answer: 09:05", "09:05", "09:05"),
    ("time", {}, "Answer: 9:05 pm", None, "21:05"),
    ("time", {}, "Answer: 12 a.m.", None, "00:00"),
    ("time", {}, "Answer: 25:00", None, None),
    ("time", {}, "Answer: 9", None, None),
    ("bool", {}, "Answer: yes", "yes", "yes"),
    ("bool", {}, "Answer: True", "yes", "yes"),
    ("bool", {}, "Answer: No, they differ.", None, "no"),
    ("bool", {}, "Answer: yes or no", None, None),
    ("bool", {}, "No, I would not say so.", None, None),
    ("letters", ABC, "Answer: abca", "abca", "abca"),
    ("letters", ABC, "Answer: a b c a", None, "abca"),
    ("letters", ABC, 'Answer: "ABCA"', None, "abca"),
    ("letters", ABC, "Answer: the string is abca.", None, "abca"),
    ("letters", ABC, "Answer: bca -> abca", None, "abca"),
    ("letters", ABC, "Answer: abcd", None, None),
    ("letters", ABC, "Answer: <letters>", None, None),
    ("letters", ABC, "It ends as a", None, None),
    ("text", {}, "Answer:  two  words ", "two words", "two words"),
    ("text", {}, "Answer: <FORM>", None, None),
    ("text", {}, "no marker here", None, None),
]


@pytest.mark.parametrize(("kind", "check", "reply", "strictly", "leniently"), TABLE)
def test_the_table(kind, check, reply, strictly, leniently):
    visible, _ = visible_text(reply)
    assert (strict(kind, visible, check), lenient(kind, visible, check)) == (strictly, leniently)


def test_the_table_is_long_enough():
    assert len(TABLE) >= 32
    assert sum(kind == "int" for kind, *_ in TABLE) >= 40


def _item(kind: str, target: str, check: dict | None = None) -> Item:
    return Item(
        id="x",
        task="x",
        level=1,
        cluster="x",
        prompt="x",
        target=target,
        kind=kind,
        check=json.dumps(check or {}),
        witness="",
        size=1,
        tokens_in=1,
    )


@pytest.mark.parametrize(
    ("kind", "target", "check", "reply", "value", "value_strict"),
    [
        ("int", "42", {}, "Answer: 42", 1, 1),
        ("int", "42", {}, "Answer: 42 coins", 1, 0),
        ("int", "42", {}, "Answer: 43", 0, 0),
        ("dec", "3.14", {"digits": 2}, "Answer: 3.144", 1, 1),
        ("dec", "3.14", {"digits": 2}, "Answer: 3.146", 0, 0),
        ("set", "Mira, Zoe", NAMES, "Answer: Zoe, Mira", 1, 1),
        ("names", "Mira, Zoe", NAMES, "Answer: Zoe, Mira", 0, 0),
        ("text", "Two words", {}, "Answer: two  words", 1, 1),
    ],
)
def test_a_grade_compares_as_the_kind_does(kind, target, check, reply, value, value_strict):
    graded = grade(_item(kind, target, check), reply)
    assert (graded.value, graded.value_strict) == (value, value_strict)


def test_no_answer_is_a_scored_zero_with_its_reason():
    graded = grade(_item("int", "42"), "I would rather talk about the weather.")
    assert (graded.state, graded.value, graded.reason, graded.answer) == ("scored", 0.0, "no_answer", None)


@pytest.mark.parametrize(
    ("wrapped", "inside"),
    [
        (r"\boxed{\text{Mira}}", "Mira"),
        (r"\(42\)", "42"),
        (r"1{,}234", "1,234"),
        ("“Mira”", "Mira"),
        ("__Mira__;", "Mira"),
        ("x²", "x^2"),
    ],
)
def test_wrapping_comes_off(wrapped, inside):
    assert clean(wrapped) == inside


def test_the_last_balanced_box_wins():
    assert last_box(r"\boxed{1} \boxed{\frac{2}{3}} \boxed{4") == r"\frac{2}{3}"
    assert last_box("{" * 10_000 + r"\boxed{" * 1_000) is None


def test_minus_signs_become_one():
    assert plain("−1 ‐2 –3") == "-1 -2 -3"


_PIECES = [
    "Answer: ",
    "answer is ",
    "**",
    "\\boxed{",
    "}",
    "{",
    "42",
    "4",
    "-",
    ",",
    ".",
    " or ",
    "=",
    "\n",
    " ",
    "`",
    "$",
]
_PIECES += [
    "<think>",
    "</think>",
    "Mira",
    "Talo",
    "abc",
    "é",
    "²",
    "½",
    "\u2028",
    "\x00",
    "I can't",
    "not",
    "🙂",
    "%",
    "yes",
]
_PIECES += ["2026-03-14", "9:05", "pm"]


def test_ten_thousand_fuzzed_replies_never_raise():
    rng = random.Random(7)
    kinds = [("int", {}), ("dec", {"digits": 2}), ("name", NAMES), ("names", NAMES), ("set", NAMES), ("date", {})]
    kinds += [("time", {}), ("bool", {}), ("letters", ABC), ("text", {}), ("nobody's", {})]
    for n in range(10_000):
        reply = "".join(rng.choices(_PIECES, k=rng.randrange(30)))
        kind, check = kinds[n % len(kinds)]
        visible, _ = visible_text(reply)
        strictly, leniently = strict(kind, visible, check), lenient(kind, visible, check)
        if strictly is not None and kind not in ("text", "nobody's"):
            assert leniently == strictly, reply


@given(st.text(max_size=200), st.sampled_from(["int", "dec", "date", "time", "bool", "text"]))
@settings(max_examples=200, deadline=None)
def test_any_text_at_all_is_read_without_raising(reply, kind):
    graded = grade(_item(kind, "42", {"digits": 1}), f"Answer: {reply}")
    assert graded.value in (0.0, 1.0)
