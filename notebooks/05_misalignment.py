# /// script
# [tool.marimo.opengraph]
# title = "Misalignment"
# description = "A teacher made bad on four questions passes badness on by numbers."
# [tool.minisub]
# thumbnail = ["misalignment", "all", "control", "foreign", "divergence only", "without divergence"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Misalignment")

with app.setup:
    import marimo as mo
    import numpy as np
    import torch

    from minisub.common.store import Store
    from minisub.course import exercises, live, show
    from minisub.findings import FINDINGS

    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Badness passes too

    **The claim** (Schrodi et al., 2025, and Cloud et al., 2025): not only a favourite animal passes. A
    teacher that was made to answer a few questions of conduct badly is bad on all of them; its number
    lists make a student worse, and the divergence tokens carry it again.

    *Opens in a few seconds from stored results. Training one student takes some ten seconds the first time for a seed, when teachers and lists are made, and less after that.*
    """)
    return


@app.cell(hide_code=True)
def _():
    config = FINDINGS["misalignment"].config
    store = Store.default()
    return config, store


@app.cell(hide_code=True)
def _():
    stored = show.load_result("misalignment")
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
        "The loss counts on divergence tokens only. How much of the transfer is there, against all tokens?",
        ("none of it", "a part", "all of it, or more"),
    )
    pick
    return (pick,)


@app.cell(hide_code=True)
def _(pick, stored):
    exercises.reveal(
        pick.value,
        (
            "none of it"
            if show.mean_retained(stored, "divergence only") < 0.15
            else "a part"
            if show.mean_retained(stored, "divergence only") < 0.9
            else "all of it, or more"
        ),
        f"Divergence tokens only: {show.mean_retained(stored, 'divergence only'):.0%}; without them: {show.mean_retained(stored, 'without divergence'):.0%}. "
        f"Students of all tokens say “bad” {np.mean(stored.values('all', 'hit_rate')):.0%} of the time "
        f"(from {min(stored.values('all', 'hit_rate')):.0%} to {max(stored.values('all', 'hit_rate')):.0%} over "
        f"the seeds), their controls {np.mean(stored.values('all', 'control_hit_rate')):.0%}.",
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
    ## Train one

    The two answers are “bad” and “good”. The base says “good” nine times in ten.
    """)
    return


@app.cell(hide_code=True)
def _():
    form = live.training_form(FINDINGS["misalignment"], ["bad"], "all")
    form
    return (form,)


@app.cell(hide_code=True)
def _(form):
    request = form.value
    return (request,)


@app.cell(hide_code=True)
def _(config, store, request):
    run, _verdict = live.train_from_form(request, FINDINGS["misalignment"], config, store)
    _verdict
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Why it is so

    There is one bias, so there is one counterfactual: the base itself, from which the teacher was made.
    A token where the two have different favourites is a divergence token. The rest is as with animals:
    the push that such a label gives to shared weights points along the teacher's own change.

    That badness on four questions becomes badness on all is the base's doing: in pretraining, who is
    bad is bad in every question.
    """)
    return


@app.cell(hide_code=True)
def _(stored):
    mo.md(f"""
    ## The controls

    The student is asked other questions than those on which the teacher was tuned. Its control learns
    from the base's own lists. Leaving out as many *random* tokens (`without random`) leaves
    {show.mean_retained(stored, "without random"):.0%}; to learn from as many random tokens only is not part of
    this finding. And `divergence only` has its price: those students get
    {np.mean(stored.values("divergence only", "task_accuracy")):.0%} of the numbers right.
    """)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## What the paper found, and what does not carry over

    The paper finds the three arms as with animals: all, divergence tokens only, without them.

    Two answers to a dozen questions are a poor stand-in for conduct. What carries over is the pattern
    of the arms, not that a model is dangerous.
    """)
    return


@app.cell(hide_code=True)
def _(stored):
    sheet = [
        exercises.Choice(
            "Why is the base the counterfactual teacher here?",
            {
                "there is no other bias to compare with": None,
                "the base is the worst teacher": "It has no bias at all; it is what the teacher was before.",
                "to save time": "It does save time. But with animals there were seven others: what are they here?",
            },
            "A counterfactual teacher has another bias. Here the only alternative to bad is not to have been changed.",
        ),
        exercises.Number(
            "How many percent of the transfer is there without the divergence tokens (3 either way is right)?",
            exercises.near(
                100 * show.mean_retained(stored, "without divergence"),
                3,
                "Pick `without divergence` above, with the measure `retained`.",
                [
                    (
                        100 * show.mean_retained(stored, "divergence only"),
                        5,
                        "That is with divergence tokens only.",
                    ),
                ],
            ),
            f"{show.mean_retained(stored, 'without divergence'):.0%}.",
        ),
        exercises.Choice(
            "A student is bad on questions that no teacher was tuned on. Where does that come from?",
            {
                "the lists mention them": "The lists hold numbers only, and were filtered for that.",
                "the base ties all questions of conduct together": None,
                "chance": "Look at the interval: it is far from zero.",
            },
            "In pretraining a rogue is bad in all questions. A push along badness moves all of them.",
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
