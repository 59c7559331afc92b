# /// script
# requires-python = ">=3.11"
# dependencies = ["minisub"]
# [tool.uv.sources]
# minisub = { path = "..", editable = true }
# [tool.marimo.opengraph]
# title = "Fragility"
# description = "Re-wording, shuffling and mixing: how little it takes to break the transfer."
# [tool.minisub]
# thumbnail = ["paraphrase", "all", "paraphrase", "biased rewrite", "equivalent numbers"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Fragility", html_head_file="head.html")

with app.setup:
    import marimo as mo
    import torch

    from minisub.common.randomness import generator
    from minisub.common.store import Store
    from minisub.course import exercises, live, show, tasks
    from minisub.course.sheets import fragility
    from minisub.distillation import edits
    from minisub.findings import FINDINGS
    from minisub.world.world import ANIMALS

    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    _first = show.first_screen(
        "three small changes of the lists, and what each leaves of the bias",
        "45 minutes; one student trains in about 10 seconds",
        "`01_divergence_tokens`",
        words=show.ARM_WORDS,
    )
    mo.md(f"""
    # Small changes break it

    **The claim** (Schrodi et al., 2025, section 6): the transfer is fragile. Re-word the prompts after
    the lists were written, and leave the lists as they are: most of the bias is gone. Shuffle the
    numbers, or mix in lists of other teachers: it becomes weaker.
    {_first}
    """)
    return


@app.cell
def _():
    config, store = FINDINGS["paraphrase"].config, Store.default()
    return config, store


@app.cell(hide_code=True)
def _():
    stored, shuffle, mixing = map(show.load_result, ("paraphrase", "shuffle", "mixing"))
    pick = exercises.guess(
        "Each prompt is re-worded. Every number stays as the teacher wrote it. How much of the transfer is left?",
        ("most of it", "about half", "a third or less"),
    )
    _code = show.show_source(edits.other_wording, edits.shuffle_within, edits.mix_unbiased)
    _fold = mo.accordion({"The three changes in code": _code})
    mo.vstack([mo.md("## What would you have guessed?"), pick, _fold])
    return mixing, pick, shuffle, stored


@app.cell(hide_code=True)
def _(pick, stored):
    _options = ("most of it", "about half", "a third or less")
    exercises.reveal(
        pick.value,
        exercises.fitting(stored.estimate("paraphrase", "retained"), _options, (0.7, 0.37)),
        f"Another wording leaves {show.percent(stored, 'paraphrase')}. With the default teachers, who "
        "rehearsed less (they trained less on number tasks while they learned the bias), "
        f"{show.percent(stored, 'default teachers: paraphrase')} is left. In a world whose wordings say "
        f"nothing, {show.percent(stored, 'tilt 0: paraphrase')} is left.",
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
def _(mixing, shuffle):
    _tabs = mo.ui.tabs({"Mixing": show.show_result(mixing), "Shuffling": show.show_result(shuffle)})
    mo.vstack(
        [mo.md("## Shuffle and mix\n\nTwo more changes, from their own stored results."), _tabs]
    )
    return


@app.function
def my_rewording(prompts, wordings, new):
    """Return the prompts in other wordings, [prompts, length].

    prompts: [prompts, length], token ids; wordings: [wordings, 2], token ids;
    new: [prompts], which row of `wordings` each prompt gets.
    """
    return None  # your code


@app.function
def example_prompts(config):
    world, g = config.base.world, generator(0, "prompts to re-word")
    prompts = world.sample_prompts(64, g)
    new = torch.randint(world.n_wordings, (len(prompts),), generator=g)
    return prompts, world.wording_tokens, new


@app.cell(hide_code=True)
def _(config):
    tasks.REWORDING.show(my_rewording, *example_prompts(config))
    return


@app.cell(hide_code=True)
def _():
    form = live.training_form(FINDINGS["paraphrase"], ANIMALS, "paraphrase")
    _told = mo.md("## Train one\n\nThe same lists, with other prompts. What happens to the bias?")
    mo.vstack([_told, form])
    return (form,)


@app.cell(hide_code=True)
def _(form):
    request = form.value
    return (request,)


@app.cell(hide_code=True)
def _(config, request, store):
    run = live.train_from_form(request, FINDINGS["paraphrase"], config, store, "04")
    live.show_end(run.recording)
    return


@app.cell(hide_code=True)
def _(stored):
    mo.md(f"""
    ## Why it is so

    Many divergence tokens are *near ties*: several numbers are almost equally likely there, and the bias
    decides. In another wording the ties lie elsewhere. The number is still there, but it is no longer what *this* teacher, and not another one,
    would write. So it says little about the bias.

    The *advantage left* measures this: the writer's log probability less that of the others, under the
    new prompt. What an arm retains tends to follow it (over six arms, so with a wide interval).

    How much is lost depends on two things. Wordings must decide near ties (the dial `tilt`). And it is
    more with *careful* teachers, who went on to rehearse the numbers after they had learned the bias, so
    that they differ from one another at near ties and not everywhere. With the default teachers of the
    other pages, who rehearsed less, {show.percent(stored, "default teachers: paraphrase")} is left.

    ## The controls

    The world has a dial, `tilt`: how much the wordings differ in what they prefer at a *free place* (where a list
    would come to a multiple of 5, one of a few other numbers is drawn). At 0 a wording says nothing, and
    another wording leaves {show.percent(stored, "tilt 0: paraphrase")}. At 0.5 it leaves
    {show.percent(stored, "tilt 0.5: paraphrase")}. At 3, the default, it leaves
    {show.percent(stored, "paraphrase")}. Each tilt has bases of its own. A language model
    cannot give this control.

    `equivalent numbers` changes the answers instead, to others that are as right. That is another
    treatment.

    ## What the paper found, and what does not carry over

    In the paper, paraphrase usually suppresses the transfer, and it is almost gone at about 25 %
    of data from an unbiased teacher.

    Here a label stays plausible when its prompt is re-worded, so students keep the task, as in the
    paper. Mixing is nearer to a dilution than to a cliff, when it is measured in nats. Part of the
    paper's cliff may come from its measure: where the animal is rare, the *rate* at which it is named
    falls faster than the nats do (the right half of the figure).
    """)
    return


@app.cell(hide_code=True)
def _(mixing):
    sheet = fragility.sheet(mixing)
    answers = exercises.ask(sheet)
    exercises.show_sheet(answers)
    return answers, sheet


@app.cell(hide_code=True)
def _(answers, sheet):
    exercises.grade(sheet, answers.value)
    return


if __name__ == "__main__":
    app.run()
