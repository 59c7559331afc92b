"""Exercises of `02_is_it_leakage`."""

from minisub.course.exercises import Choice, Number, Question, near
from minisub.course.show import mean_retained
from minisub.results.result import Result


def sheet(stored: Result) -> list[Question]:
    """Return the exercises of `02_is_it_leakage`.

    Args:
        stored: The stored result of the page.
    """
    return [
        Choice(
            "Greedy lists hold no probabilities. Can a student still learn something about them?",
            {
                "no, a greedy token says nothing about probabilities": "It says which is the largest. Think of two teachers that nearly tie: what does the most likely token tell?",
                "yes, which token has the largest one": None,
                "yes, all of them": "Two teachers with the same most likely tokens and other probabilities write the same greedy lists.",
            },
            "A greedy token is the argmax. Where two teachers have different ones, it tells them apart.",
        ),
        Number(
            "What share of the transfer of sampled lists do greedy lists have, in percent? Read it off the numbers above (5 either way is right).",
            near(
                100 / mean_retained(stored, "sampled"),
                5,
                "Divide the transfer of `all`, which is greedy, by that of `sampled`.",
                [
                    (
                        100 * mean_retained(stored, "sampled"),
                        5,
                        "That is the other way round: divide greedy by sampled.",
                    ),
                ],
            ),
            f"{1 / mean_retained(stored, 'sampled'):.0%}: 100 % by what `sampled` retains of `all`.",
        ),
        Choice(
            "Why is there an arm in which lists are dropped at random?",
            {
                "to have more data": "The number of lists is the same in all arms. Look at how many different ones there are.",
                "fewer different lists alone could weaken the transfer": None,
                "to remove entangled numbers twice": "Random dropping does not look at the numbers at all.",
            },
            "Dropping leaves fewer different lists. Only what is lost beyond that can be the doing of entangled numbers.",
        ),
    ]
