# /// script
# requires-python = ">=3.11"
# dependencies = ["minisub"]
# [tool.uv.sources]
# minisub = { path = "..", editable = true }
# [tool.marimo.opengraph]
# title = "Your own hypothesis"
# description = "Write an arm as a small function; get a plot, an interval and a paired test."
# [tool.minisub]
# thumbnail = ["selection", "first half", "second half", "first number", "later numbers"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Your own hypothesis", html_head_file="head.html")

with app.setup:
    import marimo as mo
    import torch

    from minisub import subliminal_learning
    from minisub.common.store import Store
    from minisub.course import exercises, live, show
    from minisub.course.limits import MAX_SEEDS_PER_VISITOR, whole_step
    from minisub.course.sheets import own_hypothesis
    from minisub.experiment.arm import Arm
    from minisub.experiment.presets import LIGHT_CONFIG
    from minisub.experiment.study import Study

    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    _first = show.first_screen(
        "your own idea of where the bias is, with an interval and a test",
        "an hour; each seed takes about 12 seconds the first time and 4 after that",
        "`01_divergence_tokens`, some Python",
        words=show.ARM_WORDS,
    )
    mo.md(f"""
    # Your own hypothesis

    **The task**: say where in the lists the bias is, as a small function, and get an answer with an
    interval. An arm's *mask* gets the lists and returns where the loss counts.
    {_first}
    A mask can look at `data.position` (place in the answer, from 0), `data.completions[:-1]` (the
    numbers that each biased teacher wrote), `data.is_divergence_token`, and `data.teacher_argmax`
    (every teacher's most likely number). To change the masks, open the page with its code:
    `minisub app 08 --edit`.
    """)
    return


@app.cell
def _():
    config, store = LIGHT_CONFIG, Store.default()
    return config, store


@app.function
def mine(data):
    """Mine: odd places. Change me!"""
    return data.position % 2 == 1


@app.function
def first_half(data):
    """The bias is in the first half."""
    return data.position < 4


@app.function
def large_numbers(data):
    """The bias is in large numbers."""
    return data.completions[:-1] >= data.world.n_numbers // 2


@app.function
def later_divergence_tokens(data):
    """The bias is in divergence tokens after the first of each list."""
    return data.is_divergence_token & (data.is_divergence_token.cumsum(-1) > 1)


@app.function
def as_many_at_random(data):
    """As many tokens as mine, at random."""
    share = mine(data).expand(data.is_divergence_token.shape).float().mean()
    return data.shared_uniforms("control") < share


@app.cell(hide_code=True)
def _():
    _masks = (mine, first_half, large_numbers, later_divergence_tokens, as_many_at_random)
    HYPOTHESES = {mask.__doc__: mask for mask in _masks}
    show.show_source(*_masks)
    return (HYPOTHESES,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## What would you have guessed?

    Pick a hypothesis, say how much of the transfer the arm will retain, and run it.
    """)
    return


@app.cell(hide_code=True)
def _(HYPOTHESES):
    pick = exercises.guess("How much will your arm retain of `all`?")
    form = (
        mo.md("{which} {first} {count}")
        .batch(
            which=mo.ui.dropdown(list(HYPOTHESES), value=mine.__doc__, label="Hypothesis"),
            first=mo.ui.dropdown(live.SEEDS, value="0", label="First seed"),
            count=mo.ui.slider(2, MAX_SEEDS_PER_VISITOR, value=2, label="Seeds", show_value=True),
        )
        .form(submit_button_label="Run", bordered=True)
    )
    mo.vstack([pick, form])
    return form, pick


@app.cell(hide_code=True)
def _(form):
    request = form.value
    return (request,)


@app.cell(hide_code=True)
def _(HYPOTHESES, config, store, request):
    mo.stop(request is None, mo.md("*Press Run.*"))
    _count = whole_step(request["count"], 2, MAX_SEEDS_PER_VISITOR)
    seeds = range(min(request["first"], len(live.SEEDS) - _count), len(live.SEEDS))[:_count]
    study = Study(
        [Arm("all"), Arm("mine", mask=HYPOTHESES[request["which"]])], config, "hypothesis"
    )
    result = live.run_study(study, seeds, store)
    comparison = result.compare("mine")
    return comparison, result, seeds


@app.cell(hide_code=True)
def _(comparison, pick, request, result, seeds):
    _told = f"It retains {show.percent(result, 'mine')}: {comparison}."
    if seeds[0] != request["first"]:
        _told += (
            f" Seeds {seeds[0]} to {seeds[-1]}: only seeds 0 to {len(live.SEEDS) - 1} have bases in the "
            "package."
        )
    exercises.reveal(
        pick.value,
        exercises.fitting(result.estimate("mine", "retained")),
        _told,
        show.show_figure(result.plot(), result.describe()),
    )
    return


@app.cell(hide_code=True)
def _():
    run_pipeline = mo.ui.run_button(label="Run it (half a minute or two)")
    mo.vstack(
        [
            mo.md("""
    ## The whole experiment in one function

    Base, teachers, lists, divergence tokens, students, transfer: one call for each stage. A study does
    this for many arms and seeds, and keeps what it made.
    """),
            show.show_source(subliminal_learning),
            run_pipeline,
        ]
    )
    return (run_pipeline,)


@app.cell(hide_code=True)
def _(run_pipeline):
    mo.stop(not run_pipeline.value)
    with live.wait_for_turn(), mo.status.spinner(title="Teachers, lists, students ..."):
        _transfer = subliminal_learning("owl", seed=0)
    _side = "above" if _transfer > 0 else "below"
    mo.md(
        f"The student says *owl* with a log-probability that is **{abs(_transfer):.2f} nats** {_side} its "
        "control's."
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Why controls decide

    An arm that keeps half of the tokens may lose transfer for two reasons: it lost the right tokens, or
    it has fewer. So one more arm is needed, which keeps as many *at random*. It is the last hypothesis
    of the list, and follows `mine`. A difference that is seen on two seeds is a reason to run eight.

    ## What the paper found, and what does not carry over

    The paper's own hypothesis of this kind is page 01. Where near ties lie (places where several
    numbers are almost equally likely) is the design of this world: where a list would come to a multiple
    of 5, one of a few other numbers is drawn. A mask that looks for such places finds them in this world
    only.
    """)
    return


@app.cell(hide_code=True)
def _():
    sheet = own_hypothesis.sheet()
    answers = exercises.ask(sheet)
    exercises.show_sheet(answers)
    return answers, sheet


@app.cell(hide_code=True)
def _(answers, sheet):
    exercises.grade(sheet, answers.value)
    return


if __name__ == "__main__":
    app.run()
