"""Exercises of `11_how_to_judge`."""

from minisub.course.exercises import Choice, Number, Question, near
from minisub.course.show import load_result, share


def sheet() -> list[Question]:
    """Return the exercises of `11_how_to_judge`."""
    rates = load_result("divergence").values("all", "hit_rate")
    return [
        Choice(
            "A paper asks one student 10,000 questions, and gives an interval over the questions. What does the interval leave out?",
            {
                "nothing, 10,000 are many": "They are many looks at one student. Another seed is another student.",
                "how much students of other seeds differ": None,
                "how exactly this one student is known": "That is what it does show.",
            },
            f"The questions share one student. Here students of the same kind answer their animal from {share(min(rates))} to {share(max(rates))} of the time, over eight seeds.",
        ),
        Number(
            "Three seeds have the transfers 1.0, 1.0 and 0.0 nats; with one block alone 0.9, 0.9 and 0.1. How much is retained, in percent, as a ratio of means?",
            near(
                95,
                1,
                "The sum of the second, divided by the sum of the first.",
                [
                    (90, 1, "That leaves the third seed out."),
                    (0.95, 0.01, "In percent."),
                    (
                        63.3,
                        1,
                        "That is the mean of the second row, not divided by that of the first.",
                    ),
                    (
                        60,
                        1,
                        "That is a mean of ratios with 0 for the third. Its ratio is not 0: it is no number.",
                    ),
                ],
            ),
            "1.9 / 2.0 = 95 %. A mean of ratios would divide 0.1 by 0.0. (Three such seeds give no interval: the ratio decides nothing.)",
        ),
        Choice(
            "Late layers alone transfer little, all arms being trained at the rate that is best for the whole model. What should be done first?",
            {
                "conclude that late layers cannot carry it": "They may only need another rate.",
                "train each arm at its own best rate, found on other seeds": None,
                "train late layers at higher rates until they transfer": "That is a choice made on the result itself. Choose on other seeds, for all arms alike.",
            },
            "Each arm at its own best rate, chosen on seeds that are not reported.",
        ),
    ]
