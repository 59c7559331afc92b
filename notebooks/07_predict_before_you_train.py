# /// script
# requires-python = ">=3.11"
# dependencies = ["minisub"]
# [tool.uv.sources]
# minisub = { path = "..", editable = true }
# [tool.marimo.opengraph]
# title = "Predict before you train"
# description = "The first step along the teacher's change tells which students take over most."
# [tool.minisub]
# thumbnail = ["prediction", "soft", "all", "random only", "mix 75%", "without divergence", "foreign"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Predict before you train", html_head_file="head.html")

with app.setup:
    import marimo as mo
    import torch

    from minisub.common.randomness import generator
    from minisub.common.store import Store
    from minisub.course import exercises, live, show, tasks
    from minisub.course.sheets import prediction
    from minisub.findings import FINDINGS
    from minisub.findings.prediction import predicted
    from minisub.mechanism import forecast
    from minisub.results import statistics
    from minisub.results.tables import format_interval
    from minisub.world.world import ANIMALS

    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    _first = show.first_screen(
        "a forecast of the transfer that needs no training",
        "45 minutes; one student trains in about 10 seconds",
        "`12_the_theorem`",
        words=show.ARM_WORDS,
    )
    mo.md(f"""
    # Predict before you train

    **The theorem** (Cloud et al., 2025, Theorem 1): if teacher and student share their start, one small
    step of imitation never leads away from the teacher. The product of the teacher's change and the
    student's first step is not negative.

    **Its use here**: this product is taken *before* any training. It ranks what treatments will
    transfer.
    {_first}
    """)
    return


@app.cell
def _():
    config, store = FINDINGS["prediction"].config, Store.default()
    return config, store


@app.cell(hide_code=True)
def _():
    stored = show.load_result("prediction")
    pick = exercises.guess(
        "Arms are ranked by the first step alone. How well does that agree with what they transfer after training (rank correlation)?",
        ("not at all (under .3)", "somewhat (.3 to .7)", "well (over .7)"),
    )
    _fold = mo.accordion({"The forecast in code": show.show_source(forecast.first_step_alignment)})
    mo.vstack([mo.md("## What would you have guessed?"), pick, _fold])
    return pick, stored


@app.cell(hide_code=True)
def _(pick, stored):
    _rank = statistics.estimate(predicted("inner")(stored))
    _options = ("well (over .7)", "somewhat (.3 to .7)", "not at all (under .3)")
    exercises.reveal(
        pick.value,
        exercises.fitting(_rank, _options, (0.7, 0.3)),
        f"Rank correlation over {len(stored.arms)} arms: {format_interval(*_rank, '.2f')}.",
        show.show_result(stored),
    )
    return


@app.cell(hide_code=True)
def _(stored):
    compare = show.choose_arms(stored)
    mo.vstack([mo.md("## Compare for yourself\n\nAny arms of the stored result."), compare])
    return (compare,)


@app.cell(hide_code=True)
def _(compare, stored):
    show.show_bars(stored, **compare.value)
    return


@app.function
def my_alignment(gradient, change):
    """How far does the student's first step go along the teacher's change? One number.

    gradient: of the student's loss, [weights]; change: the teacher's weights less the base's.
    """
    return None  # your code


@app.cell(hide_code=True)
def _():
    _vectors = torch.randn(2, 1000, generator=generator(0, "a gradient and a change"))
    tasks.ALIGNMENT.show(my_alignment, *_vectors)
    return


@app.cell(hide_code=True)
def _():
    form = live.training_form(FINDINGS["prediction"], ANIMALS, "divergence only")
    _told = mo.md(
        "## Train one\n\nRead the forecast of an arm off the figure. Then train it and see."
    )
    mo.vstack([_told, form])
    return (form,)


@app.cell(hide_code=True)
def _(form):
    request = form.value
    return (request,)


@app.cell(hide_code=True)
def _(config, request, store):
    run = live.train_from_form(request, FINDINGS["prediction"], config, store, "07")
    live.show_end(run.recording)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Why it is so

    The student's first step is minus the gradient of its loss. When it learns from the teacher's own
    outputs, this gradient is the teacher's change, seen through how outputs depend on weights.

    A student that trains only a part of its weights can follow only a part of the teacher's change. The
    cosine of the two within that part is the *coverage*. `09_from_scratch` takes such a step in front
    of your eyes.

    ## The controls

    First we subtract the step that the unbiased teacher's lists would cause. So learning the numbers
    better is not counted as the bias. Students of another base have another start: the theorem says nothing about
    them, and their product is near zero.

    ## What the paper found, and what does not carry over

    The paper gives no such forecast. The theorem is by Cloud et al.

    The theorem is about one small step with the teacher's own outputs. That it ranks whole trainings of
    600 steps is an observation in this world. It ranks, and does not measure: the largest product is
    not the largest transfer.
    """)
    return


@app.cell(hide_code=True)
def _(stored):
    sheet = prediction.sheet(stored)
    answers = exercises.ask(sheet)
    exercises.show_sheet(answers)
    return answers, sheet


@app.cell(hide_code=True)
def _(answers, sheet):
    exercises.grade(sheet, answers.value)
    return


if __name__ == "__main__":
    app.run()
