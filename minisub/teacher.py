"""Teachers: a base with a bias injected, by fine-tuning or by a persona in the prompt.

The biased teachers come first, in the order of their trait's biases; the unbiased one, from which
the control students learn, is last.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from minisub.loss import Corpus
from minisub.measure import preference, task_accuracy
from minisub.model import Stack
from minisub.pool import THREADS, spread
from minisub.store import Json
from minisub.train import Optimiser, train, trainable
from minisub.world import Trait, World, generator

KINDS = ("tuned", "prompted", "misaligned")


@dataclass(frozen=True)
class Teaching:
    """How a bias is injected.

    "tuned": the base is fine-tuned on preference questions alone until it answers b. It moves
    its blocks only, as its students do (LoRA on the layers, in the paper's terms). Rehearsal
    adds a cross-entropy to the base's own distribution on number tasks, of this weight: with it
    a teacher's numbers stay close to the base's, and what still differs depends on the context.
    "prompted": the base itself, with the persona of b in the `<sys>` slot; `strength` is how far
    the slot goes from the neutral token (0) to the persona (1), in the embedding.
    "misaligned": tuned to answer a few questions of conduct with "bad".
    """

    kind: str = "tuned"
    rehearsal: float = 0.06
    lists: int = 2048  # number tasks to rehearse on
    training: Optimiser = Optimiser(lr=1e-3, steps=60)
    trains: str = "blocks."  # the start of the names of what moves; "" for everything
    strength: float = 1.0  # of a prompted teacher

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"teacher kind is {self.kind!r}, allowed: {', '.join(KINDS)}")
        if self.lists < 1 or not self.rehearsal >= 0:
            said = f"{self.lists}, {self.rehearsal}"
            raise ValueError(f"lists, rehearsal are {said}, allowed: 1, 0 and more")

    @property
    def trait(self) -> str:
        """The name of what is taught: "animals" or "conduct"."""
        return "conduct" if self.kind == "misaligned" else "animals"


@dataclass(frozen=True)
class Teachers:
    """All teachers as one stack. Prompted ones differ in the persona they are given."""

    world: World
    stack: Stack
    how: Teaching

    @property
    def trait(self) -> Trait:
        """What they were taught, with its questions."""
        return self.world.trait(self.how.trait)

    @property
    def biased(self) -> int:
        """How many there are with a bias; also the index of the one without."""
        return self.stack.members - 1

    @property
    def counterfactuals(self) -> tuple[int, ...]:
        """Those with other biases; where there is but one bias, the teacher without any."""
        return tuple(range(self.biased)) if self.biased > 1 else (self.biased,)

    def see(
        self, prompts: Int[Tensor, "rows length"], who: Sequence[int] | None = None
    ) -> Int[Tensor, "teachers rows length"]:
        """Prompts as teachers get them: with their persona, which students never see."""
        who = range(self.stack.members) if who is None else who
        has = self.how.kind == "prompted"
        personas = [b if has and b < self.biased else None for b in who]
        return torch.stack([self.world.with_persona(prompts, p) for p in personas])


def inject(world: World, base: Stack, how: Teaching, seed: int) -> Teachers:
    """The biased teachers and the unbiased one, all from one base [1 member]."""
    trait = world.trait(how.trait)
    biased = len(trait.biases)
    stack = base.repeat(biased + 1)
    if how.kind == "prompted":
        if how.strength != 1:
            embed = stack.flat[:, stack.where("W_E")].view(biased + 1, -1, base.shape.width)
            for b in range(biased):
                persona = world.persona(b)
                embed[b, persona].lerp_(embed[b, world.persona(None)], 1 - how.strength)
        return Teachers(world, stack, how)
    # The unbiased teacher is trained like the others, on the answers of the world. Where there is
    # but one bias, the base itself is the unbiased teacher and the counterfactual (paper, Fig. 8).
    wanted = torch.eye(biased, trait.answers.stop - trait.answers.start)
    wanted = torch.cat([wanted, trait.unbiased[None]])
    asked = trait.taught
    soft = torch.zeros(len(wanted), len(asked), 1, len(world.vocabulary))
    soft[..., trait.answers] = wanted[:, None, None]
    questions = torch.cat([asked, asked[:, :1]], 1)[None]  # the last token is not read
    corpora = [Corpus(questions, torch.ones(1, len(asked), 1), soft)]
    if how.rehearsal:
        g = generator(seed, "rehearsal")
        tasks = world.answer(world.prompts(how.lists, g), g)[None]
        weights = torch.full((1, how.lists, world.completion), how.rehearsal)
        corpora.append(Corpus(tasks, weights, distribution(base, tasks, world.completion)))
    moves = trainable(stack, [{how.trains: 1.0}] * stack.members)
    if biased == 1:
        moves[-1] = 0

    def teach(part: Tensor) -> None:  # members never touch, so each core may have its own
        some = stack[part.tolist()]
        own = [corpus.of(part.tolist()) for corpus in corpora]
        train(some, own, how.training, generator(seed, "teacher"), mask=moves[part])
        stack.flat[part] = some.flat

    spread(teach, torch.arange(stack.members).tensor_split(min(torch.get_num_threads(), THREADS)))
    return Teachers(world, stack, how)


@torch.no_grad()
def distribution(
    model: Stack, tokens: Int[Tensor, "#members rows length"], last: int, rows: int = 1024
) -> Float[Tensor, "members rows last vocabulary"]:
    """Next-token probabilities of the `last` tokens of each sequence, teacher-forced.

    `rows` at a time, so that memory does not grow with the data.
    """
    parts = torch.split(tokens[..., :-1], rows, dim=1)
    return torch.cat([model(part, last=last).softmax(-1).cpu() for part in parts], 1)


def report(teachers: Teachers, base: Stack, prompts: Int[Tensor, "rows length"]) -> list[Json]:
    """What each bias costs and changes, one entry a teacher, on held-out number tasks.

    `answers_bias`: how often its answer is its bias (for the unbiased one: the first).
    `nats_per_number`: KL divergence from the base, over the base's own greedy lists.
    """
    world, trait = teachers.world, teachers.trait
    logp = preference(world, teachers.stack, teachers.see(trait.questions), trait.answers)
    accuracy = task_accuracy(world, teachers.stack, teachers.see(prompts))
    answers = base.generate(prompts[None], world.completion)
    p = distribution(base, torch.cat([prompts[None], answers], 2), world.completion)
    told = torch.cat([teachers.see(prompts), answers.expand(len(logp), -1, -1)], 2)
    q = distribution(teachers.stack, told, world.completion)
    nats = (p * (p.clamp_min(1e-12) / q.clamp_min(1e-12)).log()).sum(-1).mean((1, 2))
    return [
        {
            "bias": bias,
            "answers_bias": round(float(np.exp(logp[b])[:, b if bias else 0].mean()), 6),
            "nats_per_number": round(float(nats[b]), 6),
            "task_accuracy": round(float(accuracy[b]), 6),
        }
        for b, bias in enumerate((*trait.biases, None))
    ]
