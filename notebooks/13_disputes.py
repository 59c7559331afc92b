# /// script
# requires-python = ">=3.11"
# dependencies = ["minisub"]
# [tool.uv.sources]
# minisub = { path = "..", editable = true }
# [tool.marimo.opengraph]
# title = "Disputes"
# description = "What later papers disagree on, asked in one small world: rank, optimizer, start, readers."
# [tool.minisub]
# thumbnail = ["rank", "all", "rank 1, rate x1", "rank 1, rate x16", "rank 4, rate x16", "full, rate x16"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Disputes", html_head_file="head.html")

with app.setup:
    import marimo as mo
    import torch

    from minisub.common.store import Store
    from minisub.course import disputes, exercises, live, show
    from minisub.course.sheets import disputes as sheets
    from minisub.findings import DISPUTES, rank
    from minisub.world.world import ANIMALS

    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    _first = show.first_screen(
        "what later papers disagree on, and what happens in this small world",
        "45 minutes; one student trains in about 10 seconds",
        "`01_divergence_tokens`, and `11_how_to_judge` for the last part",
        words=show.ARM_WORDS,
    )
    mo.md(f"""
    # Disputes

    **The question**: papers since the first one disagree on when and why subliminal learning happens. With
    language models each costs much computing. Here it costs one to three minutes.
    {_first}
    """)
    return


@app.cell
def _():
    config, store = DISPUTES["rank"].config, Store.default()
    return config, store


@app.cell(hide_code=True)
def _():
    pick_dispute = mo.ui.dropdown(list(DISPUTES), value="geometry", label="Dispute")
    _told = mo.md("""
    ## The disputes

    Each is a finding with claims that were registered before it was run. A claim that did not hold stays.
    """)
    mo.vstack([_told, show.show_table(disputes.overview()), pick_dispute])
    return (pick_dispute,)


@app.cell(hide_code=True)
def _(pick_dispute):
    _finding = DISPUTES[pick_dispute.value]
    mo.vstack(
        [
            mo.md(f"**What papers report.** {_finding.paper}\n\n**Here.** {_finding.statement}"),
            show.show_result(show.load_result(_finding.name)),
        ]
    )
    return


@app.cell(hide_code=True)
def _():
    stored = show.load_result("rank")
    pick = exercises.guess(
        "Students learn by LoRA of rank 1 (each matrix changes by one column times one row only; rank 2 is a sum of two such products), at the learning rate that is usual for full training. How much of the transfer of full training is there?"
    )
    _code = show.show_arms("rank", rank.cell(1, 1.0), rank.cell(4, 16.0))
    mo.vstack(
        [
            mo.md("## One of them closely: the rank of a LoRA"),
            pick,
            mo.accordion({"Such arms in code": _code}),
        ]
    )
    return pick, stored


@app.cell(hide_code=True)
def _(pick, stored):
    _slow, _fast = rank.cell(1, 1.0), rank.cell(1, 16.0)
    exercises.reveal(
        pick.value,
        exercises.fitting(stored.estimate(_slow, "retained")),
        f"Rank 1 retains {show.percent(stored, _slow)} at the usual rate, and "
        f"{show.percent(stored, _fast)} at 16 times that rate.",
        show.show_figure(rank.plot(stored), stored.describe()),
    )
    return


@app.cell(hide_code=True)
def _():
    form = live.training_form(DISPUTES["rank"], ANIMALS, rank.cell(4, 4.0))
    _told = mo.md("""
    ## Make one cell again

    Pick a rank and a rate. One student is trained for it now, and stands in the heat map beside the
    stored mean. Where is one seed far from the mean of eight?
    """)
    mo.vstack([_told, form])
    return (form,)


@app.cell(hide_code=True)
def _(form):
    request = form.value
    return (request,)


@app.cell(hide_code=True)
def _(config, request, store):
    run = live.train_from_form(request, DISPUTES["rank"], config, store, "13")
    live.show_end(run.recording)
    return (run,)


@app.cell(hide_code=True)
def _(run, stored):
    disputes.show_cell(stored, run.recording)
    return


@app.cell(hide_code=True)
def _():
    _code = """
    ```python
    from minisub import Arm, Study
    from minisub.experiment.presets import LIGHT_CONFIG

    arms = [
        Arm("all"),
        Arm("momentum", optimizer="sgd", lr_factor=100.0),
        Arm("first block", optimizer="sgd", lr_factor=200.0, trainable={"blocks.0.": 1.0}),
    ]
    result = Study(arms, LIGHT_CONFIG).run(seeds=range(4))
    print(result)
    print(result.compare("first block", "momentum"))
    ```
    """
    mo.vstack(
        [
            mo.md("""
    ## Why they disagree

    Two of these disputes (`rank`, `optimizer`) are about treatments that need different learning rates. In
    this world, comparing these treatments at one rate can produce such a dispute. Whether that explains
    the papers is open. Others compare at equal steps what should be compared at equal data.

    ## The controls

    Every arm has a control student of its own, treated alike. In `rank`, each seed takes the rate that is
    best on the other seven. In `optimizer`, rates were found on seeds 100 to 103. There the best rate is
    the one with the lowest loss on the lists, not the one that passes most: who does not know the bias
    would choose it so.

    ## What does not carry over

    A general claim ("adaptive optimizers are needed") ends with one world in which it is false. That a
    claim holds here does not make it true of language models. Sizes, ranks and rates are those of a model
    with 15,000 weights.

    ## A dispute of your own

    Each of these is a few lines. This one asks whether SGD with momentum on the first block alone passes as much:
    """),
            mo.md(_code),
        ]
    )
    return


@app.cell(hide_code=True)
def _(stored):
    sheet = sheets.sheet(stored)
    answers = exercises.ask(sheet)
    exercises.show_sheet(answers)
    return answers, sheet


@app.cell(hide_code=True)
def _(answers, sheet):
    exercises.grade(sheet, answers.value)
    return


if __name__ == "__main__":
    app.run()
