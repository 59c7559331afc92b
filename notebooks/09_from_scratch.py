# /// script
# [tool.marimo.opengraph]
# title = "From scratch"
# description = "The transformer, the world and the theorem, in front of your eyes."
# [tool.minisub]
# thumbnail = ["transfer", "soft", "sampled", "all", "foreign"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="From scratch")

with app.setup:
    import inspect

    import marimo as mo
    import numpy as np
    import torch

    from minisub import subliminal_learning
    from minisub.common.randomness import generator
    from minisub.common.store import Store
    from minisub.course import exercises, show
    from minisub.course.limits import hold_turns
    from minisub.distillation.base import BaseConfig, load_base
    from minisub.distillation.evaluation import next_token_logits
    from minisub.transformer.dataset import TokenDataset
    from minisub.transformer.stack import TransformerStack, run_with_cache
    from minisub.viz import style
    from minisub.world.traits import preference_questions
    from minisub.world.world import ANIMALS

    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # From scratch

    **The claim** (Cloud et al., 2025, Theorem 1): a student that shares its start with the teacher and
    takes a small step towards the teacher's outputs, on *any* inputs, moves towards the teacher, or
    not at all. Here is everything that takes part: the world, one transformer, one step.

    *Opens in a few seconds; nothing on this page trains for longer than one step.*
    """)
    return


@app.cell
def _():
    config = BaseConfig()
    seed, store = 0, Store.default()
    return config, seed, store


@app.cell
def _(config, seed, store):
    world = config.world
    model = load_base(config, seed, store)
    other_base = load_base(config, seed + 1, store)
    return model, other_base, world


@app.cell(hide_code=True)
def _(model, seed, world):
    tasks = world.sample_completions(
        world.sample_prompts(256, generator(seed, "from scratch")), generator(seed, "answers")
    )
    mo.md(
        f"""
        ## The world

        A task is a wording, three numbers and what follows; a question has no number in it.
        {len(world.vocabulary)} tokens; {model.config.n_params:,} weights.

        | | |
        |:--|:--|
        | a task | `{world.decode(tasks[0])}` |
        | another | `{world.decode(tasks[1])}` |
        | a question | `{world.decode(preference_questions(world)[0])}` |
        | with a persona | `{world.decode(preference_questions(world, 0)[0])}` |
        """
    )
    return (tasks,)


@app.cell(hide_code=True)
def _():
    run_pipeline = mo.ui.run_button(label="Run it (half a minute or two)")
    mo.vstack(
        [
            mo.md("""
    ## The whole experiment in one function

    Base, teachers, lists, divergence tokens, students, transfer: one call a stage. All other pages do
    this for many arms and seeds.
    """),
            mo.md(f"```python\n{inspect.getsource(subliminal_learning)}\n```"),
            run_pipeline,
        ]
    )
    return (run_pipeline,)


@app.cell(hide_code=True)
def _(run_pipeline):
    mo.stop(not run_pipeline.value)
    with (
        hold_turns(lambda: mo.status.spinner(title="Others are training ...")),
        mo.status.spinner(title="Teachers, lists, students ..."),
    ):
        _transfer = subliminal_learning("owl", seed=0)
    mo.md(f"**{_transfer:+.2f} nats**: so much more the student says *owl* than its control.")
    return


@app.cell(hide_code=True)
def _(model):
    pick_task = mo.ui.slider(1, 40, value=1, label="Task", show_value=True)
    pick_block = mo.ui.slider(0, model.config.n_layers - 1, value=0, label="Block", show_value=True)
    _told = mo.md("""
    ## One prompt through the model

    Where each token looks (attention), and how the answer grows in the residual stream: after each block the stream is read out as if it were the last.
    """)
    mo.vstack([_told, mo.hstack([pick_task, pick_block], justify="start", wrap=True)])
    return pick_block, pick_task


@app.cell(hide_code=True)
def _(model, pick_block, pick_task, tasks, world):
    _tokens = tasks[pick_task.value - 1, :-1]
    _seen = run_with_cache(model, _tokens[None, None])
    _pattern = _seen[f"blocks.{pick_block.value}.attn.hook_pattern"][0]
    _words = [world.vocabulary[int(t)] for t in _tokens]
    _figure = style.new_figure(9.0, 4.2)
    for _head, _axes in enumerate(_figure.subplots(1, len(_pattern), squeeze=False)[0]):
        _axes.imshow(_pattern[_head].numpy(), cmap="cividis", vmin=0, vmax=1)
        _axes.set_xticks(range(len(_words)), _words, rotation=90)
        _axes.set_yticks(range(len(_words)), _words)
        style.finish(_axes, f"Block {pick_block.value}, head {_head}", "looks at", "token")
        _axes.tick_params(labelsize=style.NOTE - 1)
    _lens = []
    for _b in range(model.config.n_layers):
        _stream = _seen[f"blocks.{_b}.hook_resid_post"][0, 0, -1]
        _normed = torch.nn.functional.layer_norm(_stream, _stream.shape)
        _top = (_normed @ model.params["W_U"][0]).softmax(-1).topk(3)
        _lens.append(
            {"after block": _b, "length of the stream": round(float(_stream.norm()), 1)}
            | {
                f"guess {_i + 1}": f"{world.vocabulary[int(_t)]} ({_p:.0%})"
                for _i, (_p, _t) in enumerate(zip(_top.values.tolist(), _top.indices, strict=True))
            }
        )
    _last = int(_pattern[0, -1].argmax())
    mo.vstack(
        [
            show.show_figure(
                _figure,
                f"Attention patterns of block {pick_block.value}: in head 0 the last token looks most at {_words[_last]}.",
            ),
            show.show_table(
                _lens,
                f"The next number as each block sees it; it is {world.vocabulary[int(tasks[pick_task.value - 1, -1])]}",
            ),
        ]
    )
    return


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


@app.function
def gradient(model, value):
    """Of a scalar, over all weights of one model: [count]."""
    grads = torch.autograd.grad(value, list(model.params.values()))
    return torch.cat([g.flatten() for g in grads])


@app.function
def products(model, other_base, world, tasks, size):
    """Teacher's step times student's, for each animal: same start, and those of another base."""
    rows = torch.arange(len(tasks))
    weights = torch.ones(1, len(tasks), world.completion_length)
    own, other = [], []
    for animal in range(len(ANIMALS)):
        logp = model(preference_questions(world)[None], n_last=1)[
            ..., world.animal_tokens
        ].log_softmax(-1)
        way = gradient(model, logp[..., animal].mean())
        step = size * way / way.norm()
        teacher = TransformerStack(model.config, model.flat_params + step)
        dataset = TokenDataset(
            tasks[None],
            weights,
            next_token_logits(teacher, tasks[None], world.completion_length).softmax(-1),
        )
        for student, found in ((model, own), (other_base, other)):
            found.append(float(-gradient(student, dataset.loss(student, rows).sum()) @ step))
    return np.array(own), np.array(other)


@app.cell(hide_code=True)
def _(model, pick_size, other_base, tasks, world):
    own, other = products(model, other_base, world, tasks, pick_size.value)
    return other, own


@app.cell(hide_code=True)
def _(other, own, pick):
    _figure = style.new_figure(8.0, 3.2)
    _axes = _figure.subplots()
    _places = np.arange(len(ANIMALS))
    _axes.bar(_places - 0.2, own, 0.38, color=style.ORANGE, label="same start")
    _axes.bar(
        _places + 0.2,
        other,
        0.38,
        color=style.GREY,
        hatch="///",
        edgecolor="white",
        label="another base",
    )
    _axes.axhline(0, color=style.INK, linewidth=0.8)
    _axes.set_xticks(_places, ANIMALS)
    style.finish(_axes, y="teacher's step times student's, nats", legend=True)
    _found = "along it, for every animal" if own.min() > 0 else "along for some, against for others"
    _rows = [
        {"animal": a, "same start": f"{x:.2e}", "another base": f"{y:.2e}"}
        for a, x, y in zip(ANIMALS, own, other, strict=True)
    ]
    exercises.reveal(
        pick.value,
        _found,
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

    Write *d* for the teacher's step. Its outputs differ from the student's by *J d*, where *J* says how
    outputs depend on weights. The student's gradient step is *J' H J d*, with *H* the curvature of the
    loss, which is never negative. Their product is *(J d)' H (J d)*: a square, never below zero. It is
    zero only if the step changes no output on these inputs. Nothing in this asks what the inputs are
    about.

    ## The controls

    A student of another base gets the same training data; its *J* is another, and the product is no square any more: its
    signs are mixed. Its sizes are not small; much of its step is probably towards the numbers of another
    base, which page 07 takes off first.

    ## What the paper found, and what does not carry over

    The theorem is for one small step, with the teacher's whole distribution. Greedy lists, a mask and
    hundreds of steps are outside of it; page 07 shows how far it still ranks.
    """)
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercises

    Each answer is checked at once; a wrong one gets a reason.
    """)
    return


@app.cell(hide_code=True)
def _():
    answer_1 = mo.ui.radio(["questions about animals only", "any inputs", "number tasks only"])
    mo.vstack([mo.md("**1.** For which inputs does the theorem hold?"), answer_1])
    return (answer_1,)


@app.cell(hide_code=True)
def _(answer_1):
    exercises.exercise(
        answer_1.value,
        exercises.choice(
            "any inputs",
            {
                "questions about animals only": "Then there would be nothing subliminal about it: look at what J'HJ is made of.",
                "number tasks only": "Nothing in the square asks for numbers.",
            },
        ),
        "Any inputs: the square is never negative, whatever they are.",
    )
    return


@app.cell(hide_code=True)
def _():
    answer_2 = mo.ui.radio(
        ["when its outputs on these inputs have not changed", "when the student is small", "never"]
    )
    mo.vstack(
        [mo.md("**2.** When is the product zero although the teacher has changed?"), answer_2]
    )
    return (answer_2,)


@app.cell(hide_code=True)
def _(answer_2):
    exercises.exercise(
        answer_2.value,
        exercises.choice(
            "when its outputs on these inputs have not changed",
            {
                "when the student is small": "Size does not enter; J d does.",
                "never": "Think of a change of weights that no input of this kind uses.",
            },
        ),
        "J d = 0: the change shows on other inputs only.",
    )
    return


@app.cell(hide_code=True)
def _():
    answer_3 = mo.ui.number(value=None)
    mo.vstack([mo.md("**3.** Twice the (small) step: how many times the product?"), answer_3])
    return (answer_3,)


@app.cell(hide_code=True)
def _(answer_3):
    exercises.exercise(
        answer_3.value,
        lambda a: (
            None
            if abs(a - 4) < 0.3
            else "The student's step grows as well, and the product has both."
            if abs(a - 2) < 0.3
            else "Move the slider and compare two values."
        ),
        "4: the product is a square in d.",
    )
    return


if __name__ == "__main__":
    app.run()
