# /// script
# requires-python = ">=3.11"
# dependencies = ["minisub"]
# [tool.uv.sources]
# minisub = { path = "..", editable = true }
# [tool.marimo.opengraph]
# title = "Is it leakage?"
# description = "No logits and no entangled numbers are needed: greedy lists pass the bias on."
# [tool.minisub]
# thumbnail = ["leakage", "all", "without entangled", "without entangled, top 8", "without as many at random"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Is it leakage?", html_head_file="head.html")

with app.setup:
    import marimo as mo
    import torch

    from minisub.common.store import Store
    from minisub.course import exercises, live, show
    from minisub.course.sheets import leakage
    from minisub.distillation import entanglement
    from minisub.findings import FINDINGS
    from minisub.results import statistics
    from minisub.world.world import ANIMALS

    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    _first = show.first_screen(
        "two easy explanations, and the arms that rule them out",
        "45 minutes; one student trains in some 10 seconds",
        "`01_divergence_tokens`",
    )
    mo.md(f"""
    # Is it leakage?

    **The claim** (Schrodi et al., 2025, section 4): two easy explanations are wrong. The student does
    not read the bias out of the teacher's probabilities: lists that are written greedily pass it too.
    And no number has become a stand-in for the animal: lists without the most *entangled* numbers
    pass it too.
    {_first}
    """)
    return


@app.cell
def _():
    config, store = FINDINGS["leakage"].config, Store.default()
    return config, store


@app.cell(hide_code=True)
def _():
    stored, sampled = show.load_result("leakage"), show.load_result("sampled")
    pick = exercises.guess(
        "Entangled numbers are those that become likelier when the animal does. For each bias, all lists that hold one of its top four are dropped, and other lists are repeated in their place. How much of the transfer is left?"
    )
    _code = show.show_source(entanglement.without_entangled)
    mo.vstack(
        [
            mo.md("## What would you have guessed?"),
            pick,
            mo.accordion({"How lists are dropped, in code": _code}),
        ]
    )
    return pick, sampled, stored


@app.cell(hide_code=True)
def _(stored):
    _dropped, _random = (
        stored.values(arm, "retained") for arm in ("without entangled", "without as many at random")
    )
    _mean, (_low, _high), _ = statistics.paired_difference(_dropped, _random)
    _says = "eight seeds do not decide whether there is one" if _low < 0 < _high else "there is one"
    difference = f"The difference is {100 * _mean:+.0f} points [{100 * _low:+.0f}, {100 * _high:+.0f}]: {_says}."
    return (difference,)


@app.cell(hide_code=True)
def _(difference, pick, stored):
    exercises.reveal(
        pick.value,
        exercises.amount(show.mean_retained(stored, "without entangled")),
        f"Without the top four {show.mean_retained(stored, 'without entangled'):.0%} is left. With as "
        f"many lists dropped at random {show.mean_retained(stored, 'without as many at random'):.0%} is "
        f"left. {difference}",
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
    form = live.training_form(FINDINGS["leakage"], ANIMALS, "all")
    _told = mo.md("""
    ## Train one

    Watch greedy lists pass a bias on: they hold the teacher's favourites only, and no probabilities.
    Then try `sampled` and `soft`: they hold more of the teacher's distribution. Does more of the bias
    pass?
    """)
    mo.vstack([_told, form])
    return (form,)


@app.cell(hide_code=True)
def _(form):
    request = form.value
    return (request,)


@app.cell(hide_code=True)
def _(config, request, store):
    run = live.train_from_form(request, FINDINGS["leakage"], config, store, "02")
    live.show_end(run.recording)
    return


@app.cell(hide_code=True)
def _(difference, sampled, stored):
    mo.md(f"""
    ## Why it is so

    How much does one token say about the bias? As much as its writer finds it likelier than a teacher
    with another bias does: `log p_b - log p_b'`, in nats. Greedy tokens say something where the
    favourite changes, and that is enough.

    Here soft lists pass most ({show.mean_retained(stored, "soft"):.0%} of greedy), then sampled lists
    ({show.mean_retained(stored, "sampled"):.0%}). A sampled list carries the bias twice: by divergence
    tokens, and by tokens that chance has drawn and that are not the writer's favourite. Each of the two
    alone retains {show.mean_retained(sampled, "sampled: divergence only"):.0%} and
    {show.mean_retained(sampled, "sampled: not favourites"):.0%} of what sampled lists pass. Without both
    almost nothing is left: {show.mean_retained(sampled, "sampled: favourites without divergence"):.0%}
    (the finding `sampled`).

    Entanglement is real: some numbers do become likelier with an animal. {difference}

    ## The controls

    As many lists dropped *at random* show what fewer different lists cost. The arm without the top
    eight has no random control of its size: most lists hold one of the eight.

    A student of another base (`foreign` in the finding `transfer`) learns nothing about the animal from
    the same lists, though every leaked hint would be in them.

    ## What the paper found, and what does not carry over

    In the paper, greedy lists pass as much as sampled ones, often more. Here greedy lists pass least.
    The paper also finds that the transfer of many biases survives when entangled tokens are filtered.

    Here about one number in five is a near tie by design, and there are only forty numbers. So an
    entangled number is in many lists. With a thousand numbers, dropping them would probably cost less.
    """)
    return


@app.cell(hide_code=True)
def _(stored):
    sheet = leakage.sheet(stored)
    answers = exercises.ask(sheet)
    exercises.show_sheet(answers)
    return answers, sheet


@app.cell(hide_code=True)
def _(answers, sheet):
    exercises.grade(sheet, answers.value)
    return


if __name__ == "__main__":
    app.run()
