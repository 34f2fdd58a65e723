"""Which comments ask for a run."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccci import parse_trigger

SPACE = st.text(" \t\r\n\f\v\u00a0\u2003", max_size=5)
WORDS = {"!testme": (True, False), "!testme --quick": (True, True)}


@given(before=SPACE, word=st.sampled_from(sorted(WORDS)), after=SPACE)
def test_white_space_around_is_forgiven(before: str, word: str, after: str) -> None:
    """Each of the two comments means the same with any white space around it."""
    assert parse_trigger(before + word + after) == WORDS[word]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "!",
        "testme",
        "!testmexyz",
        "!TESTME",
        "!testme  --quick",
        "!testme --quick --quick",
        "!testme --slow",
        "!testme\n--quick",
        "please !testme",
        "!testme please",
        "> !testme",
        "`!testme`",
        "!testme.",
        "! testme",
        "!testme --quick=1",
        "!testme\n!testme",
        "!testme\0",
        "\ufeff!testme",
        "!testme\u200b",
        "\u01c3testme",
        "!testme \u2013quick",
        "--quick !testme",
        "!testme;id",
        "<!testme>",
    ],
)
def test_anything_else_asks_for_nothing(text: str) -> None:
    """What is not the whole comment does not trigger: quotes, sentences, other case, look-alikes, more words."""
    assert parse_trigger(text) == (False, False)


@given(st.text() | st.builds("{}{}{}".format, st.text(max_size=3), st.sampled_from(sorted(WORDS)), st.text(max_size=3)))
@example("!testme --quick!")
def test_only_the_two_comments_trigger(text: str) -> None:
    """For any text the answer is that of the text without the white space around it, and nothing else triggers."""
    assert parse_trigger(text) == WORDS.get(text.strip(), (False, False))
    assert parse_trigger(text) != (False, True)
