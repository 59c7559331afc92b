# /// script
# [tool.marimo.opengraph]
# title = "Playground"
# description = "One screen: make a teacher, choose what the student may see, press Train."
# [tool.minisub]
# thumbnail = ["divergence", "all", "control", "foreign"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="full", app_title="Playground")

with app.setup:
    import marimo as mo
    import numpy as np
    import torch

    from minisub.common.randomness import generator
    from minisub.common.store import Store
    from minisub.course import live, show
    from minisub.course.limits import nearest_step
    from minisub.distillation import masks
    from minisub.distillation.divergence_tokens import argmax_of_every_teacher
    from minisub.distillation.edits import other_wording
    from minisub.distillation.teachers import TeacherConfig
    from minisub.experiment.arm import Arm
    from minisub.experiment.config import Config, with_overrides
    from minisub.experiment.students import Students
    from minisub.findings.layers import EVERYWHERE_RATES, PROMPTED_RATES
    from minisub.viz import charts, diagram
    from minisub.world.world import ANIMALS

    torch.set_num_threads(1)  # visitors share the cores

    MASKS = {
        "all tokens": None,
        "divergence tokens only": masks.divergence_only,
        "all but divergence tokens": masks.without_divergence,
        "as many at random": masks.random_only,
    }
    STRENGTHS, SHARES = (0.2, 1.0, 0.2), (0.1, 1.0, 0.1)  # from, to, step
    BLOCKS = ["0", "1", "2", "3"]
    DEFAULT = {
        "bias": "owl",
        "teacher": "tuned",
        "strength": 1.0,
        "decoding": "greedy",
        "lists": 1.0,
        "mask": "all tokens",
        "blocks": BLOCKS,
        "wording": "as written",
        "start": "the teacher's own base",
        "seed": 0,
    }
    PRESETS = {
        "the surprise": {},
        "mask the divergence tokens": {"mask": "all but divergence tokens"},
        "one early block": {"teacher": "prompted", "blocks": ["0"]},
        "paraphrase it away": {"wording": "another wording"},
        "another base's weights": {"start": "another base"},
    }


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # Playground

    A **teacher** with a hidden bias writes lists of numbers. A **student** reads the lists and nothing
    else. Does it come to like the animal? Press *Train*: about ten seconds the first time for a seed.
    """)
    return


@app.cell(hide_code=True)
def _():
    show.show_figure(diagram.draw(), diagram.ALT)
    return


@app.cell(hide_code=True)
def _():
    config = Config()
    store = Store.default()
    return config, store


@app.cell(hide_code=True)
def _():
    preset = mo.ui.dropdown(list(PRESETS), value="the surprise", label="**Preset**")
    preset
    return (preset,)


@app.cell(hide_code=True)
def _(preset):
    _v = {**DEFAULT, **PRESETS[preset.value]}

    def _pick(options, name, label):
        return mo.ui.dropdown(list(options), value=_v[name], label=label)

    form = (
        mo.md("""
    **The teacher** {bias} {teacher} {strength}

    **What it writes** {decoding} {lists} {wording}

    **The student** {start} {mask} {blocks}

    **The rest** {seed}
    """)
        .batch(
            bias=_pick(ANIMALS, "bias", "likes the"),
            teacher=_pick(["tuned", "prompted"], "teacher", "made by"),
            strength=mo.ui.slider(
                *STRENGTHS, value=_v["strength"], label="strength", show_value=True
            ),
            decoding=_pick(["greedy", "sampled", "soft"], "decoding", "decoding"),
            lists=mo.ui.slider(
                *SHARES, value=_v["lists"], label="share of the lists", show_value=True
            ),
            wording=_pick(["as written", "another wording"], "wording", "prompts"),
            start=_pick(["the teacher's own base", "another base"], "start", "starts from"),
            mask=_pick(MASKS, "mask", "loss counts on"),
            blocks=mo.ui.multiselect(BLOCKS, value=_v["blocks"], label="blocks that train"),
            seed=mo.ui.dropdown(live.SEEDS, value=str(_v["seed"]), label="seed"),
        )
        .form(submit_button_label="Train", bordered=True)
    )
    form
    return (form,)


@app.cell(hide_code=True)
def _(form):
    request = form.value
    return (request,)


@app.function
def experiment(request, config):
    """The arm and the configuration that a request asks for."""
    prompted = request["teacher"] == "prompted"
    training, strength = config.teacher.training, nearest_step(request["strength"], *STRENGTHS)
    config = with_overrides(
        config, {"n_lists": round(nearest_step(request["lists"], *SHARES) * config.n_lists)}
    )
    if prompted:
        config = with_overrides(
            config, {"teacher": TeacherConfig(kind="prompted", persona_strength=strength)}
        )
    else:
        steps = round(strength * training.steps)
        config = with_overrides(config, {"teacher.training.steps": steps})
    rates, parts = PROMPTED_RATES if prompted else EVERYWHERE_RATES, request["blocks"]
    part = f"block {parts[0]}" if len(parts) == 1 else "early half"
    arm = Arm(
        "yours",
        request["decoding"],
        MASKS[request["mask"]],
        other_wording if request["wording"] == "another wording" else None,
        {f"blocks.{b}.": 1.0 for b in parts},
        1.0 if len(parts) == len(BLOCKS) else rates.get(part, 4.0),  # each at its own best rate
        request["start"] == "another base",
    )
    return arm, config


@app.cell(hide_code=True)
def _(config, store, request):
    mo.stop(request is None, mo.md("*Choose a preset, or turn any dial, and press Train.*"))
    mo.stop(not request["blocks"], mo.callout("At least one block has to train.", kind="warn"))
    _arm, _config = experiment(request, config)
    run, _verdict = live.train_live(_config, request["seed"], store, _arm, request["bias"])
    _verdict
    return (run,)


@app.cell(hide_code=True)
def _(request):
    mo.stop(request is None)
    _stored = show.load_result("divergence")
    _words, _prompted = show.load_result("paraphrase"), request["teacher"] == "prompted"
    _layers, _kind = (
        show.load_result("layers"),
        f"{'prompted' if _prompted else 'tuned everywhere'}: ",
    )
    _made = f"with {request['teacher']} teachers"
    _known = {
        "all but divergence tokens": f"without divergence tokens {show.mean_retained(_stored, 'without divergence'):.0%} is retained",
        "divergence tokens only": f"divergence tokens only retain {show.mean_retained(_stored, 'divergence only'):.0%}",
        "as many at random": f"as many tokens at random retain {show.mean_retained(_stored, 'random only'):.0%}",
        "another base": f"a student of another base retains nothing ({show.mean_retained(_stored, 'foreign'):.0%})",
        "another wording": f"another wording leaves {show.mean_retained(_words, 'paraphrase'):.0%}",
        "0": f"block 0 alone retains {show.mean_retained(_layers, _kind + 'block 0'):.0%} {_made}",
        "3": f"block 3 alone retains {show.mean_retained(_layers, _kind + 'block 3'):.0%} {_made}",
    }
    _set = [request["mask"], request["start"], request["wording"]]
    _set += request["blocks"] if len(request["blocks"]) == 1 else []
    _told = [_known[s] for s in _set if s in _known]
    mo.md(
        "Over eight seeds, each for that change alone: " + "; ".join(_told) + "."
        if _told
        else "Over eight seeds, see `01_divergence_tokens`: seeds differ."
    )
    return


@app.cell(hide_code=True)
def _(run):
    _data = run.lab.marked_lists(run.arm.is_sampled)
    _page = _data.select_rows(torch.arange(min(10, _data.n_rows)))
    _choices = argmax_of_every_teacher(run.lab.teachers, _page)[:, 0]
    _names = (*run.lab.trait.biases, "unbiased")

    def _note(row, place):
        if not _page.is_divergence_token[0, row, place]:
            return None
        return ", ".join(
            f"{a}: {n}" for a, n in zip(_names, _choices[:, row, place].tolist(), strict=True)
        )

    mo.vstack(
        [
            mo.md(
                "**What the teacher wrote**, divergence tokens framed (hover, or tab to it: who would write what)"
            ),
            mo.Html(
                charts.highlighted_lists(
                    [
                        _data.world.decode(_page.teacher_prompts[r, 3:-1])
                        for r in range(_page.n_rows)
                    ],
                    [
                        _data.world.decode(_page.completions[0, r]).split()
                        for r in range(_page.n_rows)
                    ],
                    [
                        [_note(r, k) for k in range(_data.world.completion_length)]
                        for r in range(_page.n_rows)
                    ],
                )
            ),
        ]
    )
    return


@app.cell(hide_code=True)
def _(run):
    ask_question = mo.ui.slider(
        1, run.lab.world.n_questions, value=1, label="Ask it question", show_value=True
    )
    ask_numbers = mo.ui.text(value="3 7 11", label="Let it go on with")
    mo.hstack([ask_question, ask_numbers], justify="start", wrap=True)
    return ask_numbers, ask_question


@app.cell(hide_code=True)
def _(ask_numbers, ask_question, run):
    _lab, _world = run.lab, run.lab.world
    _logp = np.exp(Students(_lab).preferences(run.students))[
        :, (ask_question.value - 1) % len(_lab.trait.eval_questions)
    ]
    _answers = show.show_table(
        [
            {
                "asked": who,
                **{a: round(float(p), 2) for a, p in zip(run.answers, row, strict=True)},
            }
            for who, row in zip(("student", "control"), _logp, strict=True)
        ],
        f"Question {ask_question.value}, answered",
    )
    _words = ask_numbers.value.split()
    if len(_words) == _world.n_prompt_numbers and all(
        w.isdigit() and int(w) < _world.n_numbers for w in _words
    ):
        _prompt = _world.sample_prompts(1, generator(0, "playground"))
        _from = 3 + _world.instruction_length
        _prompt[:, _from : _from + len(_words)] = torch.tensor([int(w) for w in _words])
        _lists = run.students.generate(_prompt[None], _world.completion_length)
        _on = mo.md(
            f"Student: `{_world.decode(_lists[0, 0])}`  \nControl: `{_world.decode(_lists[1, 0])}`"
        )
    else:
        _on = mo.callout(
            f"Give {_world.n_prompt_numbers} numbers from 0 to {_world.n_numbers - 1}, such as 3 7 11.",
            kind="warn",
        )
    mo.vstack([_answers, _on])
    return


if __name__ == "__main__":
    app.run()
