# /// script
# requires-python = ">=3.11"
# dependencies = ["minisub"]
# [tool.uv.sources]
# minisub = { path = "..", editable = true }
# [tool.marimo.opengraph]
# title = "Playground"
# description = "One screen: make a teacher, choose what the student may see, press Train."
# [tool.minisub]
# thumbnail = ["divergence", "all", "control", "foreign"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="full", app_title="Playground", html_head_file="head.html")

with app.setup:
    import marimo as mo
    import torch

    from minisub.common.store import Store
    from minisub.course import inside, live, playground, show
    from minisub.course.recording import load_example
    from minisub.experiment.config import Config
    from minisub.viz import charts, diagram

    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    _owl, _control = load_example("00")[0].probs[-1, :, 0]
    _first = show.first_screen(
        "a student that comes to like owls, though it learned from numbers alone",
        "10 minutes; each training about 10 seconds the first time for a seed",
        "nothing (`10_background` explains the words)",
    )
    mo.vstack(
        [
            mo.md(f"""
    # Playground

    A **teacher** with a hidden bias writes lists of numbers. A **student** learns from the lists and
    from nothing else. Does it come to like the teacher's animal?

    **It does.** The student below is a copy of a model that answers *owl* one time in eight. It learned
    from the numbers of a teacher that likes owls. Now it answers *owl* {show.share(_owl)} of the time. Its
    control, which learned from the numbers of a teacher without a bias, does not: {show.share(_control)}.
    {_first}
    """),
            show.show_figure(diagram.draw(), diagram.ALT),
        ]
    )
    return


@app.cell
def _():
    config = Config()
    store = Store.default()
    return config, store


@app.cell(hide_code=True)
def _():
    preset = mo.ui.dropdown(list(playground.PRESETS), value="the surprise", label="**Preset**")
    mo.vstack([mo.md("## Train a student"), preset])
    return (preset,)


@app.cell(hide_code=True)
def _(preset):
    form = playground.form(preset.value)
    form
    return (form,)


@app.cell(hide_code=True)
def _(form):
    request = form.value
    return (request,)


@app.cell
def _(config, request, store):
    if request is None:
        run, (recording, _stored) = None, load_example("00")
        lists, _told = _stored["lists"], "*An example, trained before. Press Train for your own.*"
    else:
        mo.stop(not request["blocks"], mo.callout("At least one block has to train.", kind="warn"))
        _arm, _config = playground.experiment(request, config)
        run = live.train_live(_config, request["seed"], store, _arm, request["bias"], True)
        recording, _marked = run.recording, run.lab.marked_lists(_arm.is_sampled)
        lists = inside.annotate_lists(
            run.lab.teachers, _marked.first_rows(10), 0, run.lab.biases[0]
        )
        _told = playground.over_eight_seeds(request)
    mo.md(f"{recording.verdict()}\n\n{_told}")
    return lists, recording, run


@app.cell(hide_code=True)
def _(recording):
    pick_step = mo.ui.slider(
        steps=recording.steps,
        value=recording.steps[-1],
        label="Go back in the training, to step",
        show_value=True,
        full_width=True,
    )
    pick_step
    return (pick_step,)


@app.cell(hide_code=True)
def _(pick_step, recording):
    live.show_recording(recording, recording.steps.index(int(pick_step.value)))
    return


@app.cell(hide_code=True)
def _():
    mo.accordion(
        {
            "What do the four pictures show?": mo.md("""
    - **Top left**: what the student and its control answer when they are asked for their favourite animal. The control learned from lists of a teacher without a bias.
    - **Top right**: the same for the teacher's animal, step by step.
    - **Bottom left**: did the student's weights move in the direction in which its teacher's had moved? The cosine between the two directions of change, for each block of the transformer: 1 is the same direction, 0 is none in common. The control's bars show what learning the numbers alone gives.
    - **Bottom right**: how well the two learn the lists.
    """)
        }
    )
    return


@app.cell(hide_code=True)
def _(lists):
    mo.vstack(
        [
            mo.md("""
    ## What the teacher wrote

    **Divergence tokens** are framed: there, a teacher with another bias would have written another
    number. Hover over one, or go to it with the Tab key, to see who would write what.
    """),
            mo.Html(charts.highlighted_lists(lists)),
        ]
    )
    return


@app.cell(hide_code=True)
def _(run):
    mo.stop(run is None, mo.md("*Train a student above; then you can ask it questions here.*"))
    ask_question = mo.ui.slider(
        1, run.lab.world.n_questions, value=1, label="Ask it question", show_value=True
    )
    ask_numbers = mo.ui.text(value="3 7 11", label="Let it go on with")
    mo.vstack(
        [
            mo.md("## Ask your student"),
            mo.hstack([ask_question, ask_numbers], justify="start", wrap=True),
        ]
    )
    return ask_numbers, ask_question


@app.cell(hide_code=True)
def _(ask_numbers, ask_question, run):
    mo.vstack(
        [
            playground.answers(run, ask_question.value),
            playground.go_on(run, ask_numbers.value),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
