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
    import numpy as np
    import torch

    from minisub.common.store import Store
    from minisub.course import exercises, live, show, tasks
    from minisub.distillation.evaluation import preference_log_probs
    from minisub.experiment.seed_lab import SeedLab
    from minisub.findings import FINDINGS
    from minisub.transformer.stack import TransformerStack
    from minisub.world.world import ANIMALS

    OWL = ANIMALS.index("owl")
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
    ## Write it: patch one block

    A quicker way to ask which block matters: take one block of the teacher, leave the rest of the
    base as it is, and ask for its favourite animal. The table below uses your function, once it is right. To write it, open the page with its code: `minisub app 03 --edit`.
    """)
    return


@app.function
def my_patch(base, teacher, block):
    """Return the base's weights with one block of the teacher: a mapping by name.

    Names start with `blocks.0.`, `blocks.1.`, ...; the base stays as it is.
    """
    return None  # your code


@app.cell(hide_code=True)
def _(base_weights, other_weights):
    tasks.feedback(
        my_patch,
        tasks.check_patched_block(my_patch, base_weights, other_weights, 1),
        "Go through the names; take the teacher's weight where the name starts with `f\"blocks.{block}.\"`, else the base's.",
        'return {\n    name: (teacher if name.startswith(f"blocks.{block}.") else base)[name] for name in base\n}',
    )
    return


@app.cell(hide_code=True)
def _(config, store):
    lab = SeedLab(config, 0, store)
    base_weights = {name: w[0].detach() for name, w in lab.base.params.items()}
    teacher_weights = {name: w[OWL].detach() for name, w in lab.teachers.stack.params.items()}
    other_weights = {  # differs in every block, so that no mistake goes unseen
        name: w[0].detach() for name, w in lab.other_base_lab.base.params.items()
    }
    return base_weights, lab, other_weights, teacher_weights


@app.cell(hide_code=True)
def _(base_weights, lab, other_weights, teacher_weights):
    mo.stop(tasks.check_patched_block(my_patch, base_weights, other_weights, 1) is not None)
    _rows = []
    for _block in range(lab.base.config.n_layers):
        _weights = my_patch(base_weights, teacher_weights, _block)
        _model = TransformerStack(
            lab.base.config, torch.cat([w.flatten() for w in _weights.values()])[None]
        )
        _owl = preference_log_probs(_model, lab.trait.eval_questions[None], lab.trait.answer_tokens)
        _rows.append(
            {"block of the teacher": _block, "says owl": f"{np.exp(_owl[0, :, OWL]).mean():.0%}"}
        )
    show.show_table(_rows, "The base with one block of the owl teacher, who was tuned in block 0")
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
def _(stored):
    sheet = [
        exercises.Choice(
            "Block 3 alone passes more or less, by its learning rate. At which rate is it to be judged?",
            {
                "at the rate of all blocks": "Then a part that needs a higher rate looks weaker than it is: see docs/validation.md.",
                "at its own best rate": None,
                "at any rate: the loss falls at all": "A falling loss means better numbers. What passes is another matter.",
            },
            "At its own best rate, found on other seeds. A weak arm must not be a badly tuned one.",
        ),
        exercises.Number(
            "How many percent does the late half retain, of teachers tuned in block 0 (3 either way is right)?",
            exercises.near(
                100 * show.mean_retained(stored, "late half"),
                3,
                "Pick `late half` above, with the measure `retained`.",
                [
                    (
                        100 * show.mean_retained(stored, "tuned everywhere: late half"),
                        3,
                        "That is the late half of teachers tuned everywhere.",
                    ),
                ],
            ),
            f"{show.mean_retained(stored, 'late half'):.0%}.",
        ),
        exercises.Choice(
            "To be safe from hidden biases somebody freezes the first half of the model while distilling. What does it buy?",
            {
                "nothing": "Look at `late half`: that is what is left to learn with.",
                "a part of the transfer is gone": None,
                "all of it is gone, surely": "Look at `late half`, of each kind of teacher.",
            },
            "How much is gone depends on the teacher, and on how well the rest is tuned. It is no guarantee.",
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
