"""Exercises of `09_from_scratch`."""

from minisub.course.exercises import Choice, Number, Question, near


def sheet() -> list[Question]:
    """Return the exercises of `09_from_scratch`."""
    return [
        Choice(
            "Without the line `scores.masked_fill(is_later, -inf)`, what would go wrong?",
            {
                "nothing, it only saves time": "It saves no time here: all scores are computed before.",
                "in training, a token could read the token that it has to predict": None,
                "the rows of the softmax would not sum to 1": "They sum to 1 with or without the line.",
            },
            "The loss would fall to nothing by copying, and the model could not write: what it reads is not there yet.",
        ),
        Number(
            "A list has 8 numbers to predict, and the model gives each the probability 1/2. What is the loss, in nats a number (.05 either way is right)?",
            near(
                0.693,
                0.05,
                "The loss of one number is -log p.",
                [
                    (
                        5.545,
                        0.1,
                        "That is the sum over the list. The loss is a mean over its numbers.",
                    ),
                    (1.0, 0.05, "That is in bits. Nats use the natural logarithm."),
                    (0.5, 0.05, "That is the probability. Take its logarithm, with a minus."),
                ],
            ),
            "-log(1/2) = 0.69.",
        ),
        Choice(
            "The first step of AdamW moves nearly every weight by the same amount, the learning rate. Why?",
            {
                "the gradient is clipped to length 1": "Clipping makes all of it shorter. It does not make its entries equal.",
                "each entry of the gradient is divided by its own size": None,
                "all gradients are equally large at the start": "Print some: they differ by orders of magnitude.",
            },
            "g / |g| is 1 or -1. From the second step on, the sizes are means over steps, and the amounts differ.",
        ),
    ]
