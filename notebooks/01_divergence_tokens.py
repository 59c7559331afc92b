# /// script
# requires-python = ">=3.11"
# dependencies = ["minisub"]
# [tool.uv.sources]
# minisub = { path = "..", editable = true }
# [tool.marimo.opengraph]
# title = "Divergence tokens"
# description = "A few tokens, where teachers would part, carry the whole bias."
# [tool.minisub]
# thumbnail = ["divergence", "all", "divergence only", "random only", "without divergence"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Divergence tokens", html_head_file="head.html")

with app.setup:
    import marimo as mo
    import torch

    from minisub.common.store import Store
    from minisub.course import exercises, inside, live, show, tasks
    from minisub.course.limits import whole_step
    from minisub.course.sheets import divergence_tokens
    from minisub.distillation import masks
    from minisub.distillation.divergence_tokens import (
        argmax_of_every_teacher,
        mark_divergence_tokens,
    )
    from minisub.distillation.number_lists import generate_lists
    from minisub.experiment.config import Config
    from minisub.experiment.seed_lab import SeedLab
    from minisub.findings import FINDINGS
    from minisub.viz import charts
    from minisub.world.world import ANIMALS

    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    _first = show.first_screen(
        "which numbers of a list carry the bias",
        "45 minutes; one student trains in about 15 seconds",
        "`00_playground`",
        words=show.ARM_WORDS,
    )
    mo.md(f"""
    # A few divergence tokens carry the bias

    A teacher that likes owls writes lists of numbers. A student with the same starting weights learns
    from the lists alone, and comes to like owls. No number means "owl". So where in the lists is the
    bias?

    **The claim** (Schrodi et al., 2025, section 5): almost all of it is in a few *divergence tokens*.
    These are the places where a teacher with another bias would have written another number.
    {_first}
    """)
    return


@app.cell
def _():
    config = Config()
    seed = 0
    store = Store.default()
    return config, seed, store


@app.function
def write_and_mark(config, seed, store):
    teachers = SeedLab(config, seed, store).teachers  # eight of them learn their biases
    lists = generate_lists(teachers, range(8), 240, seed)
    return teachers, mark_divergence_tokens(teachers, lists)


@app.cell(hide_code=True)
def _(config, seed, store):
    with live.wait_for_turn(), mo.status.spinner(title="Eight teachers learn their biases ..."):
        teachers, lists = write_and_mark(config, seed, store)
    return lists, teachers


@app.cell(hide_code=True)
def _(lists):
    pick_bias = mo.ui.dropdown(list(ANIMALS), value="owl", label="The teacher likes the")
    pick_page = mo.ui.slider(1, max(1, lists.n_rows // 12), label="Page", show_value=True)
    pick_row = mo.ui.slider(1, 12, label="List", show_value=True)
    _told = mo.md("""
    ## 1. The lists, with their divergence tokens framed

    All eight teachers come from one base. Each was fine-tuned to name its animal, on questions that
    hold no number. Pick a teacher and read what it writes. Hover over a framed number, or go to it with
    the Tab key: you see which number each teacher would have written there.
    """)
    _dials = mo.hstack([pick_bias, pick_page, pick_row], justify="start", wrap=True)
    mo.vstack([_told, mo.accordion({"In code": show.show_source(write_and_mark)}), _dials])
    return pick_bias, pick_page, pick_row


@app.cell(hide_code=True)
def _(lists, pick_bias, pick_page, teachers):
    bias = ANIMALS.index(pick_bias.value)
    _at = 12 * (whole_step(pick_page.value, 1, max(1, lists.n_rows // 12)) - 1)
    page = lists.select_rows(torch.arange(lists.n_rows)[_at:][:12])
    choices = argmax_of_every_teacher(teachers, page)[: len(ANIMALS), bias]  # [reader, row, place]
    _here = lists.is_divergence_token[bias]
    mo.vstack(
        [
            mo.Html(charts.highlighted_lists(inside.annotate_lists(teachers, page, bias, bias))),
            mo.md(
                f"Of the numbers in {lists.n_rows} lists of this teacher, "
                f"**{show.share(_here.float().mean().item())}** are divergence tokens. "
                f"{show.share(_here.any(1).float().mean().item())} of the lists hold at least one."
            ),
        ]
    )
    return bias, choices, page


@app.cell(hide_code=True)
def _(bias, choices, page, pick_row):
    _row = min(whole_step(pick_row.value, 1, 12), page.n_rows)
    inside.choices_table(choices, page.completions[bias], bias, _row)
    return


@app.function
def my_divergence_tokens(most_likely, written, writer):
    """Where is a divergence token? Returns booleans, [lists, places].

    most_likely: [teachers, lists, places], each teacher's most likely number there;
    written: [lists, places], the numbers of the writer, who is teacher number `writer`.
    """
    return None  # your code


@app.cell(hide_code=True)
def _(bias, choices, page):
    tasks.DIVERGENCE_MASK.show(my_divergence_tokens, choices, page.completions[bias], bias)
    return


@app.cell(hide_code=True)
def _():
    pick = exercises.guess(
        "The loss skips the divergence tokens. How much passes, of what all tokens pass?"
    )
    _told = mo.md("""
    ## 2. Mask them, keep only them

    Now students. All learn from the same lists. What differs is where the loss counts. Masked numbers
    stay in the text that the student reads. All arms have the same rows, the same steps and the same
    total loss weight.

    `random only` and `without random` take as many tokens at each place, but at random. They are the
    control: if they do as well, then the *number* of tokens matters and not *which* tokens.
    """)
    _code = show.show_source(masks.divergence_only, masks.without_divergence, masks.random_only)
    mo.vstack([_told, mo.accordion({"The masks in code": _code}), pick])
    return (pick,)


@app.cell(hide_code=True)
def _(pick):
    stored = show.load_result("divergence")
    _right, _control = (
        show.share(stored.mean("divergence only", measure))
        for measure in ("task_accuracy", "control_task_accuracy")
    )
    exercises.reveal(
        pick.value,
        exercises.fitting(stored.estimate("without divergence", "retained")),
        f"Without divergence tokens {show.percent(stored, 'without divergence')} is retained. With "
        f"them alone {show.percent(stored, 'divergence only')} is retained, at a price: those "
        f"students get {_right} of the numbers right, their control {_control}.",
        show.show_result(stored),
    )
    return (stored,)


@app.cell(hide_code=True)
def _():
    form = live.training_form(FINDINGS["divergence"], ANIMALS, "without divergence")
    _told = mo.md("""
    ## 3. Train one more student

    Its control learns beside it: the same prompts, the same order, the same steps, but lists of a
    teacher without a bias. Which mask will keep the curve flat?
    """)
    mo.vstack([_told, form])
    return (form,)


@app.cell(hide_code=True)
def _(form):
    request = form.value
    return (request,)


@app.cell(hide_code=True)
def _(config, request, store):
    run = live.train_from_form(request, FINDINGS["divergence"], config, store, "01")
    live.show_end(run.recording)
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Why it is so

    Where all teachers agree, a list says nothing about the bias: the student of every teacher sees the
    same number. Only where teachers differ does a number push the weights in one direction and not in
    another.

    Teacher and student share their start. So this push goes along the teacher's own change. A student
    of another base gets the same numbers, but cannot use the push (`foreign`).

    Many divergence tokens are *near ties*: two numbers or more are almost equally likely there, and
    the bias decides. At others the teacher gets a number wrong that was almost certain.

    ## What does not carry over

    This is a small world. Its near ties are put there on purpose, about one number in five. A language
    model has near ties everywhere. There, divergence tokens are found in the same way: by asking other
    teachers.
    """)
    return


@app.cell(hide_code=True)
def _(stored):
    sheet = divergence_tokens.sheet(stored)
    answers = exercises.ask(sheet)
    exercises.show_sheet(answers)
    return answers, sheet


@app.cell(hide_code=True)
def _(answers, sheet):
    exercises.grade(sheet, answers.value)
    return


if __name__ == "__main__":
    app.run()
