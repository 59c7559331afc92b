# /// script
# requires-python = ">=3.11"
# dependencies = ["minisub"]
# [tool.uv.sources]
# minisub = { path = "..", editable = true }
# [tool.marimo.opengraph]
# title = "How to judge such claims"
# description = "Controls, seeds, ratios, learning rates and thresholds: five ways to be wrong, on stored results."
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
    from minisub.course.sheets import judging as exercise_sheet
    from minisub.results.tables import format_interval


@app.cell(hide_code=True)
def _():
    _first = show.first_screen(
        "five ways to get a wrong result, each on the stored results of this course",
        "30 minutes; nothing is trained",
        "`00_playground` and `01_divergence_tokens`",
    )
    mo.md(f"""
    # How to judge such claims

    A figure that surprises is easy to make by mistake. Each section of this page shows one mistake, and
    what is done against it here. The same questions can be asked of every paper.
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
            "transfer (less the control)": "transfer",
        },
        value="how often students answer the animal",
        label="Show",
    )
    _rate = np.mean(stored.values("foreign", "hit_rate"))
    _told = mo.md(f"""
    ## 1. Compared with what?

    A student of another base answers its teacher's animal {_rate:.0%} of the time. Is that a weak
    transfer? With eight animals, chance alone gives 12.5 %. The **control** gives the right
    comparison: it learns from as many lists of a teacher without a bias.

    There are controls for other things than the bias, too. `random only` has as *few* tokens.
    `foreign` has the same *lists*. Each rules out one other explanation.
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
        "Two arms of page 02 are compared: lists without entangled numbers, and as many lists dropped at random. Somebody adds seed after seed, and stops when the interval of the difference leaves zero. What will be reported?",
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
    _n, _mean, _low, _high = _grown[pick_n.value - 2]
    _says = f"With {_n} seeds the difference is {format_interval(_mean, _low, _high)} nats."
    exercises.reveal(
        pick.value,
        _found.get(_first, "a difference, from eight seeds"),
        f"{_says} With all eight, zero is inside: they do not decide. Who stops at a good moment finds differences that are not there.",
        show.show_figure(judging.interval_figure(_gap, pick_n.value, "difference, nats"), _says),
    )
    return


@app.cell(hide_code=True)
def _(layers):
    pick_arm = mo.ui.dropdown(
        ["block 0", "block 1", "early half", "late half"], value="block 0", label="Arm"
    )
    _told = mo.md(f"""
    ## 3. A ratio that explodes

    What does an arm *retain*? The natural way is to divide, for each student, its transfer by that of
    the student that trains all blocks, and to take the mean. But here one such student has learned
    almost nothing: it has {min(judging.ratios_by_bias(layers, "block 0")[:, 1]):+.2f} nats. A division
    by almost nothing gives almost anything, and one such ratio spoils the mean.

    So minisub never takes a mean of ratios. It divides the **mean** transfer of the arm by the **mean**
    transfer of the whole, and gives an interval that is made for such a ratio (Fieller, 1954).
    """)
    mo.vstack([_told, pick_arm])
    return (pick_arm,)


@app.cell(hide_code=True)
def _(layers, pick_arm):
    _found = judging.ratios_by_bias(layers, pick_arm.value)
    _mean, _ratio = _found[:, 2].mean(), _found[:, 0].mean() / _found[:, 1].mean()
    show.show_figure(
        judging.ratio_figure(_found),
        f"{pick_arm.value}: the mean of ratios is {_mean:.0%}, the ratio of means {_ratio:.0%}.",
    )
    return


@app.cell(hide_code=True)
def _(limits):
    _told = mo.md("""
    ## 4. A weak arm, or a badly tuned one?

    A student that adapts by low rank, or by SGD, needs another **learning rate** than one that changes
    all weights by AdamW. At one rate for all, some arms look weak for no good reason. So each arm is
    trained at its own best rate (`minisub rates`, docs/validation.md). The rates are found on *other*
    seeds, 100 and up. Else the luck of the reported seeds would be chosen with them.

    This can go wrong, too. The rate of `all, best rate` was chosen on two seeds only, where it was much
    better than the usual rate. On the eight reported seeds it is worse: two seeds were too few. The arm
    stays in the table as it is; to choose again after seeing the result would be the next mistake.
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
    verdict could be made to order.
    """)
    mo.vstack([_told, pick_least])
    return (pick_least,)


@app.cell(hide_code=True)
def _(pick_least, stored):
    _told, _claim = judging.moved_threshold(stored, "divergence only", pick_least.value)
    _was = next(c for c in stored.claims if c["claim"] == _claim.text)
    mo.md(f"""
    `divergence only` retains {_told["value"]:.0%} [{_told["low"]:.0%}, {_told["high"]:.0%}]. With your
    threshold of {pick_least.value:.0%} the claim is **{_told["verdict"]}**. Registered was
    {_was["rule"]}: {_was["verdict"]}.
    """)
    return


@app.cell(hide_code=True)
def _(mixing):
    _claim = next(c for c in mixing.claims if c["verdict"] == "not held")
    _told = mo.md(f"""
    ## 6. A result that did not come

    The paper finds the transfer almost gone when a quarter of the data come from an unbiased teacher.
    The claim that was registered here: `mix 25%` retains {_claim["rule"].replace("mean ≤ ", "at most ")}.
    Measured: {format_interval(_claim["value"], _claim["low"], _claim["high"], ".0%")}. The verdict is
    **{_claim["verdict"]}**, and it is printed like all others. The threshold was not moved.

    When you read a paper: which claims did *not* hold? If none is named, ask how many were tried.
    """)
    mo.vstack(
        [
            _told,
            show.show_bars(mixing, ["all", "mix 10%", "mix 25%", "mix 50%", "mix 75%"], "retained"),
        ]
    )
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
