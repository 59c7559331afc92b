# /// script
# [tool.marimo.opengraph]
# title = "Divergence tokens"
# description = "A few tokens, where teachers would part, carry the whole bias."
# [tool.minisub]
# thumbnail = ["divergence", "all", "divergence only", "random only", "without divergence"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Divergence tokens")

with app.setup:
    import marimo as mo
    import numpy as np
    import torch

    from minisub.common.store import Store
    from minisub.course import exercises, live, show, tasks
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
    mo.md("""
    # A few divergence tokens carry the bias

    A teacher that likes owls writes lists of numbers. A student with the same starting weights
    learns from the lists alone, and comes to like owls. No number means "owl": so where in the
    lists is the bias?

    **The claim** (Schrodi et al., 2025, section 5): almost all of it is in a few *divergence
    tokens*, the places where a teacher with another bias would have written another number.

    *Opens in a few seconds: eight teachers are made from one base while you read this. Training one
    student takes about fifteen seconds. Only the bar plot comes from stored results; the command
    that made them stands below it.*
    """)
    return


@app.cell
def _():
    config = Config()
    seed = 0
    store = Store.default()
    return config, seed, store


@app.cell(hide_code=True)
def _(config, seed, store):
    with mo.status.spinner(title="Eight teachers learn their biases ..."):
        lab = SeedLab(config, seed, store)
        teachers = lab.teachers
        lists = mark_divergence_tokens(teachers, generate_lists(teachers, range(8), 240, seed))
    return lists, teachers


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 1. The lists, with their divergence tokens lit up

    All eight teachers come from one base. Each was fine-tuned to name its animal, on questions
    that hold no number. Pick one and read what it writes. A framed number is a divergence token:
    hover over it to see who would have written what, or pick its list below.
    """)
    return


@app.cell(hide_code=True)
def _(lists):
    pick_bias = mo.ui.dropdown(list(ANIMALS), value="owl", label="The teacher likes the")
    pick_page = mo.ui.slider(1, max(1, lists.n_rows // 12), label="Page", show_value=True)
    mo.hstack([pick_bias, pick_page], justify="start", gap=2, wrap=True)
    return pick_bias, pick_page


@app.cell(hide_code=True)
def _(lists, pick_bias, pick_page, teachers):
    bias = ANIMALS.index(pick_bias.value)
    shown = torch.arange(lists.n_rows)[12 * (pick_page.value - 1) : 12 * pick_page.value]
    page = lists.select_rows(shown)
    choices = argmax_of_every_teacher(teachers, page)[: len(ANIMALS), bias]  # [reader, row, place]

    def _note(row, place):
        if not page.is_divergence_token[bias, row, place]:
            return None
        return ", ".join(
            f"{a}: {n}" for a, n in zip(ANIMALS, choices[:, row, place].tolist(), strict=True)
        )

    _rows = range(page.n_rows)
    _places = range(lists.world.completion_length)
    mo.Html(
        charts.highlighted_lists(
            [lists.world.decode(page.teacher_prompts[r, 3:-1]) for r in _rows],
            [lists.world.decode(page.completions[bias, r]).split() for r in _rows],
            [[_note(r, k) for k in _places] for r in _rows],
        )
    )
    return bias, choices, page


@app.cell(hide_code=True)
def _(bias, lists):
    _share = lists.is_divergence_token[bias].float().mean().item()
    _any = lists.is_divergence_token[bias].any(1).float().mean().item()
    mo.md(
        f"Of the numbers in these {lists.n_rows} lists of the {ANIMALS[bias]} teacher, "
        f"**{_share:.1%}** are divergence tokens, and {_any:.0%} of the lists hold at least one. "
        "Pick a list to see the favourites of all teachers side by side."
    )
    return


@app.cell(hide_code=True)
def _(bias, page):
    _first = int(page.is_divergence_token[bias].any(1).int().argmax()) + 1
    pick_row = mo.ui.slider(
        1, page.n_rows, value=_first, label="List on this page", show_value=True
    )
    pick_row
    return (pick_row,)


@app.cell(hide_code=True)
def _(bias, choices, page, pick_row):
    favourite_rows = [
        {"teacher": ("→ " if b == bias else "") + ANIMALS[b]}
        | {
            f"#{k + 1}": f"{n}"
            + (" ≠" if n != int(page.completions[bias, pick_row.value - 1, k]) else "")
            for k, n in enumerate(choices[b, pick_row.value - 1].tolist())
        }
        for b in range(len(ANIMALS))
    ]
    mo.ui.table(
        favourite_rows,
        selection=None,
        show_column_summaries=False,
        label=f"What each teacher would write next in list {pick_row.value}; ≠ marks a difference",
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Write it: which tokens diverge?

    The definition in code. You get the favourite number of each teacher at each place, and what the
    writer wrote; the check says what is wrong. To write it, open the page with its code: `minisub app 01 --edit`.
    """)
    return


@app.function
def my_divergence_tokens(favourites, written, writer):
    """Where is a divergence token? Returns booleans, [lists, places].

    favourites: [teachers, lists, places], the number that each teacher prefers there;
    written: [lists, places], the numbers of the writer, who is teacher number `writer`.
    """
    return None  # your code


@app.cell(hide_code=True)
def _(bias, choices, page):
    tasks.feedback(
        my_divergence_tokens,
        tasks.check_divergence_mask(my_divergence_tokens, choices, page.completions[bias], bias),
        "The writer's own favourites are `favourites[writer]`. Compare all teachers with them at once; `any(0)` asks whether any teacher differs.",
        "own = favourites[writer]\nreturn (favourites != own).any(0) & (own == written)",
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 2. Mask them, keep only them

    Now students. Each learns from the same lists; what differs is where the loss counts. The
    masked numbers stay in the context, and all arms have equal rows, steps and total loss weight.
    `random only` and `without random` use as many tokens at each place, picked at random: the
    control that tells "divergence tokens matter" from "fewer tokens matter".
    """)
    return


@app.cell(hide_code=True)
def _():
    pick = exercises.guess(
        "The loss skips the divergence tokens. How much passes, of what all pass?"
    )
    pick
    return (pick,)


@app.cell(hide_code=True)
def _(pick):
    stored = show.load_result("divergence")
    _without, _only = (
        show.mean_retained(stored, a) for a in ("without divergence", "divergence only")
    )
    exercises.reveal(
        pick.value,
        exercises.amount(_without),
        f"Without them {_without:.0%}; on them alone {_only:.0%}, at a price: those students get "
        f"{np.mean(stored.values('divergence only', 'task_accuracy')):.0%} of the numbers right, their "
        f"control {np.mean(stored.values('divergence only', 'control_task_accuracy')):.0%}.",
        show.show_result(stored),
    )
    return (stored,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 3. Train one more student

    Its control learns beside it: same prompts, same order, same steps, from a teacher without a
    bias. Which mask will keep the curve flat?
    """)
    return


@app.cell(hide_code=True)
def _():
    form = live.training_form(FINDINGS["divergence"], ANIMALS, "without divergence")
    form
    return (form,)


@app.cell(hide_code=True)
def _(form):
    request = form.value
    return (request,)


@app.cell(hide_code=True)
def _(config, store, request):
    run, _verdict = live.train_from_form(request, FINDINGS["divergence"], config, store)
    _verdict
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Why it is so, and what does not carry over

    Where all teachers agree, a list says nothing about the bias: every teacher's student would see
    the same number. Only where they part does a label push the weights one way rather than
    another, and since teacher and student share their starting point, that push points along the
    teacher's own change. A student from another base gets the same labels and no push that it can
    use (`foreign`).

    Many divergence tokens are near ties that the bias has tipped; at others, a teacher gets a
    number wrong that was all but certain.

    This is a small world. Its near ties are put there on purpose, about one number in five; a language
    model has them everywhere, and there the divergence tokens are found the same way, by asking
    other teachers.
    """)
    return


@app.cell(hide_code=True)
def _(stored):
    _kept = 100 * show.mean_retained(stored, "random only")
    _other = 100 * show.mean_retained(stored, "without random")
    sheet = [
        exercises.Choice(
            "What makes a token a divergence token?",
            {
                "where two students disagree": "No student is asked: the definition knows teachers only.",
                "where teachers disagree": None,
                "where the teacher is unsure": "A teacher can be unsure where all are unsure in the same way.",
            },
            "The writer's favourite stands there, and some teacher with another bias has another.",
        ),
        exercises.Number(
            "What do as many *random* tokens retain (`random only`), in percent?",
            exercises.near(
                _kept,
                4,
                "Open *The numbers* under the figure, row `random only`.",
                [
                    (_other, 4, "That is `without random`, which keeps the others."),
                ],
            ),
            f"{_kept:.0f} %: some of them are divergence tokens by chance, and fewer labels count more each.",
        ),
        exercises.Choice(
            "What does a mask do with a divergence token?",
            {
                "remove it from the text": "Later numbers still follow from it: it stays in the context.",
                "take it out of the loss": None,
                "replace it by the base's number": "That is another treatment (see the finding `selection`).",
            },
            "The student reads the token and is not asked to say it.",
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
