"""Exercises of `04_fragility`."""

from minisub.course.exercises import Choice, Number, Question, near
from minisub.course.show import mean_retained, percent
from minisub.results.result import Result


def sheet(mixing: Result) -> list[Question]:
    """Return the exercises of `04_fragility`.

    Args:
        mixing: The stored result of `mixing`.
    """
    return [
        Choice(
            "Which of these leaves the numbers of each list as the teacher wrote them?",
            {
                "shuffle within": "It keeps which numbers there are, not their order.",
                "paraphrase": None,
                "equivalent numbers": "It is the paraphrase of the answer: numbers change.",
            },
            "Only the prompt changes in `paraphrase`.",
        ),
        Number(
            "A quarter of the lists come from an unbiased teacher on the same prompts. If mixing were mere dilution, how many percent would be left?",
            near(
                75,
                2,
                "In mere dilution the transfer is proportional to the share of lists that carry the bias.",
                [
                    (
                        100 * mean_retained(mixing, "mix 25%"),
                        4,
                        "That is what was measured, or near it: the question asks for mere dilution.",
                    ),
                ],
            ),
            f"75 %, the share that is left. Measured: {percent(mixing, 'mix 25%')}.",
        ),
        Choice(
            "Does shuffling show that the order carries the bias?",
            {
                "yes": "Look at the task accuracy of the shuffled arms: what else did they unlearn?",
                "no: the shuffled lists are no longer right answers, so much else is lost with them": None,
            },
            "Shuffled lists ruin the task. A treatment that breaks everything shows little about one thing.",
        ),
    ]
