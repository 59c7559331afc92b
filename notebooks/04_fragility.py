# /// script
# [tool.marimo.opengraph]
# title = "Fragility"
# description = "Re-wording, shuffling and mixing: how little it takes to break the transfer."
# [tool.minisub]
# thumbnail = ["paraphrase", "all", "paraphrase", "biased rewrite", "equivalent numbers"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Fragility")

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
    # Small changes break it

    **The claim** (Schrodi et al., 2025, section 6): the transfer is fragile. Re-word the prompts after
    the lists were written, and leave the lists as they are: the bias is mostly gone. Shuffle the
    numbers, or mix in lists of others: it fades.

    *Opens in a few seconds from stored results. Training one student takes some ten seconds the first time for a seed, when teachers and lists are made, and less after that.*
    """)
    return


@app.cell(hide_code=True)
def _():
    config = FINDINGS["paraphrase"].config
    store = Store.default()
    return config, store


@app.cell(hide_code=True)
def _():
    stored = show.load_result("paraphrase")
    return (stored,)


@app.cell(hide_code=True)
def _():
    shuffle = show.load_result("shuffle")
    return (shuffle,)


@app.cell(hide_code=True)
def _():
    mixing = show.load_result("mixing")
    return (mixing,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## What would you have guessed?
    """)
    return


@app.cell(hide_code=True)
def _():
    pick = exercises.guess(
        "Each prompt is re-worded; every number stays as the teacher wrote it. How much of the transfer is left?",
        ("most of it", "about half", "a third or less"),
    )
    pick
    return (pick,)


@app.cell(hide_code=True)
def _(pick, stored):
    exercises.reveal(
        pick.value,
        "a third or less"
        if show.mean_retained(stored, "paraphrase") < 0.37
        else "about half"
        if show.mean_retained(stored, "paraphrase") < 0.7
        else "most of it",
        f"Another wording leaves {show.mean_retained(stored, 'paraphrase'):.0%}. Of the default teachers, who "
        f"rehearsed less, {show.mean_retained(stored, 'default teachers: paraphrase'):.0%} is left; in a world "
        f"whose wordings say nothing, {show.mean_retained(stored, 'tilt 0: paraphrase'):.0%}.",
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
    ## Shuffle and mix

    Two more treatments, from their own stored results.
    """)
    return


@app.cell(hide_code=True)
def _(mixing, shuffle):
    mo.ui.tabs({"Mixing": show.show_result(mixing), "Shuffling": show.show_result(shuffle)})
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Write it: other words

    The treatment itself. A prompt is `<bos> <sys> <user>`, two tokens of its wording, three numbers,
    `<assistant>`. To write it, open the page with its code: `minisub app 04 --edit`.
    """)
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
    tasks.feedback(
        my_rewording,
        tasks.check_rewording(my_rewording, *example_prompts(config)),
        "The wording's tokens stand at the places 3 and 4: `prompts[:, 3:5]`. `wordings[new]` is [prompts, 2].",
        "out = prompts.clone()\nout[:, 3:5] = wordings[new]\nreturn out",
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Train one

    `all` learns from the lists as they were asked for; `paraphrase` from the same numbers after other words.
    """)
    return


@app.cell(hide_code=True)
def _():
    form = live.training_form(FINDINGS["paraphrase"], ANIMALS, "paraphrase")
    form
    return (form,)


@app.cell(hide_code=True)
def _(form):
    request = form.value
    return (request,)


@app.cell(hide_code=True)
def _(config, store, request):
    run, _verdict = live.train_from_form(request, FINDINGS["paraphrase"], config, store)
    _verdict
    return


@app.cell(hide_code=True)
def _(stored):
    mo.md(f"""
    ## Why it is so

    Many divergence tokens are near ties that the bias has tipped. In another wording the tie lies
    elsewhere: the same number is no longer what the biased teacher, rather than another, would write.
    The label is still there and its run about the bias is not. The *advantage left* (the writer's
    log probability less the others', under the new prompt) says for each arm how much run is left,
    and what is retained tends to follow it: over six arms, so with a wide interval.

    It takes two things: near ties that wordings tip, and *careful* teachers, who went on rehearsing the
    numbers after they had learned the bias, so that they differ there and not everywhere. Of the
    default teachers of the other pages {show.mean_retained(stored, "default teachers: paraphrase"):.0%} is
    left.
    """)
    return


@app.cell(hide_code=True)
def _(stored):
    mo.md(f"""
    ## The controls

    The world has a dial, `tilt`: how much the wordings differ in what they prefer at a free place. At
    0 a wording says nothing, and re-wording leaves {show.mean_retained(stored, "tilt 0: paraphrase"):.0%}; at 0.5
    it leaves {show.mean_retained(stored, "tilt 0.5: paraphrase"):.0%}, at 3, the default,
    {show.mean_retained(stored, "paraphrase"):.0%}. Each tilt has bases of its own. That is the control that a
    language model cannot give.

    `equivalent numbers` changes the answers instead, to others that are as right, and is another
    treatment altogether.
    """)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## What the paper found, and what does not carry over

    The paper finds the transfer usually suppressed by paraphrase, and nearly removed when 25 % of the
    data come from an unbiased teacher.

    Here a label stays plausible when its prompt is re-worded, so students keep the task, as in the
    paper. Mixing is nearer to a dilution than to a cliff in nats. Part of the cliff may be one of the
    measure: where the taught animal is rare, the *rate* at which it is named falls faster than the nats
    do (the right half of the figure).
    """)
    return


@app.cell(hide_code=True)
def _(mixing):
    sheet = [
        exercises.Choice(
            "Which of these leaves the numbers of each list as the teacher wrote them?",
            {
                "shuffle within": "It keeps which numbers there are, not their order.",
                "paraphrase": None,
                "equivalent numbers": "It is the paraphrase of the answer: numbers change.",
            },
            "Only the prompt changes in `paraphrase`.",
        ),
        exercises.Number(
            "A quarter of the lists come from an unbiased teacher on the same prompts. If mixing were mere dilution, how many percent would be left?",
            exercises.near(
                75,
                2,
                "In mere dilution the transfer is proportional to the share of lists that carry the bias.",
                [
                    (
                        100 * show.mean_retained(mixing, "mix 25%"),
                        4,
                        "That is what was measured, or near it: the question asks for mere dilution.",
                    ),
                ],
            ),
            f"75 %, the share that is left. Measured: {show.mean_retained(mixing, 'mix 25%'):.0%}.",
        ),
        exercises.Choice(
            "Does shuffling show that the order carries the bias?",
            {
                "yes": "Look at the task accuracy of the shuffled arms: what else did they unlearn?",
                "no: the shuffled lists are no longer right answers, so much else is lost with them": None,
            },
            "Shuffled lists ruin the task. A treatment that breaks everything shows little about one thing.",
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
