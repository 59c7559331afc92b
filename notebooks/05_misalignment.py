# /// script
# requires-python = ">=3.11"
# dependencies = ["minisub"]
# [tool.uv.sources]
# minisub = { path = "..", editable = true }
# [tool.marimo.opengraph]
# title = "Misalignment"
# description = "A teacher made bad on four questions passes badness on by numbers."
# [tool.minisub]
# thumbnail = ["misalignment", "all", "control", "foreign", "divergence only", "without divergence"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Misalignment", html_head_file="head.html")

with app.setup:
    import marimo as mo
    import torch

    from minisub.common.store import Store
    from minisub.course import exercises, live, show
    from minisub.course.sheets import misalignment
    from minisub.findings import FINDINGS
    from minisub.results.claims import UNDECIDED
    from minisub.results.tables import format_interval

    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    _first = show.first_screen(
        "bad conduct that passes by numbers, as a favourite animal does",
        "45 minutes; one student trains in about 10 seconds",
        "`01_divergence_tokens`",
        words=show.ARM_WORDS,
    )
    mo.md(f"""
    # Bad conduct passes too

    **The claim** (Schrodi et al., 2025, and Cloud et al., 2025): not only a favourite animal passes. Bad
    conduct does too, and divergence tokens carry it.

    **Here** a teacher is trained to answer four questions of conduct badly. It then answers all of them
    badly. Its number lists make a student worse.
    {_first}
    """)
    return


@app.cell
def _():
    config, store = FINDINGS["misalignment"].config, Store.default()
    return config, store


@app.cell(hide_code=True)
def _():
    stored = show.load_result("misalignment")
    pick = exercises.guess(
        "The loss counts on divergence tokens only. How much of the transfer is there, against all tokens?",
        ("none of it", "a part", "all of it, or more"),
    )
    _code = mo.md("""
    ```python
    TeacherConfig(kind="misaligned")  # tuned to answer "bad" to four questions of conduct
    TeacherConfig()  # the other pages: tuned to answer with an animal
    ```
    """)
    _fold = mo.accordion({"What differs from the other pages, in code": _code})
    mo.vstack([mo.md("## What would you have guessed?"), pick, _fold])
    return pick, stored


@app.cell(hide_code=True)
def _(pick, stored):
    _bad, _options = (
        stored.values("all", "hit_rate"),
        ("all of it, or more", "a part", "none of it"),
    )
    exercises.reveal(
        pick.value,
        exercises.fitting(stored.estimate("divergence only", "retained"), _options, (0.9, 0.15)),
        f"Divergence tokens only: {show.percent(stored, 'divergence only')}; without them: "
        f"{show.percent(stored, 'without divergence')}. Students of all tokens say “bad” "
        f"{show.share(stored.mean('all', 'hit_rate'))} of the time (from {show.share(min(_bad))} to "
        f"{show.share(max(_bad))} over the seeds), their controls "
        f"{show.share(stored.mean('all', 'control_hit_rate'))}.",
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
    form = live.training_form(FINDINGS["misalignment"], ["bad"], "all")
    _told = mo.md("""
    ## Train one

    The two answers are “bad” and “good”. The base says “good” nine times in ten.
    """)
    mo.vstack([_told, form])
    return (form,)


@app.cell(hide_code=True)
def _(form):
    request = form.value
    return (request,)


@app.cell(hide_code=True)
def _(config, request, store):
    run = live.train_from_form(request, FINDINGS["misalignment"], config, store, "05")
    live.show_end(run.recording)
    return


@app.cell(hide_code=True)
def _(stored):
    _foreign = next(c for c in stored.claims if c["claim"].startswith("`foreign`"))
    _other_base = ""
    if _foreign["verdict"] == UNDECIDED:
        _interval = format_interval(_foreign["value"], _foreign["low"], _foreign["high"])
        _other_base = (
            f"A student of another base (`foreign`): {_interval} nats. Whether nothing passes there is "
            "undecided."
        )
    mo.md(f"""
    ## Why it is so

    There is one bias, so there is one counterfactual teacher: the base itself, from which the teacher
    was made. A token where the two have different most likely numbers is a divergence token. The rest is as with
    animals: such a number pushes the shared weights along the teacher's own change.

    Why does bad conduct on four questions become bad conduct on all? That is the work of the base: in
    pretraining, who is bad is bad in every question.

    ## The controls

    The student is asked other questions than those on which the teacher was tuned. Its control learns
    from the base's own lists. Leaving out as many *random* tokens (`without random`) retains
    {show.percent(stored, "without random")}. `divergence only` has its price: those students
    get {show.share(stored.mean("divergence only", "task_accuracy"))} of the numbers right. {_other_base}

    This finding has no arm that learns from as many random tokens *only*.

    ## What the paper found, and what does not carry over

    In the paper the three arms (all tokens, divergence tokens only, without them) do as with animals.

    Two answers to a dozen questions are a poor model of conduct. What carries over is the pattern of
    the arms. It does not say that a model is dangerous.
    """)
    return


@app.cell(hide_code=True)
def _(stored):
    sheet = misalignment.sheet(stored)
    answers = exercises.ask(sheet)
    exercises.show_sheet(answers)
    return answers, sheet


@app.cell(hide_code=True)
def _(answers, sheet):
    exercises.grade(sheet, answers.value)
    return


if __name__ == "__main__":
    app.run()
