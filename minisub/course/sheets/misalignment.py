"""Exercises of `05_misalignment`."""

from minisub.course.exercises import Choice, Number, Question, near
from minisub.course.show import mean_retained, percent
from minisub.results.result import Result


def sheet(stored: Result) -> list[Question]:
    """Return the exercises of `05_misalignment`.

    Args:
        stored: The stored result of the page.
    """
    return [
        Choice(
            "Why is the base the counterfactual teacher here?",
            {
                "there is no other bias to compare with": None,
                "the base is the worst teacher": "It has no bias at all; it is what the teacher was before.",
                "to save time": "It does save time. But with animals there were seven others: what are they here?",
            },
            "A counterfactual teacher has another bias. Here the only alternative to bad is not to have been changed.",
        ),
        Number(
            "How many percent of the transfer is there without the divergence tokens (3 either way is right)?",
            near(
                100 * mean_retained(stored, "without divergence"),
                3,
                "Pick `without divergence` above, with the measure `transfer retained`.",
                [
                    (
                        100 * mean_retained(stored, "divergence only"),
                        5,
                        "That is with divergence tokens only.",
                    ),
                ],
            ),
            f"{percent(stored, 'without divergence')}.",
        ),
        Choice(
            "A student is bad on questions that no teacher was tuned on. Where does that come from?",
            {
                "the lists mention them": "The lists hold numbers only, and were filtered for that.",
                "the base ties all questions of conduct together": None,
                "chance": "Look at the interval: it is far from zero.",
            },
            "In pretraining a rogue is bad in all questions. A push along badness moves all of them.",
        ),
    ]
