"""Exercises of `06_when_does_it_fail`."""

from minisub.course.exercises import Choice, Number, Question, near
from minisub.course.show import mean_retained, percent
from minisub.results.result import Result


def sheet(stored: Result) -> list[Question]:
    """Return the exercises of `06_when_does_it_fail`.

    Args:
        stored: The stored result of the page.
    """
    return [
        Choice(
            "300 lists, read 64 times each, against 9600, read twice: what is lost?",
            {
                "steps": "`60 teacher steps, 300 lists` has as many steps as the default: it repeats.",
                "different divergence tokens": None,
                "learning rate": "It is the same in both.",
            },
            "The number of different divergence tokens falls with the lists.",
        ),
        Number(
            "What does `SGD` retain, in percent (5 either way is right)?",
            near(
                100 * mean_retained(stored, "SGD"),
                5,
                "Pick `SGD` above, with the measure `transfer retained`: it is a share of `all, best rate`.",
                [
                    (
                        100 * stored.mean("SGD") / stored.mean("all"),
                        5,
                        "That is a share of `all`, at the usual rate.",
                    ),
                ],
            ),
            f"{percent(stored, 'SGD')}, as a share of `all, best rate`.",
        ),
        Choice(
            "One dial makes the transfer vanish in one seed. Is the dial's value too low?",
            {
                "yes": "Compare the dots of `all`: how far apart are seeds with the same setting?",
                "one seed does not tell: look at the spread of the seeds": None,
            },
            f"Seeds differ at the same setting: `all` runs from {min(stored.values('all')):.2f} to "
            f"{max(stored.values('all')):.2f} nats (they also train different animals).",
        ),
    ]
