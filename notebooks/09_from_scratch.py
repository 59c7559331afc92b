# /// script
# requires-python = ">=3.11"
# dependencies = ["minisub"]
# [tool.uv.sources]
# minisub = { path = "..", editable = true }
# [tool.marimo.opengraph]
# title = "From scratch"
# description = "A transformer in about forty lines, with its loss and one training step, in front of your eyes."
# [tool.minisub]
# thumbnail = ["transfer", "soft", "sampled", "all", "foreign"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="From scratch", html_head_file="head.html")

with app.setup:
    import marimo as mo
    import torch

    from minisub.common.randomness import generator
    from minisub.common.store import Store
    from minisub.course import exercises, inside, show
    from minisub.course.limits import whole_step
    from minisub.course.sheets import from_scratch
    from minisub.distillation.base import BaseConfig, load_base
    from minisub.transformer.dataset import TokenDataset
    from minisub.transformer.gradient import ManualGradient
    from minisub.transformer.optimizer import TrainingConfig
    from minisub.transformer.stack import TransformerStack
    from minisub.transformer.training import train
    from minisub.world.traits import preference_questions

    PARTS = ("attn.W_QKV", "attn.W_O", "mlp.W_in", "mlp.W_out")
    torch.set_num_threads(1)  # visitors share the cores


@app.cell(hide_code=True)
def _():
    _first = show.first_screen(
        "a transformer, its loss and one training step, in about forty lines that you can change",
        "45 minutes; nothing trains for longer than one step",
        "matrices and gradients (`10_background` explains the other words)",
    )
    mo.md(f"""
    # From scratch

    All models of this course are one small transformer. Here it is built in plain torch, part by part.
    The page then asserts that it gives the same numbers as the library.
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
    model = load_base(config, seed, store)
    return model, world


@app.cell(hide_code=True)
def _(model, seed, world):
    tasks = world.sample_completions(
        world.sample_prompts(256, generator(seed, "from scratch")), generator(seed, "answers")
    )
    mo.md(
        f"""
        ## The world

        A task is a wording, three numbers and what follows. A question has no number in it. There are
        {len(world.vocabulary)} tokens and {model.config.n_params:,} weights.

        | what | in tokens |
        |:--|:--|
        | a task | `{world.decode(tasks[0])}` |
        | another | `{world.decode(tasks[1])}` |
        | a question | `{world.decode(preference_questions(world)[0])}` |
        | with a *persona*, a token that says whom it loves | `{world.decode(preference_questions(world, 0)[0])}` |
        """
    )
    return (tasks,)


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
def training_step(params, grads, lr):
    """The first step of AdamW on a batch: each weight moves by the rate, against its gradient."""
    size = torch.cat([g.flatten() for g in grads.values()]).norm()
    clipped = {name: g * min(1.0, 1.0 / float(size)) for name, g in grads.items()}  # to length 1
    return {
        name: w - lr * clipped[name] / (clipped[name].abs() + 1e-8) for name, w in params.items()
    }


@app.cell
def _(config, model, tasks, world):
    exact = TransformerStack(model.config, model.flat_params.double())
    params = {name: w[0].detach() for name, w in exact.params.items()}
    shape, row = (model.config.n_layers, model.config.n_heads), tasks[0, :-1]
    with torch.no_grad():
        library = exact(row[None, None])[0, 0]
    assert torch.allclose(transformer(row, params, *shape), library)  # the whole model

    n_predicted, rows = world.completion_length, tasks[:4]
    batch = TokenDataset(rows[None], torch.ones(1, 4, n_predicted, dtype=torch.float64))

    def mean_loss(params):
        each = [loss(transformer(r[:-1], params, *shape), r, n_predicted) for r in rows]
        return float(torch.stack(each).mean())

    flat = torch.zeros_like(exact.flat_params)
    library_loss = ManualGradient(exact, batch, list(params))(torch.arange(4), flat)
    mine = mean_loss(params)
    assert abs(mine - float(library_loss[0])) < 1e-9  # the loss
    grads = {name: flat[0, exact.param_slice(name)].view_as(w) for name, w in params.items()}
    for name in params:  # its gradient: how the loss changes when weights move a little
        moved_a_little = {**params, name: params[name] + 1e-6 * grads[name]}
        slope = (mean_loss(moved_a_little) - mine) / 1e-6
        assert abs(slope / float(grads[name].square().sum()) - 1) < 1e-3

    stepped = exact.repeat(1)
    one_step = TrainingConfig(lr=1e-3, steps=1, batch_size=4)
    train(stepped, [batch], one_step, generator(0, "one step"))
    moved = training_step(params, grads, 1e-3)
    for name, w in stepped.params.items():  # one training step
        assert torch.allclose(moved[name], w[0].detach(), atol=1e-6)
    mo.vstack(
        [
            mo.md("""
    ## Build it: a transformer in about forty lines

    Each function is one part, in plain torch, for one list of tokens. Change something
    (`minisub app 09 --edit`) and see which assertion fails.
    """),
            show.show_source(
                embedding, norm, attention_head, mlp, transformer, loss, training_step
            ),
            mo.md(
                "**Asserted: model, loss, gradient and step are the library's.** The gradient is written out by hand (`minisub/transformer/gradient.py`); here it is compared with how the loss changes."
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

    Where does each token look (attention)? And how does the answer grow in the residual stream? Below,
    the stream is read out after each block, as if that block were the last.
    """)
    mo.vstack([_told, mo.hstack([pick_task, pick_block], justify="start", wrap=True)])
    return pick_block, pick_task


@app.cell(hide_code=True)
def _(model, pick_block, pick_task, tasks, world):
    _task = tasks[whole_step(pick_task.value, 1, 40) - 1]
    _tokens, _next = _task[:-1], _task[-1]
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
    sheet = from_scratch.sheet()
    answers = exercises.ask(sheet)
    exercises.show_sheet(answers)
    return answers, sheet


@app.cell(hide_code=True)
def _(answers, sheet):
    exercises.grade(sheet, answers.value)
    return


if __name__ == "__main__":
    app.run()
