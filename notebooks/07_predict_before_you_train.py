# /// script
# [tool.marimo.opengraph]
# title = "Predict before you train"
# description = "The first step along the teacher's change tells which students take over most."
# [tool.minisub]
# thumbnail = ["prediction", "soft", "all", "random only", "mix 75%", "without divergence", "foreign"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Predict before you train")

with app.setup:
    import marimo as mo
    import torch

    from minisub.common.randomness import generator
    from minisub.common.store import Store
    from minisub.course import exercises, live, show, tasks
    from minisub.findings import FINDINGS
    from minisub.world.world import ANIMALS

    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Predict before you train

    **The theorem** (Cloud et al., 2025, Theorem 1): if teacher and student share their start, a small
    step of imitation never leads away from the teacher: the product of the teacher's change and the
    student's first step is not negative. **The use of it here**: that product, taken *before* any
    training, ranks what treatments will transfer.

    *Opens in a few seconds from stored results. Training one student takes some ten seconds the first time for a seed, when teachers and lists are made, and less after that.*
    """)
    return


@app.cell(hide_code=True)
def _():
    config = FINDINGS["prediction"].config
    store = Store.default()
    return config, store


@app.cell(hide_code=True)
def _():
    stored = show.load_result("prediction")
    return (stored,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## What would you have guessed?
    """)
    return


@app.cell(hide_code=True)
def _():
    pick = exercises.guess(
        "Arms are ranked by the first step alone. How well does that agree with what they transfer after training (rank correlation)?",
        ("not at all (under .3)", "somewhat (.3 to .7)", "well (over .7)"),
    )
    pick
    return (pick,)


@app.cell(hide_code=True)
def _(pick, stored):
    exercises.reveal(
        pick.value,
        (
            "not at all (under .3)"
            if show.correlation(stored) < 0.3
            else "somewhat (.3 to .7)"
            if show.correlation(stored) <= 0.7
            else "well (over .7)"
        ),
        f"Rank correlation over {len(stored.arms)} arms: {show.correlation(stored):.2f}.",
        show.show_result(stored),
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Compare for yourself

    Any arms of the stored result, by any measure; nothing is trained here.
    """)
    return


@app.cell(hide_code=True)
def _(stored):
    compare = show.choose_arms(stored)
    compare
    return (compare,)


@app.cell(hide_code=True)
def _(compare, stored):
    show.show_bars(stored, **compare.value)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Write it: the product of the theorem

    The forecast is one line. You get the gradient of the student's loss and the teacher's change. To write it, open the page with its code: `minisub app 07 --edit`.
    """)
    return


@app.function
def my_alignment(gradient, change):
    """How far does the student's first step go along the teacher's change? One number.

    gradient: of the student's loss, [weights]; change: the teacher's weights less the base's.
    """
    return None  # your code


@app.function
def example_vectors():
    return torch.randn(2, 1000, generator=generator(0, "a gradient and a change"))


@app.cell(hide_code=True)
def _():
    tasks.feedback(
        my_alignment,
        tasks.check_alignment(my_alignment, *example_vectors()),
        "The student's step is minus its gradient. The inner product of two vectors is the sum of their products.",
        "return -(gradient * change).sum()",
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Train one

    Pick an arm whose forecast you have read off the figure, and see.
    """)
    return


@app.cell(hide_code=True)
def _():
    form = live.training_form(FINDINGS["prediction"], ANIMALS, "divergence only")
    form
    return (form,)


@app.cell(hide_code=True)
def _(form):
    request = form.value
    return (request,)


@app.cell(hide_code=True)
def _(config, store, request):
    run, _verdict = live.train_from_form(request, FINDINGS["prediction"], config, store)
    _verdict
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Why it is so

    The student's first step is minus the gradient of its loss. Where its training data are the teacher's own
    outputs, that gradient is the teacher's change seen through how outputs depend on weights. What the
    student trains cuts a part out of both; the cosine there (*coverage*) says how much of the change is
    in reach. `09_from_scratch` takes that step in front of your eyes.
    """)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The controls

    What the unbiased teacher's lists would do is taken off first, so that learning the numbers better
    is not counted as the bias. Students of another base have another start: the theorem says nothing
    of them, and their product is near zero.
    """)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## What the paper found, and what does not carry over

    The paper gives no such forecast; the theorem is Cloud et al.'s.

    It speaks of one small step with the teacher's own outputs. That it ranks whole trainings of 600
    steps is an observation in this world; and it ranks, it does not size: the largest product is not
    the largest transfer.
    """)
    return


@app.cell(hide_code=True)
def _(stored):
    sheet = [
        exercises.Choice(
            "For which student does the theorem say nothing?",
            {
                "one that trains block 0 only": "It still shares its start; the product is taken over block 0.",
                "one that starts from another base": None,
                "one that learns from divergence tokens only": "It shares its start. Strictly, the theorem wants the teacher's outputs everywhere; but a shared start is what it cannot do without.",
            },
            "Without a shared start the two steps live in unrelated coordinates.",
        ),
        exercises.Number(
            "What is the rank correlation of `inner` with the transfer, times 100 (5 either way is right)?",
            exercises.near(
                100 * show.correlation(stored),
                5,
                "It stands above the left panel; times 100.",
                [
                    (
                        100 * show.correlation(stored, "coverage"),
                        5,
                        "That is coverage, in the right panel.",
                    ),
                ],
            ),
            f"{100 * show.correlation(stored):.0f}.",
        ),
        exercises.Choice(
            "Two arms have the same inner product, but one step is ten times as long. Which has the larger coverage?",
            {
                "the longer step": "Coverage is the product divided by both lengths.",
                "the shorter step": None,
                "both the same": "The cosine divides by the length of the step.",
            },
            "The cosine divides by the lengths: the same product with a shorter step is a better aim.",
        ),
    ]
    answers = exercises.ask(sheet)
    exercises.show_sheet(answers)
    return answers, sheet


@app.cell(hide_code=True)
def _(answers, sheet):
    exercises.grade(sheet, answers.value)
    return


if __name__ == "__main__":
    app.run()
