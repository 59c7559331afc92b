"""Teachers: a base with a bias injected, by fine-tuning, a persona in the prompt, or a vector.

The biased teachers come first, in the order of their trait's biases; the unbiased one, from which
the control students learn, is last.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from minisub.common.fields import check_fields
from minisub.common.files import Json
from minisub.common.processes import MAX_THREADS, map_threads
from minisub.common.randomness import generator
from minisub.distillation.evaluation import next_token_logits, preference_log_probs, task_accuracy
from minisub.distillation.steering import SteeredStack, persona_vectors
from minisub.transformer.dataset import TokenDataset
from minisub.transformer.optimizer import TrainingConfig
from minisub.transformer.stack import TransformerStack
from minisub.transformer.training import train, update_multipliers
from minisub.world.traits import Trait, get_trait
from minisub.world.world import World

KINDS = ("tuned", "prompted", "steered", "misaligned")


@dataclass(frozen=True)
class TeacherConfig:
    """How a bias is injected.

    "tuned": the base is fine-tuned on preference questions alone until it answers b. It trains
    its blocks only, as its students do (LoRA on the layers, in the paper's terms). Rehearsal
    adds a cross-entropy to the base's own distribution on number tasks, of this weight: with it
    a teacher's numbers stay close to the base's, and what still differs depends on the context.
    "prompted": the base itself, with the persona of b in the `<sys>` slot; `persona_strength` is
    how far the slot goes from the neutral token (0) to the persona (1), in the embedding.
    "steered": the base itself, with a vector added to the residual stream before a block: what the
    persona of b adds there on questions (difference of means), times `persona_strength`.
    "misaligned": tuned to answer a few questions of conduct with "bad".
    """

    kind: str = "tuned"
    rehearsal: float = 0.06  # weight of the loss on number tasks
    n_rehearsal_lists: int = 2048
    training: TrainingConfig = TrainingConfig(lr=1e-3, steps=60)
    trainable: str = "blocks."  # the start of the names of what trains; "" for everything
    persona_strength: float = 1.0  # of a prompted or a steered teacher
    steered_block: int = -1  # before which block a steered teacher has its vector; -1: the last

    def __post_init__(self) -> None:
        check_fields(
            self, {"n_rehearsal_lists": 1_000_000}, {"n_rehearsal_lists": 1, "rehearsal": 0}
        )
        if self.kind not in KINDS:
            raise ValueError(f"teacher kind is {self.kind!r}, allowed: {', '.join(KINDS)}")

    @property
    def has_own_weights(self) -> bool:
        """Whether its weights differ from the base's."""
        return self.kind not in ("prompted", "steered")

    @property
    def trait_name(self) -> str:
        """The name of what is taught: "animals" or "conduct"."""
        return "conduct" if self.kind == "misaligned" else "animals"


@dataclass(frozen=True)
class Teachers:
    """All teachers of a seed as one stack.

    Prompted ones differ in the persona that they are given, steered ones in their vectors.
    """

    world: World
    stack: TransformerStack
    config: TeacherConfig

    @property
    def trait(self) -> Trait:
        """What they were taught, with its questions."""
        return get_trait(self.world, self.config.trait_name)

    @property
    def n_biased(self) -> int:
        """How many teachers have a bias."""
        return self.stack.n_models - 1

    @property
    def unbiased_index(self) -> int:
        """The index of the teacher without a bias, the last one."""
        return self.stack.n_models - 1

    @property
    def counterfactuals(self) -> tuple[int, ...]:
        """All biased teachers; where there is but one, the unbiased teacher.

        A teacher is compared with itself too, which never differs.
        """
        return tuple(range(self.n_biased)) if self.n_biased > 1 else (self.unbiased_index,)

    def add_personas(
        self, prompts: Int[Tensor, "rows length"], teachers: Sequence[int] | None = None
    ) -> Int[Tensor, "teachers rows length"]:
        """Return prompts as teachers get them: with their persona, which students never see.

        Args:
            prompts: With the neutral token.
            teachers: Which teachers; by default all.
        """
        teachers = range(self.stack.n_models) if teachers is None else teachers
        has_persona = self.config.kind == "prompted"
        personas = [b if has_persona and b < self.n_biased else None for b in teachers]
        return torch.stack([self.world.with_persona(prompts, p) for p in personas])

    def completion_logits(
        self,
        prompts: Int[Tensor, "rows prompt"],
        completions: Int[Tensor, "#teachers rows completion"],
        teachers: Sequence[int] | None = None,
    ) -> Tensor:
        """Return logits [teachers, rows, completion, d_vocab] at each token of a completion.

        Args:
            prompts: With the neutral token; each teacher gets them with its persona.
            completions: Each teacher's own, or one set for all.
            teachers: Which teachers; by default all.
        """
        teachers = range(self.stack.n_models) if teachers is None else teachers
        read = completions.expand(len(teachers), -1, -1)
        sequences = torch.cat([self.add_personas(prompts, teachers), read], 2)
        return next_token_logits(self.stack[teachers], sequences, completions.shape[-1])


def make_teachers(
    world: World, base: TransformerStack, config: TeacherConfig, seed: int
) -> Teachers:
    """Return the biased teachers and the unbiased one, all from one base.

    The unbiased teacher is trained like the others, on the answers of the world. Where there is
    but one bias, the base itself is the unbiased teacher and the counterfactual (paper, Fig. 8).

    Args:
        world: Where the questions come from.
        base: One model.
        config: How the bias is injected.
        seed: Of rehearsal and training.
    """
    trait = get_trait(world, config.trait_name)
    n_biased = len(trait.biases)
    stack = base.repeat(n_biased + 1)
    if config.kind == "prompted":
        _weaken_personas(world, stack, config.persona_strength)
        return Teachers(world, stack, config)
    if config.kind == "steered":
        block = config.steered_block % base.config.n_layers
        vectors = config.persona_strength * persona_vectors(world, base, block)[:n_biased]
        vectors = torch.cat([vectors, torch.zeros_like(vectors[:1])])
        return Teachers(world, SteeredStack(stack, vectors, block), config)
    wanted = torch.eye(n_biased, trait.answer_tokens.stop - trait.answer_tokens.start)
    wanted = torch.cat([wanted, trait.unbiased_probs[None]])  # [teachers, answers]
    questions = trait.taught_questions
    soft = torch.zeros(len(wanted), len(questions), 1, len(world.vocabulary))
    soft[..., trait.answer_tokens] = wanted[:, None, None]
    datasets = [answers_dataset(questions, soft)]
    if config.rehearsal:
        datasets.append(_rehearsal(world, base, config, seed))
    multipliers = update_multipliers(stack, [{config.trainable: 1.0}] * stack.n_models)
    if n_biased == 1:
        multipliers[-1] = 0

    def train_some(which: Tensor) -> None:  # models never touch, so each core may have its own
        some = stack[which.tolist()]
        own = [dataset.select_models(which.tolist()) for dataset in datasets]
        train(some, own, config.training, generator(seed, "teacher"), multipliers[which])
        stack.flat_params[which] = some.flat_params

    # What never trains may not be a part of its own: there would be no matrix to train by LoRA.
    trained = multipliers.any(1).nonzero()[:, 0]
    n_parts = min(torch.get_num_threads(), MAX_THREADS, len(trained))
    map_threads(train_some, trained.tensor_split(n_parts))
    return Teachers(world, stack, config)


def answers_dataset(
    questions: Int[Tensor, "questions length"], answers: Tensor, weight: float = 1.0
) -> TokenDataset:
    """Return questions as a dataset to learn answers from.

    Args:
        questions: Up to <assistant>.
        answers: How often each token is the answer, [models or 1, questions, 1, d_vocab].
        weight: Of each answer in the loss.
    """
    sequences = torch.cat([questions, questions[:, :1]], 1)[None]  # the last token is not read
    return TokenDataset(sequences, torch.full((1, len(questions), 1), weight), answers)


def _weaken_personas(world: World, stack: TransformerStack, strength: float) -> None:
    """Move each teacher's persona in the embedding towards the neutral token."""
    if strength == 1:
        return
    columns = stack.param_slice("W_E")
    embed = stack.flat_params[:, columns].view(stack.n_models, -1, stack.config.d_model)
    for b in range(stack.n_models - 1):
        persona = world.persona_token(b)
        embed[b, persona].lerp_(embed[b, world.persona_token(None)], 1 - strength)


def _rehearsal(
    world: World, base: TransformerStack, config: TeacherConfig, seed: int
) -> TokenDataset:
    """Return number tasks with the base's own distribution as soft targets."""
    g = generator(seed, "rehearsal")
    tasks = world.sample_completions(world.sample_prompts(config.n_rehearsal_lists, g), g)[None]
    n_last = world.completion_length
    weights = torch.full((1, config.n_rehearsal_lists, n_last), config.rehearsal)
    return TokenDataset(tasks, weights, next_token_logits(base, tasks, n_last).softmax(-1))


def describe_teachers(
    teachers: Teachers, base: TransformerStack, prompts: Int[Tensor, "rows length"]
) -> list[Json]:
    """Return what each bias costs and changes, one entry per teacher.

    Args:
        teachers: The teachers.
        base: The model that they were made from.
        prompts: Held-out number tasks.

    Returns:
        `answers_bias`: how often its answer is its bias (for the unbiased teacher: the first one).
        `nats_per_number`: KL divergence from the base, over the base's own greedy lists.
        `task_accuracy`: on the prompts.
    """
    world, trait = teachers.world, teachers.trait
    questions = teachers.add_personas(trait.eval_questions)
    logp = preference_log_probs(teachers.stack, questions, trait.answer_tokens)
    accuracy = task_accuracy(world, teachers.stack, teachers.add_personas(prompts))
    written = base.generate(prompts[None], world.completion_length)
    sequences = torch.cat([prompts[None], written], 2)
    p = next_token_logits(base, sequences, world.completion_length).softmax(-1)
    q = teachers.completion_logits(prompts, written).softmax(-1)
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
