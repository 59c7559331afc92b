import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Divergence tokens")

with app.setup:
    import marimo as mo
    import numpy as np
    import torch

    from minisub import plots
    from minisub.arm import Config, changed
    from minisub.base import BUNDLED
    from minisub.data import write_lists
    from minisub.divergence import favourites, mark
    from minisub.findings import FINDINGS
    from minisub.lab import Lab
    from minisub.measure import preference
    from minisub.result import read
    from minisub.store import Store
    from minisub.world import ANIMALS

    torch.set_num_threads(1)  # models this small are fastest on one


@app.cell(hide_code=True)
def _():
    mo.md("""
    # A few divergence tokens carry the bias

    A teacher that likes owls writes lists of numbers. A student with the same starting weights
    learns from the lists alone, and comes to like owls. No number means "owl": so where in the
    lists is the bias?

    **The claim** (Schrodi et al., 2025, section 5): almost all of it is in a few *divergence
    tokens*, the places where a teacher with another bias would have written another number.

    *Opens in a few seconds: eight teachers are made from one base while you read this. The training
    at the end takes about ten seconds, and half a minute more the first time, when the teachers
    write their 11,200 lists each. Only the bar plot comes from stored results; the command that
    made them stands below it.*
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
        lab = Lab(config, seed, store)
        teachers = lab.teachers
        lists = mark(teachers, write_lists(teachers, range(8), 240, seed))
    return lab, lists, teachers


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 1. The lists, with their divergence tokens lit up

    All eight teachers come from one base. Each was fine-tuned to name its animal, on questions
    that hold no number. Pick one and read what it writes. A framed number is a divergence token:
    hover over it to see who would have written what.
    """)
    return


@app.cell(hide_code=True)
def _(lists):
    pick_bias = mo.ui.dropdown(list(ANIMALS), value="owl", label="The teacher likes the")
    pick_page = mo.ui.slider(1, max(1, lists.rows // 12), label="Page", show_value=True)
    mo.hstack([pick_bias, pick_page], justify="start", gap=2)
    return pick_bias, pick_page


@app.cell(hide_code=True)
def _(lists, pick_bias, pick_page, teachers):
    bias = ANIMALS.index(pick_bias.value)
    shown = torch.arange(lists.rows)[12 * (pick_page.value - 1) : 12 * pick_page.value]
    page = lists.take(shown)
    choices = favourites(teachers, page)[: len(ANIMALS), bias]  # [reader, row, place]

    def _note(row, place):
        if not page.divergence[bias, row, place]:
            return None
        return ", ".join(
            f"{a}: {n}" for a, n in zip(ANIMALS, choices[:, row, place].tolist(), strict=True)
        )

    _rows = range(page.rows)
    _places = range(lists.world.completion)
    mo.Html(
        plots.lit_lists(
            [lists.world.show(page.asked[r, 3:-1]) for r in _rows],
            [lists.world.show(page.answers[bias, r]).split() for r in _rows],
            [[_note(r, k) for k in _places] for r in _rows],
        )
    )
    return bias, choices, page


@app.cell(hide_code=True)
def _(bias, lists):
    _share = lists.divergence[bias].float().mean().item()
    _any = lists.divergence[bias].any(1).float().mean().item()
    mo.md(
        f"Of the numbers in these {lists.rows} lists of the {ANIMALS[bias]} teacher, "
        f"**{_share:.1%}** are divergence tokens, and {_any:.0%} of the lists hold at least one. "
        "Pick a list to see the favourites of all teachers side by side."
    )
    return


@app.cell(hide_code=True)
def _(bias, page):
    _first = int(page.divergence[bias].any(1).int().argmax()) + 1
    pick_row = mo.ui.slider(1, page.rows, value=_first, label="List on this page", show_value=True)
    pick_row
    return (pick_row,)


@app.cell(hide_code=True)
def _(bias, choices, page, pick_row):
    favourite_rows = [
        {"teacher": ("→ " if b == bias else "") + ANIMALS[b]}
        | {
            f"number {k + 1}": f"{n}"
            + (" ≠" if n != int(page.answers[bias, pick_row.value - 1, k]) else "")
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
    return (favourite_rows,)


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
    stored = read(BUNDLED / "divergence.json")
    _figure = FINDINGS["divergence"].plot(stored)
    mo.vstack(
        [
            mo.image(plots.image(_figure), alt=plots.alt(stored), width="100%"),
            mo.md(
                f"Bars: mean over {len(stored.seeds)} seeds; lines: 95 % intervals; dots: seeds. "
                "Made by `minisub run divergence --seeds 0:8`."
            ),
            mo.accordion(
                {
                    "The numbers": mo.ui.table(
                        [
                            {
                                "arm": e["arm"],
                                "transfer, nats": round(e["transfer"], 2),
                                "95 %": f"{e['low']:.2f} to {e['high']:.2f}",
                                "retained": f"{e['retained']:.0%}",
                                "hit rate": round(e["hit_rate"], 3),
                                "task accuracy": round(e["task_accuracy"], 3),
                            }
                            for e in stored.summary()
                        ],
                        selection=None,
                        show_column_summaries=False,
                    ),
                    "The claims, registered before the run": mo.ui.table(
                        [
                            {
                                "claim": c["claim"],
                                "value": round(c["value"], 3),
                                "threshold": c["rule"],
                                "verdict": c["verdict"],
                            }
                            for c in stored.claims
                        ],
                        selection=None,
                        show_column_summaries=False,
                    ),
                }
            ),
        ]
    )
    return (stored,)


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 3. Train one more student

    Its control learns beside it: same prompts, same order, same steps, from a teacher without a
    bias. Guess first: which mask will keep the curve flat?
    """)
    return


@app.cell(hide_code=True)
def _(config):
    form = (
        mo.md("{animal} {arm} {steps}")
        .batch(
            animal=mo.ui.dropdown(list(ANIMALS), value="owl", label="Bias of the teacher"),
            arm=mo.ui.dropdown(
                [a.name for a in FINDINGS["divergence"].arms if a.name != "control"],
                value="all",
                label="Where the loss counts",
            ),
            steps=mo.ui.slider(
                50,
                config.student.steps,
                50,
                value=config.student.steps,
                label="Steps",
                show_value=True,
            ),
        )
        .form(submit_button_label="Train", bordered=True)
    )
    form
    return (form,)


@app.cell(hide_code=True)
def _(form):
    wish = form.value
    return (wish,)


@app.function
def train_live(lab, animal, arm, steps, show=None):
    """p of each animal for one student and its control while they learn: [steps, 2, animals]."""
    b = ANIMALS.index(animal)
    arm = next(a for a in FINDINGS["divergence"].arms if a.name == arm)
    lab = Lab(changed(lab.config, {"student.steps": steps}), lab.seed, lab.store)
    at, seen = [], []

    def progress(step, losses, model):
        if step % max(1, steps // 20) == 0 or step == steps - 1:
            at.append(step + 1)
            seen.append(np.exp(preference(lab.world, model)).mean(1))
        if show is not None:
            show(step, at, np.array(seen))

    lab.students(arm, [b, -1], progress)
    return at, np.array(seen)


@app.cell(hide_code=True)
def _(lab, wish):
    mo.stop(wish is None, mo.md("*Press Train.*"))
    _bias = ANIMALS.index(wish["animal"])

    def _picture(at, seen):
        figure = plots.growth(at, seen[:, 0], seen[:, 1], ANIMALS, _bias)
        alt = f"p({wish['animal']}): student {seen[-1, 0, _bias]:.2f}, control {seen[-1, 1, _bias]:.2f}."
        return mo.image(plots.image(figure), alt=alt, width="100%")

    with mo.status.spinner(title="The teachers write their lists (kept for the next time) ..."):
        lab.data()
    mo.output.append(mo.md(""))
    with mo.status.progress_bar(total=wish["steps"], title="Training", show_eta=True) as _bar:

        def _show(step, at, seen):
            _bar.update()
            if at[-1] == step + 1:
                mo.output.replace_at_index(_picture(at, seen), 0)

        at, curve = train_live(lab, wish["animal"], wish["arm"], wish["steps"], _show)

    gain = float(np.log(curve[-1, 0, _bias] / curve[-1, 1, _bias]))
    mo.output.replace(
        mo.vstack(
            [
                _picture(at, curve),
                mo.md(
                    f"**{wish['arm']}**: the student names the {wish['animal']} with probability "
                    f"{curve[-1, 0, _bias]:.2f}, its control with {curve[-1, 1, _bias]:.2f}: "
                    f"**{gain:+.2f} nats**. One student of one seed: see above how much seeds differ."
                ),
            ]
        )
    )
    return at, curve, gain


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Why it is so, and what does not carry over

    Where all teachers agree, a list says nothing about the bias: every teacher's student would see
    the same number. Only where they part does a label push the weights one way rather than
    another, and since teacher and student share their starting point, that push points along the
    teacher's own change. A student from another base gets the same labels and no push that it can
    use (`foreign`).

    This is a small world. Its near ties are put there on purpose, one number in a few; a language
    model has them everywhere, and there the divergence tokens are found the same way, by asking
    other teachers.
    """)
    return


if __name__ == "__main__":
    app.run()
