"""The dials of the playground: presets, the form, the experiment that a form asks for."""

from collections.abc import Mapping, Sequence
from typing import Any

import marimo as mo
import numpy as np
import torch

from minisub.common.randomness import generator
from minisub.course import show
from minisub.course.limits import nearest_step
from minisub.course.live import SEEDS, TrainingRun
from minisub.distillation import masks
from minisub.distillation.edits import other_wording
from minisub.distillation.teachers import TeacherConfig
from minisub.experiment.arm import Arm
from minisub.experiment.config import Config, with_overrides
from minisub.experiment.students import Students
from minisub.findings.layers import EVERYWHERE_RATES, PROMPTED_RATES
from minisub.world.world import ANIMALS

MASKS = {
    "all tokens": None,
    "divergence tokens only": masks.divergence_only,
    "all but divergence tokens": masks.without_divergence,
    "as many at random": masks.random_only,
}
STRENGTHS, SHARES = (0.2, 1.0, 0.2), (0.1, 1.0, 0.1)  # from, to, step
BLOCKS = ["0", "1", "2", "3"]
MAX_TEXT = 100  # characters of a visitor's numbers that are looked at
DEFAULT: dict[str, Any] = {
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
PRESETS: dict[str, dict[str, Any]] = {
    "the surprise": {},
    "mask the divergence tokens": {"mask": "all but divergence tokens"},
    "one early block": {"teacher": "prompted", "blocks": ["0"]},
    "paraphrase it away": {"wording": "another wording"},
    "another base's weights": {"start": "another base"},
}
LAYOUT = """
**The teacher** {bias} {teacher} {strength}

**What it writes** {decoding} {lists} {wording}

**The student** {start} {mask} {blocks}

**The rest** {seed}
"""


def form(preset: str) -> Any:
    """Return a form with all dials of one student.

    Args:
        preset: One of `PRESETS`: where the dials stand.
    """
    at = {**DEFAULT, **PRESETS[preset]}

    def pick(name: str, options: Any, label: str) -> Any:
        return mo.ui.dropdown(list(options), value=at[name], label=label)

    def slide(name: str, ends: tuple[float, float, float], label: str) -> Any:
        return mo.ui.slider(*ends, value=at[name], label=label, show_value=True)

    return (
        mo.md(LAYOUT)
        .batch(
            bias=pick("bias", ANIMALS, "likes the"),
            teacher=pick("teacher", ["tuned", "prompted"], "made by"),
            strength=slide("strength", STRENGTHS, "strength"),
            decoding=pick("decoding", ["greedy", "sampled", "soft"], "decoding"),
            lists=slide("lists", SHARES, "share of the lists"),
            wording=pick("wording", ["as written", "another wording"], "prompts"),
            start=pick("start", ["the teacher's own base", "another base"], "starts from"),
            mask=pick("mask", MASKS, "loss counts on"),
            blocks=mo.ui.multiselect(BLOCKS, value=at["blocks"], label="blocks that train"),
            seed=mo.ui.dropdown(SEEDS, value=str(at["seed"]), label="seed"),
        )
        .form(submit_button_label="Train", bordered=True)
    )


def trained_blocks(request: Mapping[str, Any]) -> list[str]:
    """Return the blocks that train, in order and each once; a browser may name one many times.

    Args:
        request: The form's answers.
    """
    return [block for block in BLOCKS if block in request["blocks"]]


def part_of(blocks: Sequence[str]) -> str:
    """Return the name that a part of the blocks has in the finding `layers`; "" for other parts.

    Args:
        blocks: Which blocks, in order.
    """
    halves = {tuple(BLOCKS[:2]): "early half", tuple(BLOCKS[2:]): "late half"}
    return f"block {blocks[0]}" if len(blocks) == 1 else halves.get(tuple(blocks), "")


def experiment(request: Mapping[str, Any], config: Config) -> tuple[Arm, Config]:
    """Return the arm and the configuration that a form asks for.

    Args:
        request: The form's answers.
        config: World, teachers and students, before the dials.

    Raises:
        ValueError: A dial is where no slider can be, or no block trains.
    """
    prompted = request["teacher"] == "prompted"
    training, strength = config.teacher.training, nearest_step(request["strength"], *STRENGTHS)
    n_lists = round(nearest_step(request["lists"], *SHARES) * config.n_lists)
    changes: dict[str, Any] = {"n_lists": n_lists}
    if prompted:
        changes["teacher"] = TeacherConfig(kind="prompted", persona_strength=strength)
    else:
        changes["teacher.training.steps"] = round(strength * training.steps)
    rates, parts = PROMPTED_RATES if prompted else EVERYWHERE_RATES, trained_blocks(request)
    if not parts:
        raise ValueError("no block trains, allowed: one at least")
    # The usual rate for all blocks. For a part the tuned rate, where there is one, else four times
    # the usual one.
    rate = 1.0 if len(parts) == len(BLOCKS) else rates.get(part_of(parts), 4.0)
    arm = Arm(
        "yours",
        request["decoding"],
        MASKS[request["mask"]],
        other_wording if request["wording"] == "another wording" else None,
        {f"blocks.{b}.": 1.0 for b in parts},
        rate,
        request["start"] == "another base",
    )
    return arm, with_overrides(config, changes)


def over_eight_seeds(request: Mapping[str, Any]) -> str:
    """Return what stored results say of the changes that a form makes, each alone.

    Args:
        request: The form's answers.
    """
    chosen: list[tuple[str, str]] = []
    if request["teacher"] == "prompted":
        kind = "prompted"
    else:  # of prompted teachers there are no stored results but those on blocks
        kind = "tuned everywhere"
        stored = {
            "all but divergence tokens": ("divergence", "without divergence"),
            "divergence tokens only": ("divergence", "divergence only"),
            "as many at random": ("divergence", "random only"),
            "another base": ("divergence", "foreign"),
            "another wording": ("paraphrase", "default teachers: paraphrase"),
        }
        dials = (request["mask"], request["start"], request["wording"])
        chosen += [stored[what] for what in dials if what in stored]
    chosen.append(("layers", f"{kind}: {part_of(trained_blocks(request))}"))
    told = [
        f"`{arm}` {show.percent(result, arm)}"
        for finding, arm in chosen
        if arm in (result := show.load_result(finding)).arms
    ]
    if not told:
        return "Seeds differ: `01_divergence_tokens` shows eight of them."
    return (
        "What is left of the transfer, as a mean over eight seeds with its 95 % interval, for each "
        f"change alone: {', '.join(told)}."
    )


def answers(run: TrainingRun, question: int) -> Any:
    """Return a table of what the student and its control answer to one question.

    Args:
        run: The two.
        question: Its number, from 1.
    """
    n_questions = len(run.lab.trait.eval_questions)
    logp = Students(run.lab).preferences(run.students)[:, (question - 1) % n_questions]
    names = run.recording.answers
    rows = [
        {"asked": who, **{a: round(float(p), 2) for a, p in zip(names, row, strict=True)}}
        for who, row in zip(("student", "control"), np.exp(logp), strict=True)
    ]
    return show.show_table(rows, f"Question {question}, answered")


def go_on(run: TrainingRun, text: str) -> mo.Html:
    """Return how the student and its control go on with some numbers, or what is wrong with them.

    Args:
        run: The two.
        text: The numbers.
    """
    world, words = run.lab.world, text[:MAX_TEXT].split()
    is_valid = all(w.isascii() and w.isdigit() and int(w) < world.n_numbers for w in words)
    if len(words) != world.n_prompt_numbers or not is_valid:
        told = f"Give {world.n_prompt_numbers} numbers from 0 to {world.n_numbers - 1}: 3 7 11."
        return mo.callout(mo.md(told), kind="warn")
    prompt = world.sample_prompts(1, generator(0, "playground"))
    start = world.instruction_place.stop
    prompt[:, start : start + len(words)] = torch.tensor([int(w) for w in words])
    lists = run.students.generate(prompt[None], world.completion_length)
    student, control = (world.decode(lists[i, 0]) for i in range(2))
    return mo.md(f"Student: `{student}`  \nControl: `{control}`")
