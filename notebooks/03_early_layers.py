# /// script
# requires-python = ">=3.11"
# dependencies = ["minisub"]
# [tool.uv.sources]
# minisub = { path = "..", editable = true }
# [tool.marimo.opengraph]
# title = "Early layers"
# description = "One early block is enough; the last block, or the late half, is not."
# [tool.minisub]
# thumbnail = ["layers", "block 0", "block 1", "block 2", "block 3"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Early layers", html_head_file="head.html")

with app.setup:
    import marimo as mo
    import numpy as np
    import torch

    from minisub.common.store import Store
    from minisub.course import exercises, live, show, tasks
    from minisub.course.sheets import early_layers
    from minisub.distillation.evaluation import preference_log_probs
    from minisub.distillation.teachers import TeacherConfig
    from minisub.experiment.config import with_overrides
    from minisub.experiment.seed_lab import SeedLab
    from minisub.findings import FINDINGS
    from minisub.transformer.stack import TransformerStack
    from minisub.world.world import ANIMALS

    OWL = ANIMALS.index("owl")
    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    _first = show.first_screen(
        "which part of the model takes the bias over, and how to ask that fairly",
        "45 minutes; one student trains in about 10 seconds",
        "`01_divergence_tokens`",
        words=show.ARM_WORDS,
    )
    mo.md(f"""
    # One early block is enough

    **The claim** (Schrodi et al., 2025, section 5): a student that may change a single early layer
    takes over the whole bias, sometimes more than a student that may change all layers. Late layers
    alone take over almost nothing. Attribution at the first divergence token points to early layers
    as well.
    {_first}
    There are three kinds of teachers on this page. Some are tuned in their first block alone. Some are
    *prompted*: their weights are those of the base, and a *persona* (“you love owls”) is in the system
    prompt, which students never see. Some are tuned in all blocks.
    """)
    return


@app.cell
def _():
    config, store = FINDINGS["layers"].config, Store.default()
    return config, store


@app.cell(hide_code=True)
def _():
    stored = show.load_result("layers")
    pick = exercises.guess(
        "Only block 0 of four may learn. How much of the transfer of all four does it retain?",
        ("less than a third", "a good part", "all of it, or more"),
    )
    _code = show.show_arms("layers", "all", "block 0", "block 3", "late half")
    _fold = mo.accordion({"Such students in code": _code})
    mo.vstack([mo.md("## What would you have guessed?"), pick, _fold])
    return pick, stored


@app.cell(hide_code=True)
def _(pick, stored):
    _options = ("all of it, or more", "a good part", "less than a third")
    exercises.reveal(
        pick.value,
        exercises.fitting(stored.estimate("block 0", "retained"), _options, (0.9, 1 / 3)),
        f"Block 0 alone retains {show.percent(stored, 'block 0')}, the last block "
        f"{show.percent(stored, 'block 3')}.",
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
def my_patch(base, teacher, block):
    """Return the base's weights with one block of the teacher: a mapping by name.

    Names start with `blocks.0.`, `blocks.1.`, ...; the base stays as it is.
    """
    return None  # your code


@app.cell(hide_code=True)
def _(base_weights, other_weights):
    tasks.PATCHED_BLOCK.show(my_patch, base_weights, other_weights, 1)
    return


@app.cell(hide_code=True)
def _(config, store):
    # The teachers of this page's other figures differ from the base in block 0 only.
    lab = SeedLab(with_overrides(config, {"teacher": TeacherConfig()}), 0, store)
    base_weights = {name: w[0].detach() for name, w in lab.base.params.items()}
    other_weights = {  # differs in every block, so that no mistake goes unseen
        name: w[0].detach() for name, w in lab.other_base.params.items()
    }
    return base_weights, lab, other_weights


@app.cell(hide_code=True)
def _(base_weights, lab, other_weights):
    mo.stop(tasks.check_patched_block(my_patch, base_weights, other_weights, 1) is not None)
    with live.wait_for_turn(), mo.status.spinner(title="Eight teachers learn their biases ..."):
        teacher_weights = {n: w[OWL].detach() for n, w in lab.teachers.stack.params.items()}
    _rows = []
    for _block in range(lab.base.config.n_layers):
        _weights = my_patch(base_weights, teacher_weights, _block)
        _model = TransformerStack(
            lab.base.config, torch.cat([w.flatten() for w in _weights.values()])[None]
        )
        _logp = preference_log_probs(
            _model, lab.trait.eval_questions[None], lab.trait.answer_tokens
        )
        _owl = np.exp(_logp[0, :, OWL]).mean()
        _rows.append({"block of the teacher": _block, "says owl": show.share(_owl)})
    show.show_table(
        _rows, "The base with one block of the owl teacher, who was tuned in all blocks"
    )
    return


@app.cell(hide_code=True)
def _():
    form = live.training_form(FINDINGS["layers"], ANIMALS, "block 0")
    mo.vstack([mo.md("## Train one\n\nTrain one block and watch. Then train another."), form])
    return (form,)


@app.cell(hide_code=True)
def _(form):
    request = form.value
    return (request,)


@app.cell(hide_code=True)
def _(config, request, store):
    run = live.train_from_form(request, FINDINGS["layers"], config, store, "03")
    live.show_end(run.recording)
    return


@app.cell(hide_code=True)
def _(stored):
    _late = next(c for c in stored.claims if c["claim"] == "`prompted: late half` retains")
    mo.md(f"""
    ## Why it is so

    A persona stands in the prompt. What a prompted teacher's numbers say about it is read by attention
    in the first blocks. A late block only sees what the early blocks have written into the residual
    stream. It can make the numbers likelier without touching what decides the animal.

    The figure has three kinds of teachers.

    - **Tuned in block 0**: only the teacher's first block was changed. So it is no surprise that the
      student needs the same block. What counts is that a late block cannot do the same.
    - **Prompted**: nothing was tuned, and the profile looks alike, but the intervals are wide; the
      claim on the late half is {_late["verdict"]}. Block 0 retains
      {show.percent(stored, "prompted: block 0")}, the last block
      {show.percent(stored, "prompted: block 3")}, the late half
      {show.percent(stored, "prompted: late half")}.
    - **Tuned everywhere**, the default teachers of the other pages: block 0 retains
      {show.percent(stored, "tuned everywhere: block 0")}, the last block
      {show.percent(stored, "tuned everywhere: block 3")}.

    So the profile follows the place of the teacher's change. A prompt acts early.

    ## The controls

    Every arm is compared with `all` of the same kind of teacher. **Each arm is trained at its own best
    learning rate**, out of several that were tried on other seeds (`minisub rates layers`,
    docs/validation.md). At one rate for all, a late block looks weaker than it is. `embedding` and
    `unembedding` alone, `attention` and `mlp` alone are in the figure too.

    Two claims on teachers tuned in block 0 (patching and swapping, with a share of 1) are true by
    construction: these teachers differ from the base in block 0 only.

    ## What the paper found, and what does not carry over

    The paper trains layers 0, 7, 14, 21 and 27 of a model with 28 layers. Layers 0 or 7 alone are
    enough; later ones do almost nothing. Its teachers are prompted.

    Here there are four blocks, so "early" is the first one. Teachers tuned in all blocks show a weaker
    profile: block 0 retains more than the last block, but the late half retains much too
    ({show.percent(stored, "tuned everywhere: late half")}). The paper does not say how that is in
    language models.
    """)
    return


@app.cell(hide_code=True)
def _(stored):
    sheet = early_layers.sheet(stored)
    answers = exercises.ask(sheet)
    exercises.show_sheet(answers)
    return answers, sheet


@app.cell(hide_code=True)
def _(answers, sheet):
    exercises.grade(sheet, answers.value)
    return


if __name__ == "__main__":
    app.run()
