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
    import torch

    from minisub import subliminal_learning
    from minisub.common.randomness import generator
    from minisub.common.store import Store
    from minisub.course import exercises, inside, show
    from minisub.course.limits import hold_turns
    from minisub.distillation.base import BaseConfig, load_base
    from minisub.transformer.dataset import TokenDataset
    from minisub.transformer.optimizer import TrainingConfig
    from minisub.transformer.stack import TransformerStack
    from minisub.transformer.training import train
    from minisub.world.traits import preference_questions
    from minisub.world.world import ANIMALS

    PARTS = ("attn.W_QKV", "attn.W_O", "mlp.W_in", "mlp.W_out")
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
def _():
    mo.md(r"""
    ## Build it: a transformer in sixty lines

    Everything that learns on these pages is this. Each function is one part, in plain torch, for one
    list of tokens. The cell below asserts that the whole model, its loss and one training step give what
    the library gives. Change something (`minisub app 09 --edit`), and see which assertion fails.
    """)
    return


@app.function
def embedding(tokens, W_E, W_pos):
    """Token plus position: [length, d_model]. This is the start of the residual stream."""
    return W_E[tokens] + W_pos[: len(tokens)]


@app.function
def norm(x):
    """Each token's activation with mean 0 and variance 1."""
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()


@app.function
def attention_head(x, W_Q, W_K, W_V):
    """Each token takes a weighted mean of what earlier tokens offer: [length, d_head]."""
    q, k, v = x @ W_Q, x @ W_K, x @ W_V
    scores = q @ k.T / k.shape[-1] ** 0.5
    is_later = torch.ones_like(scores).triu(1).bool()
    return scores.masked_fill(is_later, -torch.inf).softmax(-1) @ v


@app.function
def mlp(x, W_in, W_out):
    """Sixty-four detectors of each token's own activation, and what each of them writes."""
    return (x @ W_in).relu() @ W_out


@app.function
def transformer(tokens, params, n_layers, n_heads):
    """The logits of the next token after each token: [length, d_vocab]."""
    x = embedding(tokens, params["W_E"], params["W_pos"])
    for block in range(n_layers):
        W = {name: params[f"blocks.{block}.{name}"] for name in PARTS}
        heads = [part.chunk(n_heads, -1) for part in W["attn.W_QKV"].chunk(3, -1)]
        mixed = [attention_head(norm(x), *head) for head in zip(*heads, strict=True)]
        x = x + torch.cat(mixed, -1) @ W["attn.W_O"]
        x = x + mlp(norm(x), W["mlp.W_in"], W["mlp.W_out"])
    return norm(x) @ params["W_U"]


@app.function
def loss(logits, tokens, n_predicted):
    """How surprised the model is by the last numbers of a list, in nats a number."""
    logp = logits[-n_predicted:].log_softmax(-1)
    return -logp.gather(-1, tokens[-n_predicted:, None]).mean()


@app.function
def training_step(params, rows, lr, n_predicted, n_layers, n_heads):
    """The first step of AdamW on a batch: each weight moves by the rate, against its gradient."""
    params = {name: w.clone().requires_grad_() for name, w in params.items()}
    losses = [
        loss(transformer(row[:-1], params, n_layers, n_heads), row, n_predicted) for row in rows
    ]
    grads = torch.autograd.grad(torch.stack(losses).mean(), list(params.values()))
    size = torch.cat([g.flatten() for g in grads]).norm()
    moved = {}
    for (name, w), g in zip(params.items(), grads, strict=True):
        g = g * min(1.0, 1.0 / float(size))  # a gradient is clipped to length 1
        moved[name] = w.detach() - lr * g / (g.abs() + 1e-8)
    return moved


@app.cell
def _(config, model, tasks, world):
    exact = TransformerStack(model.config, model.flat_params.double())
    params = {name: w[0].detach() for name, w in exact.params.items()}
    shape, row = (model.config.n_layers, model.config.n_heads), tasks[0, :-1]
    with torch.no_grad():
        library = exact(row[None, None])[0, 0]
    torch.testing.assert_close(transformer(row, params, *shape), library)  # the whole model

    n_predicted = world.completion_length
    batch = TokenDataset(tasks[None, :4], torch.ones(1, 4, n_predicted, dtype=torch.float64))
    mine = torch.stack(
        [loss(transformer(r[:-1], params, *shape), r, n_predicted) for r in tasks[:4]]
    )
    torch.testing.assert_close(mine.mean(), batch.loss(exact, torch.arange(4))[0])  # the loss

    stepped = exact.repeat(1)
    one_step = TrainingConfig(lr=1e-3, steps=1, batch_size=4)
    train(stepped, [batch], one_step, generator(0, "one step"))
    moved = training_step(params, tasks[:4], 1e-3, n_predicted, *shape)
    for name, w in stepped.params.items():  # one training step
        torch.testing.assert_close(moved[name], w[0].detach(), rtol=0, atol=1e-6)
    mo.vstack(
        [
            show.show_source(
                embedding, norm, attention_head, mlp, transformer, loss, training_step
            ),
            mo.md(
                "**Asserted: model, loss and step are the library's**, to a millionth or better."
            ),
        ]
    )
    return mine, moved


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
    _tokens, _next = tasks[pick_task.value - 1, :-1], tasks[pick_task.value - 1, -1]
    _guesses = inside.early_guesses(world, model, _tokens)
    mo.vstack(
        [
            show.show_figure(
                inside.attention_figure(world, model, _tokens, pick_block.value),
                f"Attention patterns of block {pick_block.value}: where each token looks.",
            ),
            show.show_table(
                _guesses,
                f"The next number as each block sees it; it is {world.vocabulary[int(_next)]}",
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


@app.cell(hide_code=True)
def _(model, pick_size, other_base, tasks, world):
    own, other = inside.products(model, other_base, world, tasks, pick_size.value)
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
    sheet = [
        exercises.Choice(
            "For which inputs does the theorem hold?",
            {
                "questions about animals only": "Then there would be nothing subliminal about it: look at what J'HJ is made of.",
                "any inputs": None,
                "number tasks only": "Nothing in the square asks for numbers.",
            },
            "Any inputs: the square is never negative, whatever they are.",
        ),
        exercises.Choice(
            "When is the product zero although the teacher has changed?",
            {
                "when its outputs on these inputs have not changed": None,
                "when the student is small": "Size does not enter; J d does.",
                "never": "Think of a change of weights that no input of this kind uses.",
            },
            "J d = 0: the change shows on other inputs only.",
        ),
        exercises.Number(
            "Twice the (small) step: how many times the product?",
            exercises.near(
                4,
                0.3,
                "Move the slider and compare two values.",
                [
                    (2, 0.3, "The student's step grows as well, and the product has both."),
                ],
            ),
            "4: the product is a square in d.",
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
