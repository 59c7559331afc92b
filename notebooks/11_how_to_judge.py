# /// script
# requires-python = ">=3.11"
# dependencies = ["minisub"]
# [tool.uv.sources]
# minisub = { path = "..", editable = true }
# [tool.marimo.opengraph]
# title = "How to judge such claims"
# description = "Controls, seeds, ratios, learning rates and thresholds: six questions to ask of a result."
# [tool.minisub]
# thumbnail = ["mixing", "all", "mix 10%", "mix 25%", "mix 50%"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="How to judge such claims", html_head_file="head.html")

with app.setup:
    import marimo as mo
    import numpy as np

    from minisub.course import exercises, judging, show
    from minisub.course.limits import whole_step
    from minisub.course.sheets import judging as exercise_sheet
    from minisub.results.claims import retains
    from minisub.results.tables import format_interval


@app.cell(hide_code=True)
def _():
    _first = show.first_screen(
        "six questions to ask of every result, each on the stored results of this course",
        "30 minutes; nothing is trained",
        "`00_playground`, `01_divergence_tokens`; `02` and `03` help",
        words=show.ARM_WORDS,
    )
    mo.md(f"""
    # How to judge such claims

    It is easy to get a surprising result by mistake. Each section of this page asks one question, and
    shows what is done about it here. The same questions can be asked of every paper.
    {_first}
    """)
    return


@app.cell
def _():
    stored = show.load_result("divergence")
    layers, leakage = show.load_result("layers"), show.load_result("leakage")
    limits, mixing = show.load_result("limits"), show.load_result("mixing")
    return layers, leakage, limits, mixing, stored


@app.cell(hide_code=True)
def _(stored):
    pick_measure = mo.ui.radio(
        {
            "how often students answer the animal": "hit_rate",
            "transfer: gain in log-probability over the control, nats": "transfer",
        },
        value="how often students answer the animal",
        label="Show",
    )
    _rate = show.share(stored.mean("foreign", "hit_rate"))
    _told = mo.md(f"""
    ## 1. Compared with what?

    A student of another base answers its teacher's animal {_rate} of the time. Is that a weak
    transfer? With eight animals one would expect 12.5 %, but a base may prefer some of them. The
    **control** gives the right comparison: it learns from as many lists of a teacher without a bias.

    There are controls for other things than the bias, too. `random only` learns from as *few* tokens as
    `divergence only` (and still takes over a part). `foreign` learns from the same *lists*. Each makes
    one other explanation less likely.
    """)
    mo.vstack([_told, pick_measure])
    return (pick_measure,)


@app.cell(hide_code=True)
def _(pick_measure, stored):
    show.show_bars(stored, stored.arms, pick_measure.value)
    return


@app.cell(hide_code=True)
def _():
    pick = exercises.guess(
        "Two arms of page 02 are compared: lists without entangled numbers, and as many lists dropped at random. Somebody adds seed after seed, and stops when the interval of the (paired) difference no longer contains zero. What will be reported?",
        ("a difference, from three seeds", "a difference, from eight seeds", "no difference"),
    )
    pick_n = mo.ui.slider(2, 8, value=3, label="Seeds", show_value=True)
    _told = mo.md("""
    ## 2. Is it luck?

    The unit is the **seed**: one base with its teachers, lists and students. A thousand questions to one
    student are still one observation. The number of seeds is chosen *before* the run, here eight.
    """)
    mo.vstack([_told, pick, pick_n])
    return pick, pick_n


@app.cell(hide_code=True)
def _(leakage, pick, pick_n):
    _gap = np.subtract(
        leakage.values("without entangled"), leakage.values("without as many at random")
    ).tolist()
    _grown = judging.growing_intervals(_gap)
    _first = next((n for n, _, low, high in _grown if not low <= 0 <= high), None)
    _found = {3: "a difference, from three seeds", None: "no difference"}
    _n, _mean, _low, _high = _grown[whole_step(pick_n.value, 2, 8) - 2]
    _says = f"With {_n} seeds the difference is {format_interval(_mean, _low, _high)} nats."
    exercises.reveal(
        pick.value,
        (_found.get(_first, "a difference, from eight seeds"),),
        f"{_says} With all eight the interval contains zero. That is not *no difference*: it is *not decided*. Where there is no difference at all, whoever looks after each of 2 to 8 seeds, and stops when zero is outside, finds one in {show.share(judging.false_alarm_rate())} of the studies, and not in 5 % (simulated).",
        show.show_figure(judging.interval_figure(_gap, pick_n.value, "difference, nats"), _says),
    )
    return


@app.cell(hide_code=True)
def _(layers):
    _arms = ["tuned everywhere: block 0", "tuned everywhere: early half", "block 0", "early half"]
    pick_arm = mo.ui.dropdown(_arms, value=_arms[0], label="Arm")
    _wholes = judging.ratios_by_bias(layers, _arms[0])[:, 1]
    _told = mo.md(f"""
    ## 3. A ratio that explodes

    What does an arm *retain*? One could divide, for each student, its transfer by that of the student
    that trains all blocks, and take the mean. But here one such student has taken over almost nothing
    of the bias: {min(_wholes, key=abs):+.2f} nats. A division by almost nothing gives almost anything,
    and one such ratio spoils the mean.

    So what is *retained* is never a mean of ratios here. The **mean** transfer of the arm is divided by
    the **mean** transfer of the whole, with an interval that is made for such a ratio (Fieller, 1954).
    This ratio gives weight to each seed by the size of its transfer. The figure shows single students;
    with one ratio a *seed* (two students each) the two ways differ less, as no seed is that weak.
    """)
    mo.vstack([_told, pick_arm])
    return (pick_arm,)


@app.cell(hide_code=True)
def _(layers, pick_arm):
    _found = judging.ratios_by_bias(layers, pick_arm.value)
    _mean, _ratio = _found[:, 2].mean(), _found[:, 0].mean() / _found[:, 1].mean()
    _figure = show.show_figure(
        judging.ratio_figure(_found),
        f"{pick_arm.value}: the mean of ratios is {show.share(_mean)}, the ratio of means {show.share(_ratio)}.",
    )
    _seeds = show.percent(layers, pick_arm.value)
    mo.vstack([_figure, mo.md(f"Over seeds, `{pick_arm.value}` retains {_seeds}.")])
    return


@app.cell(hide_code=True)
def _(limits):
    _told = mo.md(f"""
    ## 4. A weak arm, or a badly tuned one?

    A student that adapts by low rank, or by SGD, needs another **learning rate** than one that changes
    all weights by AdamW. At one rate for all, such arms can look weak for no good reason. So arms that
    train a part, or in another way, get the best of four rates (`minisub rates`, docs/validation.md). The
    rates are found on *other* seeds, 100 and up. Otherwise a rate could win by luck on the very seeds
    that are reported.

    This can go wrong, too. The rates of this table were chosen on two seeds only. There, `all` was much
    better at eight times its usual rate (`all, best rate`). On the eight reported seeds it is not:
    {limits.compare("all, best rate", "all")}. So two seeds were too few, for all arms of this table. The arms stay as they are: to choose again after
    seeing the result would be the next mistake.
    """)
    mo.vstack([_told, show.show_table(judging.rate_rows(limits), "Stored results of `limits`")])
    return


@app.cell(hide_code=True)
def _():
    pick_least = mo.ui.slider(
        0.5, 1.5, 0.05, value=0.9, label="It retains at least", show_value=True
    )
    _told = mo.md("""
    ## 5. Where was the threshold?

    "Divergence tokens alone carry the bias": how much is *carry*? Here each finding **registers** its
    claims in code, with threshold and direction, before it is run. Move the threshold, and see how a
    verdict could be chosen to please.

    *Held*: the mean reaches the threshold. *Not held*: it does not, nor does any of the interval.
    *Undecided*: it does not, but a part of the interval does.
    """)
    mo.vstack([_told, pick_least])
    return (pick_least,)


@app.cell(hide_code=True)
def _(pick_least, stored):
    _told = retains("divergence only", low=pick_least.value).judge(stored)
    _was = next(c for c in stored.claims if c["claim"] == _told["claim"])
    mo.md(f"""
    `divergence only` retains {show.share(_told["value"], _told["low"], _told["high"])}. With your
    threshold of {show.share(pick_least.value)} the claim is **{_told["verdict"]}**. Registered was
    {_was["rule"]}: {_was["verdict"]}.
    """)
    return


@app.cell(hide_code=True)
def _(mixing):
    _claim = next(c for c in mixing.claims if c["verdict"] == "not held")
    _rate = next(c for c in mixing.claims if c["claim"].endswith("share kept by hit rate"))
    _every = judging.all_claims()
    _told = mo.md(f"""
    ## 6. Which claims failed?

    The paper finds the transfer almost gone at about 25 % of data from an unbiased teacher.
    The claim that was registered here: `mix 25%` retains {_claim["rule"].replace("mean ≤ ", "at most ")}.
    Measured: {show.share(_claim["value"], _claim["low"], _claim["high"])}. The verdict is
    **{_claim["verdict"]}**, and it is printed like all others. The threshold was not moved.

    A part of the paper's result may come from its measure. Where preferences are uneven, the *rate* of
    the animal falls faster than the nats: {show.share(_rate["value"], _rate["low"], _rate["high"])}
    of its gain is left.

    When you read a paper: which claims did *not* hold? If none is named, ask how many were tried. Here
    {len(_every)} were: {judging.verdict_counts(_every)}. Nothing corrects for their number.
    """)
    _arms = ["all", *(f"mix {n}%" for n in (10, 25, 50, 75))]
    mo.vstack([_told, show.show_bars(mixing, _arms, "retained")])
    return


@app.cell(hide_code=True)
def _():
    sheet = exercise_sheet.sheet()
    answers = exercises.ask(sheet)
    exercises.show_sheet(answers)
    return answers, sheet


@app.cell(hide_code=True)
def _(answers, sheet):
    exercises.grade(sheet, answers.value)
    return


if __name__ == "__main__":
    app.run()
