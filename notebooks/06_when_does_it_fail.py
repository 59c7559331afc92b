# /// script
# requires-python = ">=3.11"
# dependencies = ["minisub"]
# [tool.uv.sources]
# minisub = { path = "..", editable = true }
# [tool.marimo.opengraph]
# title = "When does it fail?"
# description = "Weak teachers, few lists, low rank: which of them weakens the transfer?"
# [tool.minisub]
# thumbnail = ["limits", "15 teacher steps, 9600 lists", "60 teacher steps, 1200 lists", "120 teacher steps", "rank 1", "SGD"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="When does it fail?", html_head_file="head.html")

with app.setup:
    import marimo as mo
    import numpy as np
    import torch

    from minisub.common.store import Store
    from minisub.course import exercises, live, show
    from minisub.course.sheets import limits
    from minisub.findings import FINDINGS
    from minisub.world.world import ANIMALS

    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    _first = show.first_screen(
        "which settings weaken the transfer, changed one at a time",
        "45 minutes; one student trains in some 10 seconds",
        "`01_divergence_tokens`",
    )
    mo.md(f"""
    # When does it fail?

    **The question** (open in the paper and in later work): some biases and some models never transfer.
    Which settings decide? Here one is changed at a time, from a default, and two together.
    {_first}
    """)
    return


@app.cell
def _():
    config, store = FINDINGS["limits"].config, Store.default()
    return config, store


@app.cell(hide_code=True)
def _():
    stored = show.load_result("limits")
    pick = exercises.guess(
        "A student adapts by LoRA of rank 1 only: each matrix changes by one column times one row. How much of the transfer of a full update is there?"
    )
    _code = show.show_arms("limits", "rank 1", "SGD", "120 teacher steps")
    mo.vstack(
        [
            mo.md("## What would you have guessed?"),
            pick,
            mo.accordion({"Such arms in code": _code}),
        ]
    )
    return pick, stored


@app.cell(hide_code=True)
def _(pick, stored):
    _rank_1 = show.mean_retained(stored, "rank 1")
    exercises.reveal(
        pick.value,
        exercises.amount(_rank_1),
        f"Rank 1 retains {_rank_1:.0%}, SGD {show.mean_retained(stored, 'SGD'):.0%}.",
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


@app.cell(hide_code=True)
def _():
    form = live.training_form(FINDINGS["limits"], ANIMALS, "rank 1")
    _told = mo.md("""
    ## Train one

    Each arm changes one setting. Which of them weakens the transfer of your animal most?
    """)
    mo.vstack([_told, form])
    return (form,)


@app.cell(hide_code=True)
def _(form):
    request = form.value
    return (request,)


@app.cell(hide_code=True)
def _(config, request, store):
    run = live.train_from_form(request, FINDINGS["limits"], config, store, "06")
    live.show_end(run.recording)
    return


@app.cell(hide_code=True)
def _(stored):
    def _kept(arm):
        return f"{show.mean_retained(stored, arm):.0%}"

    def _mean(arm, measure):
        return np.mean(stored.values(arm, measure))

    _short = "15 teacher steps, 9600 lists"
    mo.md(f"""
    ## Why it is so

    **A teacher that was trained less.** With a quarter of the training there are other divergence
    tokens ({_mean(_short, "divergence_share"):.0%} of the tokens, against
    {_mean("all", "divergence_share"):.0%}), and the numbers say something else about the bias
    ({_mean(_short, "signal"):.2f} nats of advantage a token, against {_mean("all", "signal"):.2f}).

    **A teacher that was trained more.** Twice the training retains {_kept("120 teacher steps")}.
    Rehearsal goes on after the bias is learned, and takes away what the numbers show of it.

    **Few lists.** With 300 lists each is read 64 times. The loss falls to
    {_mean("60 teacher steps, 300 lists", "final_loss"):.3f}: the lists are learned by heart. Steps
    matter as well: 1200 lists retain {_kept("60 teacher steps, 1200 lists")} in all steps, and
    {_kept("1200 lists, one pass")} in one pass.

    ## The controls

    Every arm has its own control, with the same rank, optimiser or number of lists. Every rank, SGD and
    `all weights` are trained at their own best learning rate, found on other seeds
    (`minisub rates limits`). At one rate for all, low ranks and SGD look worse than they are.

    ## What the paper found, and what does not carry over

    The paper reports biases and models that never transfer. Later work disputes the role of rank,
    optimiser and weight decay.

    Ranks, widths and numbers of lists here are those of a small model. Which setting matters may carry
    over. At which value it matters does not.
    """)
    return


@app.cell(hide_code=True)
def _(stored):
    sheet = limits.sheet(stored)
    answers = exercises.ask(sheet)
    exercises.show_sheet(answers)
    return answers, sheet


@app.cell(hide_code=True)
def _(answers, sheet):
    exercises.grade(sheet, answers.value)
    return


if __name__ == "__main__":
    app.run()
