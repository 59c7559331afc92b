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

    from minisub import course, plots
    from minisub import divergence as masks
    from minisub.arm import Arm, Config, changed
    from minisub.divergence import favourites
    from minisub.edits import other_wording
    from minisub.findings.layers import EVERYWHERE_RATES, PROMPTED_RATES
    from minisub.store import Store
    from minisub.teacher import Teaching
    from minisub.visitors import offered
    from minisub.world import ANIMALS, generator

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
        "a stranger's weights": {"start": "a stranger's base"},
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
            start=_pick(["the teacher's own base", "a stranger's base"], "start", "starts from"),
            mask=_pick(MASKS, "mask", "loss counts on"),
            blocks=mo.ui.multiselect(BLOCKS, value=_v["blocks"], label="blocks that train"),
            seed=mo.ui.dropdown(course.SEEDS, value=str(_v["seed"]), label="seed"),
        )
        .form(submit_button_label="Train", bordered=True)
    )
    form
    return (form,)


@app.cell(hide_code=True)
def _(form):
    wish = form.value
    return (wish,)


@app.function
def experiment(wish, config):
    """The arm and the configuration that a wish asks for."""
    prompted = wish["teacher"] == "prompted"
    training, strength = config.teaching.training, offered(wish["strength"], *STRENGTHS)
    config = changed(config, {"lists": round(offered(wish["lists"], *SHARES) * config.lists)})
    if prompted:
        config = changed(config, {"teaching": Teaching(kind="prompted", strength=strength)})
    else:
        steps = round(strength * training.steps)
        config = changed(config, {"teaching.training.steps": steps})
    rates, parts = PROMPTED_RATES if prompted else EVERYWHERE_RATES, wish["blocks"]
    part = f"block {parts[0]}" if len(parts) == 1 else "early half"
    arm = Arm(
        "yours",
        wish["decoding"],
        MASKS[wish["mask"]],
        other_wording if wish["wording"] == "another wording" else None,
        {f"blocks.{b}.": 1.0 for b in parts},
        1.0 if len(parts) == len(BLOCKS) else rates.get(part, 4.0),  # each at its own best rate
        wish["start"] == "a stranger's base",
    )
    return arm, config


@app.cell(hide_code=True)
def _(config, store, wish):
    mo.stop(wish is None, mo.md("*Choose a preset, or turn any dial, and press Train.*"))
    mo.stop(not wish["blocks"], mo.callout("At least one block has to train.", kind="warn"))
    _arm, _config = experiment(wish, config)
    lesson, _said = course.live(_config, wish["seed"], store, _arm, wish["bias"])
    _said
    return (lesson,)


@app.cell(hide_code=True)
def _(wish):
    mo.stop(wish is None)
    _stored = course.stored("divergence")
    _words, _prompted = course.stored("paraphrase"), wish["teacher"] == "prompted"
    _layers, _kind = course.stored("layers"), f"{'prompted' if _prompted else 'tuned everywhere'}: "
    _made = f"with {wish['teacher']} teachers"
    _known = {
        "all but divergence tokens": f"without divergence tokens {course.kept(_stored, 'without divergence'):.0%} is retained",
        "divergence tokens only": f"divergence tokens only retain {course.kept(_stored, 'divergence only'):.0%}",
        "as many at random": f"as many tokens at random retain {course.kept(_stored, 'random only'):.0%}",
        "a stranger's base": f"a stranger's student retains nothing ({course.kept(_stored, 'foreign'):.0%})",
        "another wording": f"another wording leaves {course.kept(_words, 'paraphrase'):.0%}",
        "0": f"block 0 alone retains {course.kept(_layers, _kind + 'block 0'):.0%} {_made}",
        "3": f"block 3 alone retains {course.kept(_layers, _kind + 'block 3'):.0%} {_made}",
    }
    _set = [wish["mask"], wish["start"], wish["wording"]]
    _set += wish["blocks"] if len(wish["blocks"]) == 1 else []
    _told = [_known[s] for s in _set if s in _known]
    mo.md(
        "Over eight seeds, each for that change alone: " + "; ".join(_told) + "."
        if _told
        else "Over eight seeds, see `01_divergence_tokens`: seeds differ."
    )
    return


@app.cell(hide_code=True)
def _(lesson):
    _data = lesson.lab.data(lesson.arm.sampled)
    _page = _data.take(torch.arange(min(10, _data.rows)))
    _choices = favourites(lesson.lab.teachers, _page)[:, 0]
    _names = (*lesson.lab.trait.biases, "unbiased")

    def _note(row, place):
        if not _page.divergence[0, row, place]:
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
                plots.lit_lists(
                    [_data.world.show(_page.asked[r, 3:-1]) for r in range(_page.rows)],
                    [_data.world.show(_page.answers[0, r]).split() for r in range(_page.rows)],
                    [
                        [_note(r, k) for k in range(_data.world.completion)]
                        for r in range(_page.rows)
                    ],
                )
            ),
        ]
    )
    return


@app.cell(hide_code=True)
def _(lesson):
    ask_question = mo.ui.slider(
        1, lesson.lab.world.questions, value=1, label="Ask it question", show_value=True
    )
    ask_numbers = mo.ui.text(value="3 7 11", label="Let it go on with")
    mo.hstack([ask_question, ask_numbers], justify="start", wrap=True)
    return ask_numbers, ask_question


@app.cell(hide_code=True)
def _(ask_numbers, ask_question, lesson):
    _lab, _world = lesson.lab, lesson.lab.world
    _logp = np.exp(_lab.preference(lesson.students))[
        :, (ask_question.value - 1) % len(_lab.trait.questions)
    ]
    _answers = course.table(
        [
            {
                "asked": who,
                **{a: round(float(p), 2) for a, p in zip(lesson.answers, row, strict=True)},
            }
            for who, row in zip(("student", "control"), _logp, strict=True)
        ],
        f"Question {ask_question.value}, answered",
    )
    _words = ask_numbers.value.split()
    if len(_words) == _world.prompt_numbers and all(
        w.isdigit() and int(w) < _world.numbers for w in _words
    ):
        _prompt = _world.prompts(1, generator(0, "playground"))
        _from = 3 + _world.instruction_length
        _prompt[:, _from : _from + len(_words)] = torch.tensor([int(w) for w in _words])
        _lists = lesson.students.generate(_prompt[None], _world.completion)
        _on = mo.md(
            f"Student: `{_world.show(_lists[0, 0])}`  \nControl: `{_world.show(_lists[1, 0])}`"
        )
    else:
        _on = mo.callout(
            f"Give {_world.prompt_numbers} numbers from 0 to {_world.numbers - 1}, such as 3 7 11.",
            kind="warn",
        )
    mo.vstack([_answers, _on])
    return


if __name__ == "__main__":
    app.run()
