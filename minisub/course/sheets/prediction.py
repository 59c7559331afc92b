"""Exercises of `07_predict_before_you_train`."""

from minisub.course.exercises import Choice, Number, Question, near
from minisub.course.show import correlation
from minisub.results.result import Result


def sheet(stored: Result) -> list[Question]:
    """Return the exercises of `07_predict_before_you_train`.

    Args:
        stored: The stored result of the page.
    """
    return [
        Choice(
            "For which student does the theorem say nothing?",
            {
                "one that trains block 0 only": "It still shares its start; the product is taken over block 0.",
                "one that starts from another base": None,
                "one that learns from divergence tokens only": "It shares its start. Strictly, the theorem wants the teacher's outputs everywhere; but a shared start is what it cannot do without.",
            },
            "Without a shared start the two steps live in unrelated coordinates.",
        ),
        Number(
            "What is the rank correlation of `inner` with the transfer, times 100 (5 either way is right)?",
            near(
                100 * correlation(stored),
                5,
                "It stands above the left panel; times 100.",
                [
                    (
                        100 * correlation(stored, "coverage"),
                        5,
                        "That is coverage, in the right panel.",
                    ),
                ],
            ),
            f"{100 * correlation(stored):.0f}.",
        ),
        Choice(
            "Two arms have the same inner product, but one step is ten times as long. Which has the larger coverage?",
            {
                "the longer step": "Coverage is the product divided by both lengths.",
                "the shorter step": None,
                "both the same": "The cosine divides by the length of the step.",
            },
            "The cosine divides by the lengths: the same product with a shorter step is a better aim.",
        ),
    ]
