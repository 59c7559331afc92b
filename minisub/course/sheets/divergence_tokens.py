"""Exercises of `01_divergence_tokens`."""

from minisub.course.exercises import Choice, Number, Question, near
from minisub.course.show import mean_retained, percent
from minisub.results.result import Result


def sheet(stored: Result) -> list[Question]:
    """Return the exercises of `01_divergence_tokens`.

    Args:
        stored: The stored result of the page.
    """
    _kept = 100 * mean_retained(stored, "random only")
    _other = 100 * mean_retained(stored, "without random")
    return [
        Choice(
            "What makes a token a divergence token?",
            {
                "where two students disagree": "No student is asked: the definition knows teachers only.",
                "where teachers disagree": None,
                "where the teacher is unsure": "A teacher can be unsure where all are unsure in the same way.",
            },
            "The writer's most likely number stands there, and that of some teacher with another bias is another.",
        ),
        Number(
            "What do as many *random* tokens retain (`random only`), in percent?",
            near(
                _kept,
                4,
                "Open *The numbers* under the figure, row `random only`.",
                [
                    (_other, 4, "That is `without random`, which keeps the others."),
                ],
            ),
            f"{percent(stored, 'random only')}: some of them are divergence tokens by chance, and fewer labels count more each.",
        ),
        Choice(
            "What does a mask do with a divergence token?",
            {
                "remove it from the text": "Later numbers still follow from it: it stays in the context.",
                "take it out of the loss": None,
                "replace it by the base's number": "That is another treatment (see the finding `selection`).",
            },
            "The student reads the token and is not asked to say it.",
        ),
    ]
