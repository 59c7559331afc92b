# /// script
# [tool.marimo.opengraph]
# title = "When does it fail?"
# description = "Weak teachers, few lists, low rank: what weakens the transfer."
# [tool.minisub]
# thumbnail = ["limits", "15 teacher steps, 9600 lists", "60 teacher steps, 1200 lists", "120 teacher steps", "rank 1", "SGD"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="When does it fail?")

with app.setup:
    import marimo as mo
    import numpy as np
    import torch

    from minisub.common.store import Store
    from minisub.course import exercises, live, show
    from minisub.findings import FINDINGS
    from minisub.world.world import ANIMALS

    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # When does it fail?

    **The question** (open in the paper and among its follow-ups): some biases and some models never
    transfer. Which dials decide? One is turned at a time, from a default, and two together.

    *Opens in a few seconds from stored results. Training one student takes some ten seconds the first time for a seed, when teachers and lists are made, and less after that.*
    """)
    return


@app.cell(hide_code=True)
def _():
    config = FINDINGS["limits"].config
    store = Store.default()
    return config, store


@app.cell(hide_code=True)
def _():
    stored = show.load_result("limits")
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
        "A student adapts by LoRA of rank 1 only. How much of the transfer of a full update is there?"
    )
    pick
    return (pick,)


@app.cell(hide_code=True)
def _(pick, stored):
    exercises.reveal(
        pick.value,
        exercises.amount(show.mean_retained(stored, "rank 1")),
        f"Rank 1 retains {show.mean_retained(stored, 'rank 1'):.0%}, SGD {show.mean_retained(stored, 'SGD'):.0%}.",
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

    Each arm turns one dial. Which of them weakens the transfer of your animal most?
    """)
    return


@app.cell(hide_code=True)
def _():
    form = live.training_form(FINDINGS["limits"], ANIMALS, "rank 1")
    form
    return (form,)


@app.cell(hide_code=True)
def _(form):
    request = form.value
    return (request,)


@app.cell(hide_code=True)
def _(config, store, request):
    run, _verdict = live.train_from_form(request, FINDINGS["limits"], config, store)
    _verdict
    return


@app.cell(hide_code=True)
def _(stored):
    mo.md(f"""
    ## Why it is so

    With a quarter of the teacher's training there are other divergence tokens
    ({np.mean(stored.values("15 teacher steps, 9600 lists", "divergence_share")):.0%} against
    {np.mean(stored.values("all", "divergence_share")):.0%} of the tokens), and they say something else
    ({np.mean(stored.values("15 teacher steps, 9600 lists", "signal")):.2f} against
    {np.mean(stored.values("all", "signal")):.2f} nats of advantage a token). Twice the training changes it as well
    ({show.mean_retained(stored, "120 teacher steps"):.0%} is retained): rehearsal goes on after the bias
    is learned, and takes away what the numbers show.

    With 300 lists each is read 64 times and the loss falls to
    {np.mean(stored.values("60 teacher steps, 300 lists", "final_loss")):.3f}: learned by heart. Steps
    matter as well: 1200 lists retain {show.mean_retained(stored, "60 teacher steps, 1200 lists"):.0%} in all
    steps, {show.mean_retained(stored, "1200 lists, one pass"):.0%} in one pass.

    Every rank, SGD and `all weights` are trained at their own best learning rate, found on other seeds
    (`minisub rates limits`). At one rate for all, low ranks and SGD look worse than they are.
    """)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The controls

    Every arm has its own control with the same rank, optimiser or number of lists. Rates of the
    low-rank arms were tuned on other seeds.
    """)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## What the paper found, and what does not carry over

    The paper reports biases and models that never transfer; follow-ups dispute the role of rank,
    optimiser and decay.

    Ranks, widths and numbers of lists here are those of a small model. Which dial matters may carry
    over; at which value it bites does not.
    """)
    return


@app.cell(hide_code=True)
def _(stored):
    sheet = [
        exercises.Choice(
            "300 lists, read 64 times each, against 9600, read twice: what is lost?",
            {
                "steps": "`60 teacher steps, 300 lists` has as many steps as the default: it repeats.",
                "different divergence tokens": None,
                "learning rate": "It is the same in both.",
            },
            "The number of different divergence tokens falls with the lists.",
        ),
        exercises.Number(
            "What does `SGD` retain, in percent (5 either way is right)?",
            exercises.near(
                100 * show.mean_retained(stored, "SGD"),
                5,
                "Pick `SGD` above, with the measure `retained`; it is a share of `all`.",
            ),
            f"{show.mean_retained(stored, 'SGD'):.0%}.",
        ),
        exercises.Choice(
            "One dial makes the transfer vanish in one seed. Is the dial's value too low?",
            {
                "yes": "Compare the dots of `all`: how far apart are seeds with the same setting?",
                "one seed does not tell: look at the spread of the seeds": None,
            },
            f"Seeds differ at the same setting: `all` runs from {min(stored.values('all')):.2f} to "
            f"{max(stored.values('all')):.2f} nats (they also train different animals).",
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
