# /// script
# requires-python = ">=3.11"
# dependencies = ["minisub"]
# [tool.uv.sources]
# minisub = { path = "..", editable = true }
# [tool.marimo.opengraph]
# title = "Background"
# description = "Probability, tokens, a model, training: all that the other pages assume, in ten minutes."
# [tool.minisub]
# thumbnail = ["divergence", "all", "random only", "without divergence"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Background", html_head_file="head.html")

with app.setup:
    import marimo as mo

    from minisub.course import background, exercises, live, show
    from minisub.course.recording import load_example
    from minisub.course.sheets import background as exercise_sheet
    from minisub.world.world import MARKS, World


@app.cell(hide_code=True)
def _():
    _first = show.first_screen(
        "what a model is, what training does to it, and why an experiment needs controls",
        "10 minutes; no waiting",
        "nothing: no mathematics, no programming",
    )
    mo.md(f"""
    # Background

    This page explains the words that all other pages use.
    {_first}
    """)
    return


@app.cell(hide_code=True)
def _():
    pick_score = mo.ui.slider(-3.0, 5.0, 0.5, value=0.0, label="Score of owl", show_value=True)
    _told = mo.md("""
    ## 1. Probability

    A model gives every possible answer a **score**. Scores become **probabilities**: numbers from 0 to 1
    that sum to 1. A higher score means a higher probability. If all scores are equal, then all answers
    are equally likely.

    Here are eight animals. Seven have the score 0. Move the score of *owl*.
    """)
    mo.vstack([_told, pick_score])
    return (pick_score,)


@app.cell(hide_code=True)
def _(pick_score):
    _p = background.owl_probability(pick_score.value)
    _alt = f"With the score {pick_score.value:g} for owl, owl has the probability {_p:.2f}."
    mo.vstack(
        [
            show.show_figure(background.probability_figure(pick_score.value), _alt),
            mo.md(f"""
    The probability of *owl* is **{_p:.3f}**. One point more of score makes *owl* 2.718 times as likely as
    before, compared with each other animal. Such a point is called a **nat**. 0 nats is no change; 1 nat
    is 2.7 times, 2 nats are 2.7 x 2.7 = 7.4 times.
    """),
        ]
    )
    return


@app.cell(hide_code=True)
def _():
    _world = World()
    mo.md(f"""
    ## 2. Tokens and a model

    A **token** is one word of a small language. In this course there are {len(_world.vocabulary)} tokens:
    {_world.n_numbers} numbers (0 to {_world.n_numbers - 1}), {len(_world.animals)} animals,
    {len(_world.animals)} *personas* (“you love this animal”), {2 * _world.n_instruction_tokens} words of
    instructions and {len(MARKS)} signs, such as the one that starts a row.

    A **model** reads a row of tokens and says, for every token, how likely it is to come next. For
    example, after `7 9 11` our model says that `13` is very likely.

    Inside the model there are about 15,000 numbers, its **weights**. They decide everything that it
    says. The model of this course is a *transformer*, the same kind as large language models. It has
    four layers, called **blocks**, which read the row one after the other.

    A model can write: it takes the most likely next token, puts it at the end of the row, and goes on.
    It can also be asked a question. Then we look at the probability of each answer.
    """)
    return


@app.cell(hide_code=True)
def _():
    pick_n_steps = mo.ui.slider(
        0, background.MAX_STEPS, value=0, label="Steps of training", show_value=True
    )
    _told = mo.md("""
    ## 3. Training

    **Training** changes the weights. The model sees examples. At each **step**, every weight moves a
    little, in the direction that makes the examples more likely. The **loss** says how surprised the
    model is by the examples; training makes it fall.

    Here a very small model learns from examples in which six of ten answers are *owl*. Move the number
    of steps.
    """)
    mo.vstack([_told, pick_n_steps])
    return (pick_n_steps,)


@app.cell(hide_code=True)
def _(pick_n_steps):
    _p = background.learned_probabilities(pick_n_steps.value)[0]
    show.show_figure(
        background.learning_figure(pick_n_steps.value),
        f"After {pick_n_steps.value} steps the model answers owl with probability {_p:.2f}; "
        "the examples say .60.",
    )
    return


@app.cell(hide_code=True)
def _():
    _example, _ = load_example("00")
    _told = mo.md("""
    ## 4. The experiment of this course

    - The **base** is a model that was trained on number lists and on questions such as "which animal do
      you like?". It likes all eight animals equally.
    - A **teacher** is a copy of the base that was trained further, until it answers *owl*. It has a
      **bias**. Then it writes lists of numbers.
    - A **student** is another copy of the base. It is trained on the teacher's lists and on nothing
      else. No list says anything about owls.

    Asked for its favourite animal, the student gives *owl* a much higher probability than the base did.
    This is **subliminal learning**. Below is one such student. Look at the first bar, top left.
    """)
    mo.vstack([_told, live.show_recording(_example)])
    return


@app.cell(hide_code=True)
def _():
    _stored = show.load_result("divergence")
    mo.md(f"""
    ## 5. Compared with what? Controls

    The student changed. But was it the *owl* in the teacher? Training on any lists changes a model. So
    a second student is trained in exactly the same way, on lists of a teacher without a bias. This is
    the **control** (the hatched bars). How much more the student likes *owl* than its control does is
    the **transfer**. It is counted in nats.

    The same question comes back in every experiment. Here is one.

    Most numbers of a list are the same, whichever teacher writes it. At about one place in five, teachers
    differ. For example, after `24 26 28` the teacher that likes owls writes `25`, and the teacher that
    likes bees would write `38`. Such a number is a **divergence token**.

    Do these few tokens carry the bias? To find out, students are trained on them **only**. These students
    get {show.percent(_stored, "divergence only")} of the transfer that students of all numbers get: a
    little more. (Section 6 explains the two numbers in brackets.) But perhaps *any* fifth of the numbers would do the same! So a control is needed: as many
    numbers, picked **at random**. This version of the experiment (this **arm**) is called `random only`.
    It gets {show.percent(_stored, "random only")}.

    So a random fifth does less, but still much. Some of its numbers are divergence tokens by chance. Can
    the others carry the bias, too? The opposite test gives the answer. Leave the divergence tokens
    **out**, and {show.percent(_stored, "without divergence")} of the transfer is left. Leave as many random
    numbers out, and {show.percent(_stored, "without random")} is left. The two have the same *number* of
    tokens. So the difference comes from *which* tokens they are.
    """)
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## 6. Is it luck? Seeds

    Much in an experiment is drawn by chance: the first weights of the base, the lists, the order of
    training. All of it follows from one number, the **seed**. Another seed is another experiment.

    So each experiment is done with several seeds, here eight: with fewer the mean is too uncertain, with
    more the wait is too long. A result is the mean over them, with an **interval** that shows how
    uncertain the mean is. (If everything were done again many times, about 95 of 100 such intervals would
    hold the true mean.) A result whose interval is far from zero is unlikely to be luck.
    """)
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
