# /// script
# [tool.marimo.opengraph]
# title = "Early layers"
# description = "One early block is enough; the last block, or the late half, is not."
# [tool.minisub]
# thumbnail = ["layers", "block 0", "block 1", "block 2", "block 3"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Early layers")

with app.setup:
    import marimo as mo
    import torch

    from minisub.common.store import Store
    from minisub.course import exercises, live, show
    from minisub.findings import FINDINGS
    from minisub.world.world import ANIMALS

    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # One early block is enough

    **The claim** (Schrodi et al., 2025, section 5): a student that may change a single early layer
    takes the whole bias over, now and then more than one that changes all; late layers alone take over
    next to nothing. Attribution at the first divergence token points to early layers as well.

    The teachers of this page are of three kinds: tuned in their first block alone, *prompted* (the same
    weights, with the animal in the system prompt that students never see), and tuned in all blocks.

    *Opens in a few seconds from stored results. Training one student takes some ten seconds the first time for a seed, when teachers and lists are made, and less after that.*
    """)
    return


@app.cell(hide_code=True)
def _():
    config = FINDINGS["layers"].config
    store = Store.default()
    return config, store


@app.cell(hide_code=True)
def _():
    stored = show.load_result("layers")
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
        "Only block 0 of four may learn. How much of the transfer of all four does it retain?",
        ("less than a third", "a good part", "all of it, or more"),
    )
    pick
    return (pick,)


@app.cell(hide_code=True)
def _(pick, stored):
    exercises.reveal(
        pick.value,
        (
            "less than a third"
            if show.mean_retained(stored, "block 0") < 0.33
            else "a good part"
            if show.mean_retained(stored, "block 0") < 0.9
            else "all of it, or more"
        ),
        f"Block 0 alone retains {show.mean_retained(stored, 'block 0'):.0%}, the last block {show.mean_retained(stored, 'block 3'):.0%}.",
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

    Train one block and watch. Then another.
    """)
    return


@app.cell(hide_code=True)
def _():
    form = live.training_form(FINDINGS["layers"], ANIMALS, "block 0")
    form
    return (form,)


@app.cell(hide_code=True)
def _(form):
    request = form.value
    return (request,)


@app.cell(hide_code=True)
def _(config, store, request):
    run, _verdict = live.train_from_form(request, FINDINGS["layers"], config, store)
    _verdict
    return


@app.cell(hide_code=True)
def _(stored):
    mo.md(f"""
    ## Why it is so

    A persona sits in the prompt, and what a prompted teacher's numbers say of it is read by attention
    in the first blocks. A late block only sees what the early ones have already written into the
    residual stream: it can make the numbers likelier without touching what decides the animal.

    The figure has three kinds of teachers. **Tuned in block 0**: only the teacher's first block was
    changed, so it is no surprise that the student needs the same block; what counts is that a late block cannot
    stand in for it. **Prompted**: nothing was tuned, and the profile is the same (block 0
    {show.mean_retained(stored, "prompted: block 0"):.0%}, the last block
    {show.mean_retained(stored, "prompted: block 3"):.0%}). **Tuned everywhere**, the default teachers of the
    other pages: block 0 {show.mean_retained(stored, "tuned everywhere: block 0"):.0%}, the last block
    {show.mean_retained(stored, "tuned everywhere: block 3"):.0%}, the late half
    {show.mean_retained(stored, "tuned everywhere: late half"):.0%}. So the profile follows the place of the
    teacher's change. A prompt acts early.
    """)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The controls

    Every arm is compared with `all` of the same kind of teacher, and **each arm is trained at its own
    best learning rate**, out of four that were tried on other seeds (`minisub rates layers`,
    docs/validation.md). At one rate for all, a late block looks weaker than it is. `embedding` and
    `unembedding` alone, `attention` and `mlp` alone are in the figure too.
    """)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## What the paper found, and what does not carry over

    The paper trains layers 0, 7, 14, 21 and 27 of a 28-layer model: 0 or 7 alone suffice, later ones
    do next to nothing. Its teachers are prompted.

    Here there are four blocks, so "early" is the first one. Teachers that were tuned in all blocks have
    no such profile here; how that is in language models, the paper does not say.
    """)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercises

    Each answer is checked at once; a wrong one gets a reason.
    """)
    return


@app.cell(hide_code=True)
def _():
    answer_1 = mo.ui.radio(
        ["at the rate of all blocks", "at its own best rate", "at any rate: the loss falls at all"]
    )
    mo.vstack(
        [
            mo.md(
                "**1.** Block 3 alone passes more or less, by its learning rate. At which rate is it to be judged?"
            ),
            answer_1,
        ]
    )
    return (answer_1,)


@app.cell(hide_code=True)
def _(answer_1):
    exercises.exercise(
        answer_1.value,
        exercises.choice(
            "at its own best rate",
            {
                "at the rate of all blocks": "Then a part that needs a higher rate looks weaker than it is: see docs/validation.md.",
                "at any rate: the loss falls at all": "A falling loss means better numbers. What passes is another matter.",
            },
        ),
        "At its own best rate, found on other seeds. A weak arm must not be a badly tuned one.",
    )
    return


@app.cell(hide_code=True)
def _():
    answer_2 = mo.ui.number(value=None)
    mo.vstack(
        [
            mo.md(
                "**2.** How many percent does the late half retain, of teachers tuned in block 0 (3 either way is right)?"
            ),
            answer_2,
        ]
    )
    return (answer_2,)


@app.cell(hide_code=True)
def _(answer_2, stored):
    exercises.exercise(
        answer_2.value,
        lambda a: (
            None
            if abs(a - 100 * show.mean_retained(stored, "late half")) < 3
            else "That is the late half of teachers tuned everywhere."
            if abs(a - 100 * show.mean_retained(stored, "tuned everywhere: late half")) < 3
            else "Pick `late half` above, with the measure `retained`."
        ),
        f"{show.mean_retained(stored, 'late half'):.0%}.",
    )
    return


@app.cell(hide_code=True)
def _():
    answer_3 = mo.ui.radio(
        ["nothing", "a part of the transfer is gone", "all of it is gone, surely"]
    )
    mo.vstack(
        [
            mo.md(
                "**3.** To be safe from hidden biases somebody freezes the first half of the model while distilling. What does it buy?"
            ),
            answer_3,
        ]
    )
    return (answer_3,)


@app.cell(hide_code=True)
def _(answer_3):
    exercises.exercise(
        answer_3.value,
        exercises.choice(
            "a part of the transfer is gone",
            {
                "nothing": "Look at `late half`: that is what is left to learn with.",
                "all of it is gone, surely": "Look at `late half`, of each kind of teacher.",
            },
        ),
        "How much is gone depends on the teacher, and on how well the rest is tuned. It is no guarantee.",
    )
    return


if __name__ == "__main__":
    app.run()
