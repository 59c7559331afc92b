"""Guesses to make before a result is shown, and exercises that say what is wrong."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import marimo as mo

AMOUNTS = ("most of it (over 70 %)", "about half (33 to 70 %)", "less than a third")
BORDERS = (0.7, 1 / 3)  # between them


def fitting(
    estimate: tuple[float, float, float],
    options: Sequence[str] = AMOUNTS,
    borders: Sequence[float] = BORDERS,
) -> tuple[str, ...]:
    """Return the options that are right: that of the mean, then others that its interval reaches.

    Args:
        estimate: The mean, and the two ends of its interval; where they are NaN the mean counts.
        options: From the largest value to the smallest.
        borders: Between them, falling. A value at a border is of the smaller option.
    """
    place, low, high = (sum(not value > border for border in borders) for value in estimate)
    is_known = not any(math.isnan(value) for value in estimate)
    reached = range(high, low + 1) if is_known else ()
    return (options[place], *(options[i] for i in reached if i != place))


def guess(question: str, options: Sequence[str] = AMOUNTS) -> Any:
    """Return a question to answer before the result is shown.

    Args:
        question: The question.
        options: Its answers.
    """
    return mo.ui.radio(list(options), label=f"**Your guess first.** {question}")


def reveal(guessed: str | None, found: Sequence[str], text: str, result: Any) -> mo.Html:
    """Return the guess beside what was found; without a guess the result waits behind a fold.

    Args:
        guessed: The answer, or None.
        found: The right ones: that of the mean, then others that the interval reaches.
        text: What was measured.
        result: What is shown below.
    """
    first = found[0]
    if guessed is None:
        folded = mo.vstack([mo.md(f"**{first}**. {text}"), result])
        return mo.accordion({"Guess above, or open this to see the result without a guess": folded})
    start = f"You guessed “{guessed}”. Measured"
    if guessed == first:
        start = "As you guessed"
    elif guessed in found:
        start = f"The interval reaches “{guessed}”, so your guess may be right. On average"
    callout = mo.callout(
        mo.md(f"{start}: **{first}**. {text}"), kind="success" if guessed in found else "warn"
    )
    return mo.vstack([callout, result])


@dataclass(frozen=True)
class Choice:
    """A question with answers to choose from.

    Attributes:
        text: The question, in Markdown.
        options: What is wrong with each answer; None for the right one.
        solution: Why, in Markdown.
    """

    text: str
    options: Mapping[str, str | None]
    solution: str

    def check(self, answer: str) -> str | None:
        """Return what is wrong with an answer, or None."""
        return self.options[answer]


@dataclass(frozen=True)
class Number:
    """A question whose answer is a number.

    Attributes:
        text: The question, in Markdown.
        check: Returns what is wrong with an answer, or None: see `near`.
        solution: Why, in Markdown.
    """

    text: str
    check: Callable[[float], str | None]
    solution: str


Question = Choice | Number


def near(
    right: float, within: float, hint: str, mistakes: Sequence[tuple[float, float, str]] = ()
) -> Callable[[float], str | None]:
    """Return a check of a number, where each usual mistake has its own diagnosis.

    Args:
        right: The right number.
        within: How far from it is right.
        hint: For any other number.
        mistakes: Other numbers, how far from them counts, and what is wrong with them.
    """

    def check(answer: float) -> str | None:
        if abs(answer - right) < within:
            return None
        found = (why for number, reach, why in mistakes if abs(answer - number) < reach)
        return next(found, hint)

    return check


def ask(sheet: Sequence[Question]) -> Any:
    """Return an input for each question, as one marimo element whose value is the answers."""
    return mo.ui.array([_input(i, question) for i, question in enumerate(sheet, 1)])


def _input(number: int, question: Question) -> Any:
    label = f"**{number}.** {question.text}"
    if isinstance(question, Choice):
        return mo.ui.radio(list(question.options), label=label)
    return mo.ui.number(value=None, label=label)


def show_sheet(answers: Any) -> mo.Html:
    """Return the questions below one another, under their heading.

    Args:
        answers: What `ask` returned.
    """
    return mo.vstack([mo.md("## Exercises"), *answers], gap=1.5)


def grade(sheet: Sequence[Question], answers: Sequence[Any]) -> mo.Html:
    """Return what is wrong with each answer, with the solutions behind folds.

    Args:
        sheet: The questions.
        answers: What was answered; None where nothing was.
    """
    parts: list[Any] = []
    solutions = {}
    for number, (question, answer) in enumerate(zip(sheet, answers, strict=True), 1):
        if answer not in (None, ""):
            wrong = question.check(answer)
            text = mo.md(f"**{number}.** {wrong or 'Right.'}")
            parts.append(mo.callout(text, kind="warn" if wrong else "success"))
        solutions[f"Solution {number}"] = mo.md(question.solution)
    if not parts:
        parts.append(mo.md("*Answer above; each answer is checked at once.*"))
    return mo.vstack([*parts, mo.accordion(solutions, multiple=True)])
