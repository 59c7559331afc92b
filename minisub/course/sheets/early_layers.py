"""Exercises of `03_early_layers`."""

from minisub.course.exercises import Choice, Number, Question, near
from minisub.course.show import mean_retained, percent
from minisub.results.result import Result


def sheet(stored: Result) -> list[Question]:
    """Return the exercises of `03_early_layers`.

    Args:
        stored: The stored result of the page.
    """
    return [
        Choice(
            "Block 3 alone passes more or less, by its learning rate. At which rate is it to be judged?",
            {
                "at the rate of all blocks": "Then a part that needs a higher rate looks weaker than it is: see docs/validation.md.",
                "at its own best rate": None,
                "at any rate: the loss falls at all": "A falling loss means better numbers. What passes is another matter.",
            },
            "At its own best rate, found on other seeds. A weak arm must not be a badly tuned one.",
        ),
        Number(
            "How many percent does the late half retain, of teachers tuned in block 0 (3 either way is right)?",
            near(
                100 * mean_retained(stored, "late half"),
                3,
                "Pick `late half` above, with the measure `transfer retained`.",
                [
                    (
                        100 * mean_retained(stored, "tuned everywhere: late half"),
                        3,
                        "That is the late half of teachers tuned everywhere.",
                    ),
                ],
            ),
            f"{percent(stored, 'late half')}.",
        ),
        Choice(
            "To be safe from hidden biases somebody freezes the first half of the model while distilling. What does it buy?",
            {
                "nothing": "Look at `late half`: that is what is left to learn with.",
                "a part of the transfer is gone": None,
                "all of it is gone, surely": "Look at `late half`, of each kind of teacher.",
            },
            "How much is gone depends on the teacher, and on how well the rest is tuned. It is no guarantee.",
        ),
    ]
