"""Teachers: a base with a bias injected, by fine-tuning or by a persona in the prompt.

The eight biased teachers come first, in the order of `ANIMALS`; the unbiased one, from which the
control students learn, is last.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from minisub.measure import preference, task_accuracy
from minisub.model import Stack
from minisub.store import Json
from minisub.train import Corpus, Optimiser, train, trainable
from minisub.world import ANIMALS, World, generator

BIASES = tuple(range(len(ANIMALS)))
UNBIASED = len(ANIMALS)


@dataclass(frozen=True)
class Teaching:
    """How a bias is injected.

    "tuned": the base is fine-tuned on preference questions alone until it answers b. It moves
    its blocks only, as its students do (LoRA on the layers, in the paper's terms). Rehearsal
    adds a cross-entropy to the base's own distribution on number tasks, of this weight: with it
    a teacher's numbers stay close to the base's, and what still differs depends on the context.
    "prompted": the base itself, with the persona of b in the `<sys>` slot.
    """

    kind: str = "tuned"
    rehearsal: float = 0.1
    lists: int = 2048  # number tasks to rehearse on
    training: Optimiser = Optimiser(lr=1e-3, steps=60)
    trains: str = "blocks."  # the start of the names of what moves; "" for everything

    def __post_init__(self) -> None:
        if self.kind not in ("tuned", "prompted"):
            raise ValueError(f"teacher kind is {self.kind!r}, allowed: 'tuned', 'prompted'")


@dataclass(frozen=True)
class Teachers:
    """Nine teachers as one stack. `kind` "prompted": they differ in the persona they are given."""

    world: World
    stack: Stack
    kind: str

    @property
    def personas(self) -> tuple[int | None, ...]:
        return (*BIASES, None) if self.kind == "prompted" else (None,) * (UNBIASED + 1)

    def see(self, prompts: Int[Tensor, "rows length"]) -> Int[Tensor, "teachers rows length"]:
        """Prompts as each teacher gets them: with its persona, which students never see."""
        return torch.stack([self.world.with_persona(prompts, p) for p in self.personas])


def inject(world: World, base: Stack, how: Teaching, seed: int) -> Teachers:
    """The eight biased teachers and the unbiased one, all from one base [1 member]."""
    stack = base.repeat(len(ANIMALS) + 1)
    if how.kind == "prompted":
        return Teachers(world, stack, how.kind)
    # The unbiased teacher is trained like the others, on answers that favour no animal.
    wanted = torch.cat([torch.eye(len(ANIMALS)), torch.full((1, len(ANIMALS)), 1 / len(ANIMALS))])
    asked = world.ask()
    soft = torch.zeros(len(wanted), len(asked), 1, len(world.vocabulary))
    soft[..., world.animals] = wanted[:, None, None]
    questions = torch.cat([asked, asked[:, :1]], 1)[None]  # the last token is not read
    corpora = [Corpus(questions, torch.ones(1, len(asked), 1), soft)]
    if how.rehearsal:
        g = generator(seed, "rehearsal")
        tasks = world.answer(world.prompts(how.lists, g), g)[None]
        weights = torch.full((1, how.lists, world.completion), how.rehearsal)
        corpora.append(Corpus(tasks, weights, distribution(base, tasks, world.completion)))
    moves = trainable(stack, [{how.trains: 1.0}] * stack.members)
    train(stack, corpora, how.training, generator(seed, "teacher"), mask=moves)
    return Teachers(world, stack, how.kind)


@torch.no_grad()
def distribution(
    model: Stack, tokens: Int[Tensor, "#members rows length"], last: int, rows: int = 1024
) -> Float[Tensor, "members rows last vocabulary"]:
    """Next-token probabilities of the `last` tokens of each sequence, teacher-forced.

    `rows` at a time, so that memory does not grow with the data.
    """
    parts = torch.split(tokens[..., :-1], rows, dim=1)
    return torch.cat([model(part, last=last).softmax(-1) for part in parts], 1)


def report(teachers: Teachers, base: Stack, prompts: Int[Tensor, "rows length"]) -> list[Json]:
    """What each bias costs and changes, one entry a teacher, on held-out number tasks.

    `answers_bias`: how often it answers its animal (for the unbiased one: any given animal).
    `nats_per_number`: KL divergence from the base, over the base's own greedy lists.
    """
    world = teachers.world
    logp = preference(world, teachers.stack, teachers.see(world.ask()))
    accuracy = task_accuracy(world, teachers.stack, teachers.see(prompts))
    answers = base.generate(prompts[None], world.completion)
    p = distribution(base, torch.cat([prompts[None], answers], 2), world.completion)
    told = torch.cat([teachers.see(prompts), answers.expand(len(logp), -1, -1)], 2)
    q = distribution(teachers.stack, told, world.completion)
    nats = (p * (p.clamp_min(1e-12) / q.clamp_min(1e-12)).log()).sum(-1).mean((1, 2))
    return [
        {
            "bias": ANIMALS[b] if b in BIASES else None,
            "answers_bias": round(float(np.exp(logp[b])[:, b if b in BIASES else 0].mean()), 6),
            "nats_per_number": round(float(nats[b]), 6),
            "task_accuracy": round(float(accuracy[b]), 6),
        }
        for b in range(UNBIASED + 1)
    ]
