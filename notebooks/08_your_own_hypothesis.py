# /// script
# [tool.marimo.opengraph]
# title = "Your own hypothesis"
# description = "Write an arm as a small function; get a plot, an interval and a paired test."
# [tool.minisub]
# thumbnail = ["selection", "first half", "second half", "first number", "later numbers"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Your own hypothesis")

with app.setup:
    import marimo as mo
    import torch

    from minisub.common.store import Store
    from minisub.course import exercises, live, show
    from minisub.course.limits import MAX_SEEDS_PER_VISITOR
    from minisub.experiment.arm import Arm
    from minisub.experiment.presets import LIGHT_CONFIG
    from minisub.experiment.study import Study
    from minisub.results import figures

    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Your own hypothesis

    **The task**: say where in the lists the bias is, as a small function, and have an answer with an
    interval. An arm's *mask* gets the lists and returns where the loss counts.

    *Opens in a few seconds. Each seed takes about twelve seconds the first time and four after that,
    two seeds at once. `minisub app 08 --edit` opens this page with its code, to change it.*

    What a mask can look at: `data.position` (place in the answer, from 0), `data.completions[:-1]` (the
    numbers that each biased teacher wrote), `data.is_divergence_token` (the divergence tokens), `data.teacher_argmax`
    (every teacher's favourite).
    """)
    return


@app.cell(hide_code=True)
def _():
    config = LIGHT_CONFIG
    store = Store.default()
    return config, store


@app.cell
def _():
    def mine(data):
        """Change me: where does the loss count?"""
        return data.position % 2 == 1

    HYPOTHESES = {
        "mine: odd places": mine,
        "the bias sits in the first half": lambda data: data.position < 4,
        "it sits in large numbers": lambda data: data.completions[:-1] >= data.world.n_numbers // 2,
        "divergence tokens after the first": lambda data: (
            data.is_divergence_token & (data.is_divergence_token.cumsum(-1) > 1)
        ),
        "as many as mine, at random": lambda data: (
            data.shared_uniforms("control")
            < mine(data).expand(data.is_divergence_token.shape).float().mean()
        ),
    }
    mo.show_code()
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
            which=mo.ui.dropdown(list(HYPOTHESES), value="mine: odd places", label="Hypothesis"),
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
    _first = min(
        request["first"], 8 - request["count"]
    )  # bases of seeds 0 to 7 come with the package
    study = Study(
        [Arm("all"), Arm("mine", mask=HYPOTHESES[request["which"]])], config, "hypothesis"
    )
    result = live.run_study(study, range(_first, _first + request["count"]), store)
    comparison = result.compare("mine")
    return comparison, result


@app.cell(hide_code=True)
def _(comparison, pick, result):
    _kept = show.mean_retained(result, "mine")
    _told = f"It retains {_kept:.0%}: {comparison}."
    exercises.reveal(
        pick.value,
        exercises.amount(_kept),
        _told,
        show.show_figure(figures.all_arms(result), figures.describe(result)),
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Why controls decide

    An arm that keeps half of the tokens may lose transfer because it lost the right tokens, or because
    it has fewer. The honest comparison is one more arm that keeps as many *at random*: the last
    hypothesis of the list, which follows `mine`. And a difference that is seen on two seeds is a
    reason to run eight.

    ## What the paper found, and what does not carry over

    The paper's own hypothesis of this kind is page 01. Where near ties lie is this world's design:
    where a round number was *due*, another is written. A mask that looks for them finds them here
    and nowhere else.
    """)
    return


@app.cell(hide_code=True)
def _():
    sheet = [
        exercises.Choice(
            "Your arm retains 60 % with half of the tokens. What is the next arm to run?",
            {
                "the same arm with more steps": "All arms have equal total loss weight and steps already.",
                "as many tokens at random": None,
                "the next hypothesis": "You do not know yet whether your tokens, or just fewer tokens, did it.",
            },
            "As many at random: what is lost beyond that is due to which tokens you took.",
        ),
        exercises.Choice(
            "Two seeds: the paired interval runs from -2 to 1. What does it say?",
            {
                "there is no difference": "An interval that holds zero and much else excludes little.",
                "nothing yet": None,
                "the arm is worse": "The interval holds values above zero.",
            },
            "With two seeds the interval has one degree of freedom. Run more.",
        ),
        exercises.Number(
            "How small can the p-value of an exact paired permutation test with 5 seeds get, in percent?",
            lambda a: (
                None
                if 6 <= a <= 6.5
                else "That is one-sided."
                if 3 <= a < 3.5
                else "There are 2^5 ways to flip the signs; two of them are as extreme."
            ),
            "2 of 32: 6.25 %. Five seeds cannot reach 5 % that way.",
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
