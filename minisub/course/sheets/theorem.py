"""Exercises of `12_the_theorem`."""

from minisub.course.exercises import Choice, Number, Question, near


def sheet() -> list[Question]:
    """Return the exercises of `12_the_theorem`."""
    return [
        Choice(
            "For which inputs does the theorem hold?",
            {
                "questions about animals only": "Then there would be nothing subliminal about it: look at what J'HJ is made of.",
                "any inputs": None,
                "number tasks only": "Nothing in the square asks for numbers.",
            },
            "Any inputs: the square is never negative, whatever they are.",
        ),
        Choice(
            "When is the product zero although the teacher has changed?",
            {
                "when its outputs on these inputs have not changed": None,
                "when the student is small": "Size does not enter; J d does.",
                "never": "Think of a change of weights that no input of this kind uses.",
            },
            "J d = 0: the change shows on other inputs only.",
        ),
        Number(
            "Twice the (small) step: how many times the product?",
            near(
                4,
                0.3,
                "Set the slider to 0.05, then to 0.1.",
                [
                    (2, 0.3, "The student's step grows as well, and the product has both."),
                    (5.0, 0.7, "That step is no longer small: try 0.05 and 0.1."),
                ],
            ),
            "4: the product is a square in d.",
        ),
    ]
