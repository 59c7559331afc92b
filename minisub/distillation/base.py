"""The base: one transformer pretrained on the world, from which all models of a seed start."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch

from minisub.common.fields import MOST, check_fields
from minisub.common.files import (
    Arrays,
    Json,
    damaged,
    digest,
    read_arrays,
    read_json,
    write_arrays,
)
from minisub.common.processes import OnProgress, no_progress
from minisub.common.provenance import PACKAGE, code_version, versions
from minisub.common.randomness import generator
from minisub.common.store import Store
from minisub.distillation.evaluation import next_token_logits, preference_log_probs, task_accuracy
from minisub.transformer.config import ModelConfig
from minisub.transformer.dataset import TokenDataset
from minisub.transformer.optimizer import TrainingConfig
from minisub.transformer.stack import TransformerStack
from minisub.transformer.training import train, update_multipliers
from minisub.world.pretraining_data import sample_pretraining_data
from minisub.world.traits import preference_questions
from minisub.world.world import World

BUNDLED = PACKAGE / "bundled"
# What decides the weights of a base.
BASE_SOURCES = (
    "minisub.common.randomness",
    "minisub.world",
    "minisub.transformer",
    "minisub.distillation.base",
)


@dataclass(frozen=True)
class BaseConfig:
    """What makes a base, but for its seed."""

    world: World = field(default_factory=World)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = TrainingConfig(lr=6e-3, steps=6000)

    def __post_init__(self) -> None:
        check_fields(self)
        rows = self.training.steps * self.training.batch_size
        if rows > MOST:
            raise ValueError(
                f"steps times batch_size of the base is {rows}, allowed: at most {MOST}, as all "
                "that it reads is drawn at the start"
            )

    @property
    def model_config(self) -> ModelConfig:
        """The dimensions of the transformer; its vocabulary and context follow from the world."""
        n_vocab, n_ctx = len(self.world.vocabulary), self.world.task_length - 1
        return replace(self.model, d_vocab=n_vocab, n_ctx=n_ctx)

    def as_dict(self) -> Json:
        """Return all of it as plain data, for sidecars and keys."""
        return asdict(self)


# The bases that come with the package: the default ones, and those that single findings need.
BASE_SETS: dict[str, BaseConfig] = {
    "base": BaseConfig(),
    "tilt-0": BaseConfig(World(tilt=(0.0,))),
    "tilt-half": BaseConfig(World(tilt=(0.5,))),
    "uneven": BaseConfig(World(favourite_share=0.9)),
    "conduct": BaseConfig(World(n_conduct_questions=16)),
}


def pretrain(
    config: BaseConfig,
    seed: int,
    device: str = "cpu",
    heads: TransformerStack | None = None,
) -> tuple[TransformerStack, Json]:
    """Train a base from random weights.

    A step learns from `batch_size` number tasks and `batch_size` answered questions, all drawn for
    this base. The weights are rounded to half precision at the end, so that the bundled files are
    small, and a base from a file is the same as one made again.

    Args:
        config: World, model and training.
        seed: Of weights and data.
        device: Where it is trained.
        heads: A model whose embeddings and unembedding the base is built around: they stay.

    Returns:
        The base, and its sidecar: configuration, seed, versions, losses.
    """
    model = TransformerStack.init(config.model_config, generator(seed, "base weights")).to(device)
    multipliers = None
    if heads is not None:
        multipliers = update_multipliers(model, [{"blocks.": 1.0}])
        model.flat_params.copy_(torch.where(multipliers == 0, heads.flat_params, model.flat_params))
    g = generator(seed, "pretraining")
    n = config.training.steps * config.training.batch_size
    tasks, questions = sample_pretraining_data(config.world, n, g)
    datasets = [
        TokenDataset(tasks[None], torch.ones(1, n, config.world.completion_length)),
        TokenDataset(questions[None], torch.ones(1, n, 1)),
    ]
    losses = train(model, datasets, config.training, g, multipliers)
    model.flat_params.copy_(model.flat_params.half().float())
    about = {
        "config": config.as_dict(),
        "seed": seed,
        "versions": versions(),
        "code": code_version(*BASE_SOURCES),
        "training_nats": round(float(losses[-100:].mean()), 5),
        "held_out": evaluate_base(config.world, model, seed),
    }
    return model, about


def evaluate_base(world: World, model: TransformerStack, seed: int, n_rows: int = 1024) -> Json:
    """Return what a base has learned, on prompts that it never saw.

    Args:
        world: Its world.
        model: The base.
        seed: Of the prompts.
        n_rows: How many prompts.
    """
    g = generator(seed, "held out")
    prompts = world.sample_prompts(n_rows, g, held_out=True)
    tasks = world.sample_completions(prompts, g)
    truth = world.next_number_probs(tasks)
    logp = next_token_logits(model, tasks[None], world.completion_length)[0].log_softmax(-1)
    logp = logp[..., : world.n_numbers]
    neutral, *obeyed = (
        preference_log_probs(model, preference_questions(world, a)[None], world.animal_tokens)[0]
        for a in (None, *range(len(world.animals)))
    )
    log_p_persona = sum(logp[:, a].mean() for a, logp in enumerate(obeyed)) / len(obeyed)
    return {
        "nats_per_number": round(float(-(truth * logp).sum(-1).mean()), 5),
        "entropy_of_the_world": round(float(torch.special.entr(truth).sum(-1).mean()), 5),
        "task_accuracy": round(float(task_accuracy(world, model, prompts[None])[0]), 5),
        "log_p_of_the_persona's_animal": round(float(log_p_persona), 5),
        "lowest_log_p_without_persona": round(float(neutral.min()), 5),
    }


def load_base(
    config: BaseConfig, seed: int, store: Store | None = None, device: str = "cpu"
) -> TransformerStack:
    """Return the base of a seed: bundled, else stored, else pretrained now and stored.

    Args:
        config: World, model and training.
        seed: The seed.
        store: Where bases are kept; None for nowhere.
        device: Where the base is to be.
    """
    bundled = bundled_path(config, seed)
    if bundled is not None:
        return _to_stack(config, read_arrays(bundled)[0], bundled).to(device)
    key = _key(config, seed)
    stored = store.get_arrays("bases", key) if store else None
    if store and stored is not None:
        path = store.path("bases", key, ".safetensors")
        return _to_stack(config, stored, path).to(device)
    model, about = pretrain(config, seed, device)
    if store:
        store.put_arrays("bases", key, _to_arrays(model), about)
    return model


def has_base(config: BaseConfig, seed: int, store: Store) -> bool:
    """Return whether `load_base` has nothing to pretrain.

    Args:
        config: World, model and training.
        seed: The seed.
        store: Where bases are kept.
    """
    return bundled_path(config, seed) is not None or store.has_arrays("bases", _key(config, seed))


def _key(config: BaseConfig, seed: int) -> str:
    return digest([config.as_dict(), seed, code_version(*BASE_SOURCES)])


def _to_arrays(model: TransformerStack) -> Arrays:
    return {"flat": model.flat_params.half().cpu().numpy()}


def _to_stack(config: BaseConfig, arrays: Arrays, path: Path) -> TransformerStack:
    flat = arrays.get("flat")
    if flat is None or flat.shape != (1, config.model_config.n_params):
        raise damaged(path, "a base of another shape")
    return TransformerStack(config.model_config, torch.from_numpy(flat).float())


def bundled_path(config: BaseConfig, seed: int) -> Path | None:
    """Return the path of the bundled base with exactly this configuration and seed, or None.

    Args:
        config: World, model and training.
        seed: The seed.
    """
    for name, known in BASE_SETS.items():
        path = BUNDLED / f"{name}-{seed}"
        sidecar = path.with_suffix(".json")
        if known == config and sidecar.exists():
            same = digest(read_json(sidecar).get("config")) == digest(config.as_dict())
            return path if same else None
    return None


def bundle_base(
    name: str,
    folder: Path,
    seed: int,
    on_progress: OnProgress = no_progress,
    device: str = "cpu",
) -> Json:
    """Pretrain one base of a set and write it with its sidecar; return the sidecar.

    Args:
        name: Of the set, out of `BASE_SETS`.
        folder: Where it is written.
        seed: The seed.
        on_progress: Called when it is done.
        device: Where it is trained.
    """
    model, about = pretrain(BASE_SETS[name], seed, device)
    write_arrays(folder / f"{name}-{seed}", _to_arrays(model), about)
    on_progress()
    return about
