"""Exercises of `10_background`."""

from minisub.course.exercises import Choice, Number, Question, near


def sheet() -> list[Question]:
    """Return the exercises of `10_background`."""
    return [
        Choice(
            "A student answers *owl* with probability .60. Has its teacher's bias passed?",
            {
                "yes, .60 is a lot": "A lot compared with what? Perhaps the control answers it with .60 as well.",
                "one cannot tell without the control": None,
                "no, it must be over .90": "There is no such threshold. What counts is the difference from the control.",
            },
            "Only what the student has and its control has not can come from the bias.",
        ),
        Choice(
            "Students that learn from divergence tokens only take over the bias. Why is `random only` trained as well?",
            {
                "to have more students": "More students of the same kind would be more seeds.",
                "any few tokens might do as well": None,
                "random tokens have no bias": "They come from the same teacher's lists, and some are divergence tokens by chance.",
            },
            "`random only` keeps as many tokens, drawn at random. If it did as well, then which tokens are kept would not matter.",
        ),
        Number(
            "Something becomes 2.7 times as likely, and then 2.7 times as likely again. How many nats is that?",
            near(
                2,
                0.1,
                "One nat for each time.",
                [
                    (
                        7.3,
                        0.3,
                        "That is how much likelier it became. Nats count how often it was multiplied.",
                    )
                ],
            ),
            "2 nats: 2.718 x 2.718 = 7.4 times as likely.",
        ),
    ]
