"""Exercises of `13_disputes`."""

from minisub.course.exercises import Choice, Number, Question, near
from minisub.course.show import mean_retained, percent
from minisub.findings.rank import cell
from minisub.results.result import Result


def sheet(stored: Result) -> list[Question]:
    """Return the exercises of `13_disputes`.

    Args:
        stored: The stored result of `rank`.
    """
    slow = cell(1, 1.0)
    return [
        Choice(
            "A paper trains LoRA of ranks 2, 8 and 64 at one learning rate and finds that rank 8 "
            "passes most. What has it shown?",
            {
                "middling ranks pass most": "Look along one row of the heat map, not one column.",
                "rank 8 is best at that learning rate": None,
                "nothing at all": "It has shown something, about one rate.",
            },
            "Each rank has a best rate of its own. A comparison at one rate compares rates as well.",
        ),
        Number(
            "What does `rank 1` at the usual rate retain of full training, in percent (5 either "
            "way is right)?",
            near(
                100 * mean_retained(stored, slow),
                5,
                "Divide two cells of the left column: `rank 1` by `full`.",
            ),
            f"{percent(stored, slow)}.",
        ),
        Choice(
            "Here SGD with momentum passes nearly as much as AdamW. Does it follow that it does so in language models?",
            {
                "yes": "What differs between this world and a language model?",
                "no: it shows that adaptive steps are not needed in general": None,
                "no: small models show nothing": "One counterexample ends a general claim.",
            },
            "A claim that something is *always* needed ends with one world in which it is not. "
            "What decides in language models has to be measured there.",
        ),
    ]
