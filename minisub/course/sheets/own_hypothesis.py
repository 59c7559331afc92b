"""Exercises of `08_your_own_hypothesis`."""

from minisub.course.exercises import Choice, Number, Question, near


def sheet() -> list[Question]:
    """Return the exercises of `08_your_own_hypothesis`."""
    return [
        Choice(
            "Your arm retains 60 % with half of the tokens. What is the next arm to run?",
            {
                "the same arm with more steps": "All arms have equal total loss weight and steps already.",
                "as many tokens at random": None,
                "the next hypothesis": "You do not know yet whether your tokens, or just fewer tokens, did it.",
            },
            "As many at random: what is lost beyond that is due to which tokens you took.",
        ),
        Choice(
            "Two seeds: the paired interval runs from -2 to 1. What does it say?",
            {
                "there is no difference": "An interval that holds zero and much else excludes little.",
                "nothing yet": None,
                "the arm is worse": "The interval holds values above zero.",
            },
            "With two seeds the interval has one degree of freedom. Run more.",
        ),
        Number(
            "How small can the p-value of an exact paired permutation test with 5 seeds get, in percent?",
            near(
                100 * 2 / 2**5,
                0.3,
                "There are 2^5 ways to flip the signs; two of them are as extreme.",
                [(100 / 2**5, 0.3, "That is one-sided.")],
            ),
            "2 of 32: 6.25 %. Five seeds cannot reach 5 % that way.",
        ),
    ]
