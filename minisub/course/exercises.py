"""Guesses to make before a result is shown, and exercises that say what is wrong."""

from collections.abc import Callable, Sequence
from typing import Any

import marimo as mo

AMOUNTS = ("most of it (over 70 %)", "about half (30 to 70 %)", "little or nothing (under 30 %)")


def amount(share: float) -> str:
    """Return which of `AMOUNTS` a share is."""
    return AMOUNTS[0 if share > 0.7 else 1 if share >= 0.3 else 2]


def guess(question: str, options: Sequence[str] = AMOUNTS) -> Any:
    """Return a question to answer before the result is shown.

    Args:
        question: The question.
        options: Its answers.
    """
    return mo.ui.radio(list(options), label=f"**Your guess first.** {question}")


def reveal(guessed: str | None, found: str, text: str, result: Any) -> mo.Html:
    """Return the guess beside what was found; without a guess the result waits behind a fold.

    Args:
        guessed: The answer, or None.
        found: The right one.
        text: What was measured.
        result: What is shown below.
    """
    if guessed is None:
        folded = mo.vstack([mo.md(f"**{found}**. {text}"), result])
        return mo.accordion({"Guess above, or open this to see the result without": folded})
    is_right = guessed == found
    start = "As you guessed" if is_right else f"You guessed “{guessed}”. Measured"
    callout = mo.callout(
        mo.md(f"{start}: **{found}**. {text}"), kind="success" if is_right else "warn"
    )
    return mo.vstack([callout, result])


def exercise(answer: Any, check: Callable[[Any], str | None], solution: str) -> mo.Html:
    """Return what is wrong with an answer, with the solution behind a fold.

    Args:
        answer: What was answered, or None.
        check: Returns what is wrong, or None where nothing is.
        solution: The solution.
    """
    if answer in (None, ""):
        feedback = mo.md("*Answer above.*")
    else:
        wrong = check(answer)
        feedback = mo.callout(mo.md(wrong or "Right."), kind="warn" if wrong else "success")
    return mo.vstack([feedback, mo.accordion({"Solution": mo.md(solution)})])


def choice(right: str, hints: dict[str, str]) -> Callable[[str], str | None]:
    """Return a check for a choice, where each wrong option has its own diagnosis.

    Args:
        right: The right option.
        hints: What is wrong with each of the others.
    """
    return lambda answer: None if answer == right else hints[answer]
