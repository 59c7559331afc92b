# /// script
# requires-python = ">=3.11"
# dependencies = ["minisub"]
# [tool.uv.sources]
# minisub = { path = "..", editable = true }
# [tool.marimo.opengraph]
# title = "The theorem"
# description = "Why one step of imitation never leads away from the teacher, if both share their start."
# [tool.minisub]
# thumbnail = ["transfer", "all", "control", "foreign"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="The theorem", html_head_file="head.html")

with app.setup:
    import marimo as mo
    import torch

    from minisub.common.randomness import generator
    from minisub.common.store import Store
    from minisub.course import exercises, inside, live, show
    from minisub.course.limits import nearest_step
    from minisub.course.sheets import theorem
    from minisub.distillation.base import BaseConfig, load_base
    from minisub.world.world import ANIMALS

    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    _first = show.first_screen(
        "the product of two steps, for each of eight animals",
        "30 minutes; nothing trains for longer than one step",
        "`09_from_scratch`, gradients",
    )
    mo.md(f"""
    # The theorem

    **The claim** (Cloud et al., 2025, Theorem 1): a student shares its start with the teacher and takes
    a small step towards the teacher's outputs, on *any* inputs. Then it moves towards the teacher, or
    not at all.
    {_first}
    """)
    return


@app.cell
def _():
    config, seed, store = BaseConfig(), 0, Store.default()
    return config, seed, store


@app.cell
def _(config, seed, store):
    world = config.world
    model, other_base = load_base(config, seed, store), load_base(config, seed + 1, store)
    _prompts = world.sample_prompts(256, generator(seed, "from scratch"))
    tasks = world.sample_completions(_prompts, generator(seed, "answers"))
    return model, other_base, tasks, world


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## What would you have guessed?

    A teacher is the base after *one* small step towards an animal. It gives its probabilities on number
    tasks. A student, the same base, takes the gradient of imitating them. Is its step along the
    teacher's, or across it?
    """)
    return


@app.cell(hide_code=True)
def _():
    _options = (
        "along it, for every animal",
        "across it: numbers are not animals",
        "along for some, against for others",
    )
    pick = exercises.guess("The product of the teacher's step and the student's:", _options)
    pick_size = mo.ui.slider(
        0.05, 1.0, 0.05, value=0.3, label="Length of the teacher's step", show_value=True
    )
    mo.vstack([pick, pick_size])
    return pick, pick_size


@app.cell(hide_code=True)
def _(model, pick_size, other_base, tasks, world):
    _size = nearest_step(pick_size.value, 0.05, 1.0, 0.05)
    with live.wait_for_turn(), mo.status.spinner(title="Each animal's teacher takes its step ..."):
        own, other = inside.products(model, other_base, world, tasks, _size)
    return other, own


@app.cell(hide_code=True)
def _(other, own, pick):
    _figure = inside.products_figure(own, other)
    _found = "along it, for every animal" if own.min() > 0 else "along for some, against for others"
    _rows = [
        {"animal": a, "same start": f"{x:.2e}", "another base": f"{y:.2e}"}
        for a, x, y in zip(ANIMALS, own, other, strict=True)
    ]
    exercises.reveal(
        pick.value,
        (_found,),
        f"Same start: {own.min():.1e} to {own.max():.1e} nats; another base: {other.min():.1e} to {other.max():.1e}.",
        mo.vstack(
            [
                show.show_figure(
                    _figure,
                    f"Products for eight animals: same start {own.min():.1e} to {own.max():.1e}, all {'positive' if own.min() > 0 else 'mixed'}; those of another base {other.min():.1e} to {other.max():.1e}.",
                ),
                mo.accordion({"The numbers": show.show_table(_rows)}),
            ]
        ),
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Why it is so

    Write $d$ for the teacher's step. Its outputs differ from the student's by $J d$, where $J$ says how
    outputs depend on weights.

    The student's gradient step is $J^T H J d$, where $H$ is the curvature of the loss, which is never
    negative. The product of the two steps is $(J d)^T H (J d)$. This is a square, so it is never below
    zero. It is zero only if the teacher's step changes no output on these inputs.

    Nothing in this asks what the inputs are about.

    ## The controls

    A student of another base gets the same training data, but its $J$ is another. Then the product is
    no square, and its signs are mixed. The products are not small. Much of this student's step probably
    serves to learn the other base's numbers; page 07 subtracts that part first.

    ## What does not carry over

    The theorem is for one small step, with the teacher's whole distribution. Greedy lists, a mask and
    hundreds of steps are outside of it. Page 07 shows how well it still ranks.
    """)
    return


@app.cell(hide_code=True)
def _():
    sheet = theorem.sheet()
    answers = exercises.ask(sheet)
    exercises.show_sheet(answers)
    return answers, sheet


@app.cell(hide_code=True)
def _(answers, sheet):
    exercises.grade(sheet, answers.value)
    return


if __name__ == "__main__":
    app.run()
