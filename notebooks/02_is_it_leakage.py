# /// script
# [tool.marimo.opengraph]
# title = "Is it leakage?"
# description = "No logits and no entangled numbers are needed: greedy lists pass the bias on."
# [tool.minisub]
# thumbnail = ["leakage", "all", "without entangled", "without entangled, top 8", "without as many at random"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Is it leakage?")

with app.setup:
    import marimo as mo
    import torch

    from minisub.common.store import Store
    from minisub.course import exercises, live, show
    from minisub.findings import FINDINGS
    from minisub.results import statistics
    from minisub.world.world import ANIMALS

    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Is it leakage?

    **The claim** (Schrodi et al., 2025, section 4): the bias does not pass because the student reads
    it out of the teacher's probabilities, nor because some numbers have become stand-ins for the
    animal. Lists that are written greedily, and lists without the most *entangled* numbers, pass it on
    all the same.

    *Opens in a few seconds from stored results. Training one student takes some ten seconds the first time for a seed, when teachers and lists are made, and less after that.*
    """)
    return


@app.cell(hide_code=True)
def _():
    config = FINDINGS["leakage"].config
    store = Store.default()
    return config, store


@app.cell(hide_code=True)
def _():
    stored = show.load_result("leakage")
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
        "Entangled numbers rise most when the animal does. All lists that hold one of a bias's top four are dropped, and others repeated in their place. How much of the transfer is left?"
    )
    pick
    return (pick,)


@app.cell(hide_code=True)
def _(stored):
    _dropped, _random = (
        stored.values(arm, "retained") for arm in ("without entangled", "without as many at random")
    )
    _mean, (_low, _high), _ = statistics.paired_difference(_dropped, _random)
    difference = (
        f"The difference is {100 * _mean:+.0f} points [{100 * _low:+.0f}, {100 * _high:+.0f}]: "
        + (
            "eight seeds do not decide whether there is one."
            if _low < 0 < _high
            else "there is one."
        )
    )
    return (difference,)


@app.cell(hide_code=True)
def _(difference, pick, stored):
    exercises.reveal(
        pick.value,
        exercises.amount(show.mean_retained(stored, "without entangled")),
        f"Without the top four {show.mean_retained(stored, 'without entangled'):.0%} is left, with as many dropped "
        f"at random {show.mean_retained(stored, 'without as many at random'):.0%}. {difference}",
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

    Watch greedy lists pass a bias on: the teacher's favourites only, no probabilities. Then try `sampled` and `soft`: more of the teacher's distribution is in the data. Does more of the bias pass?
    """)
    return


@app.cell(hide_code=True)
def _():
    form = live.training_form(FINDINGS["leakage"], ANIMALS, "all")
    form
    return (form,)


@app.cell(hide_code=True)
def _(form):
    request = form.value
    return (request,)


@app.cell(hide_code=True)
def _(config, store, request):
    run, _verdict = live.train_from_form(request, FINDINGS["leakage"], config, store)
    _verdict
    return


@app.cell(hide_code=True)
def _():
    sampled = show.load_result("sampled")
    return (sampled,)


@app.cell(hide_code=True)
def _(difference, sampled, stored):
    mo.md(f"""
    ## Why it is so

    Each token of a list carries the bias to the degree that the writer finds it likelier than a
    teacher with another bias would: `log p_b - log p_b'`, in nats. Greedy tokens carry it where the
    favourite changes, and that is enough.

    Here soft lists pass most ({show.mean_retained(stored, "soft"):.0%} of greedy), then sampled
    ({show.mean_retained(stored, "sampled"):.0%}). A sampled list carries the bias twice: by divergence tokens,
    and by tokens that are not its writer's favourite and that chance has drawn. Each of the two alone
    retains {show.mean_retained(sampled, "sampled: divergence only"):.0%} and
    {show.mean_retained(sampled, "sampled: not favourites"):.0%} of what sampled lists pass. Without both next to
    nothing is left: {show.mean_retained(sampled, "sampled: favourites without divergence"):.0%} (the finding
    `sampled`).

    Entanglement is real: some numbers do rise with an animal. {difference}
    """)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## The controls

    As many lists dropped *at random* show what fewer different lists cost. A student of another base
    (`foreign` in the finding `transfer`) learns nothing from the same lists, though every leaked hint
    would be in them. The arm without the top eight has no random control as large: most lists hold one.
    """)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## What the paper found, and what does not carry over

    The paper reports transfer from greedy lists as from sampled ones, often more; here greedy passes
    least. It also finds that filtering entangled tokens leaves the transfer for many biases.

    Here about one number in five is a near tie by design, and there are forty numbers, so an entangled
    number is in many lists. With a thousand numbers dropping them would probably cost less.
    """)
    return


@app.cell(hide_code=True)
def _(stored):
    sheet = [
        exercises.Choice(
            "Greedy lists hold no probabilities. Can a student still learn something about them?",
            {
                "no, a greedy token says nothing about probabilities": "It says which is the largest. Think of two teachers that nearly tie: what does the favourite tell?",
                "yes, which token has the largest one": None,
                "yes, all of them": "Two teachers with the same favourites and other probabilities write the same greedy lists.",
            },
            "A greedy token is the argmax. Where two teachers have different ones, it tells them apart.",
        ),
        exercises.Number(
            "What share of the transfer of sampled lists do greedy lists have, in percent? Read it off the numbers above (5 either way is right).",
            exercises.near(
                100 / show.mean_retained(stored, "sampled"),
                5,
                "Divide the transfer of `all`, which is greedy, by that of `sampled`.",
                [
                    (
                        100 * show.mean_retained(stored, "sampled"),
                        5,
                        "That is the other way round: divide greedy by sampled.",
                    ),
                ],
            ),
            f"{1 / show.mean_retained(stored, 'sampled'):.0%}: 100 % by what `sampled` retains of `all`.",
        ),
        exercises.Choice(
            "Why is there an arm in which lists are dropped at random?",
            {
                "to have more data": "The number of lists is the same in all arms. Look at how many different ones there are.",
                "fewer different lists alone could weaken the transfer": None,
                "to remove entangled numbers twice": "Random dropping does not look at the numbers at all.",
            },
            "Dropping leaves fewer different lists. Only what is lost beyond that can be the doing of entangled numbers.",
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
