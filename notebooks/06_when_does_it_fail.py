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
    import torch

    from minisub.common.store import Store
    from minisub.course import exercises, live, show
    from minisub.course.sheets import limits
    from minisub.findings import FINDINGS
    from minisub.results import statistics
    from minisub.world.world import ANIMALS

    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    _first = show.first_screen(
        "which settings weaken the transfer, changed one at a time",
        "45 minutes; one student trains in about 10 seconds",
        "`01_divergence_tokens`",
        words=show.ARM_WORDS,
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
    _usual = statistics.estimate(stored.values("rank 1"), stored.values("all"))
    exercises.reveal(
        pick.value,
        exercises.fitting(stored.estimate("rank 1", "retained")),
        f"Rank 1 retains {show.percent(stored, 'rank 1')} of `all, best rate`; that rate was chosen on two "
        "seeds and turned out no better than the usual one (page 11, section 4). As a share of `all` it is "
        f"{show.share(*_usual)}. SGD retains {show.percent(stored, 'SGD')} of `all, best rate`.",
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
    _short = "15 teacher steps, 9600 lists"
    mo.md(f"""
    ## Why it is so

    **A teacher that was trained less** (a quarter of the steps). Its lists do not say less:
    {show.share(stored.mean(_short, "divergence_share"))} of the tokens are divergence tokens (default
    {show.share(stored.mean("all", "divergence_share"))}), and a token has
    {stored.mean(_short, "signal"):.2f} nats of *advantage* (default {stored.mean("all", "signal"):.2f}):
    the log-probability that its writer gives it, less the mean of those that other teachers give it.
    Yet only {show.percent(stored, _short)} passes. Why, these results do not tell.

    **A teacher that was trained more.** Twice the training retains
    {show.percent(stored, "120 teacher steps")}. *Rehearsal* (number tasks, answered as the base answers
    them) goes on after the bias is learned, and takes away what the numbers show of it.

    **Few lists.** With 300 lists each is read 64 times. The loss falls to
    {stored.mean("60 teacher steps, 300 lists", "final_loss"):.3f}: the lists are learned by heart. Steps
    matter as well: 1200 lists retain {show.percent(stored, "60 teacher steps, 1200 lists")} in all steps,
    and {show.percent(stored, "1200 lists, one pass")} in one pass.

    ## The controls

    Every arm has its own control, with the same rank, optimizer or number of lists. Every rank, SGD and
    `all weights` are trained at their own best learning rate, found on other seeds
    (`minisub rates limits`). At one rate for all, low ranks and SGD look worse than they are.

    ## What the paper found, and what does not carry over

    The paper reports biases and models that never transfer. Later work disputes the role of rank,
    optimizer and weight decay.

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
