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
    import numpy as np
    import torch

    from minisub.common.store import Store
    from minisub.course import exercises, live, show
    from minisub.course.sheets import leakage
    from minisub.distillation import entanglement
    from minisub.findings import FINDINGS
    from minisub.results import statistics
    from minisub.results.claims import probe_values
    from minisub.world.world import ANIMALS

    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    _first = show.first_screen(
        "two easy explanations, and the arms that rule them out",
        "45 minutes; one student trains in about 10 seconds",
        "`01_divergence_tokens`",
        words=show.ARM_WORDS,
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
        exercises.fitting(stored.estimate("without entangled", "retained")),
        f"Without the top four {show.percent(stored, 'without entangled')} is left. With as many lists "
        f"dropped at random {show.percent(stored, 'without as many at random')} is left. {difference}",
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

    Watch greedy lists pass a bias on: they hold the teacher's most likely numbers only, and no probabilities.
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
    _of_tokens, _of_divergence = (
        show.share(np.mean(probe_values(measure, by="probability", top=4)(stored)))
        for measure in ("of_tokens", "of_divergence")
    )
    mo.md(f"""
    ## Why it is so

    How much does one token say about the bias? Take the log-probability that its writer gives it, and
    subtract the one that a teacher with another bias gives it. Greedy tokens say something where the
    most likely number changes, and that is enough.

    Here soft lists pass most ({show.percent(stored, "soft")} of greedy), then sampled lists
    ({show.percent(stored, "sampled")}). A sampled list carries the bias twice: by divergence tokens, and
    by tokens that chance has drawn and that are not the writer's most likely number. Each of the two
    alone retains {show.percent(sampled, "sampled: divergence only")} and
    {show.percent(sampled, "sampled: not favourites")} of what sampled lists pass. Without both
    almost nothing is left: {show.percent(sampled, "sampled: favourites without divergence")}
    (the finding `sampled`).

    Some numbers do become likelier with an animal; that is how the four are picked. But {_of_divergence}
    of the divergence tokens are among them, against {_of_tokens} of all tokens: not more than their
    share. {difference}

    ## The controls

    As many lists dropped *at random* show what fewer different lists cost. The arm without the top
    eight has no random control of its size: most lists hold one of the eight.

    A student of another base (`foreign` in the finding `transfer`) learns nothing about the animal from
    the same lists, though every leaked hint would be in them.

    ## What the paper found, and what does not carry over

    In the paper, greedy lists pass as much as sampled ones, often more. Here greedy lists pass least.
    The paper also finds that the transfer of many biases survives when entangled tokens are filtered.

    Here about one number in five is by design a near tie: several numbers are almost equally likely
    there. And there are only forty numbers. So an entangled number is in many lists. With a thousand
    numbers, dropping them would probably cost less.
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
