"""The base: one transformer pretrained on the world, from which all of a seed's models start."""

import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from minisub.measure import preference, task_accuracy
from minisub.model import Shape, Size, Stack
from minisub.pool import Tick
from minisub.store import Json, Store, code_version, digest, read_arrays, read_json, write_arrays
from minisub.train import Corpus, Optimiser, Progress, train
from minisub.world import ANIMALS, World, generator

BUNDLED = Path(__file__).parent / "bundled"
SOURCES = ("world", "model", "train", "base")


@dataclass(frozen=True)
class Pretraining:
    """What makes a base, but for its seed."""

    world: World = field(default_factory=World)
    size: Size = field(default_factory=Size)
    training: Optimiser = Optimiser(lr=6e-3, steps=6000)

    @property
    def shape(self) -> Shape:
        words = len(self.world.vocabulary)
        return Shape(**asdict(self.size), vocabulary=words, context=self.world.length - 1)

    def as_dict(self) -> Json:
        return asdict(self)


def pretrain(how: Pretraining, seed: int, progress: Progress | None = None) -> tuple[Stack, Json]:
    """A base from nothing, and its sidecar: configuration, seed, versions, losses.

    A step learns from `batch` number tasks and `batch` answered questions, each seen once.
    """
    model = Stack.init(how.shape, generator(seed, "base weights"))
    g = generator(seed, "pretraining")
    tasks, questions = how.world.pretraining(how.training.steps * how.training.batch, g)
    corpora = [
        Corpus(tasks[None], torch.ones(1, len(tasks), how.world.completion)),
        Corpus(questions[None], torch.ones(1, len(questions), 1)),
    ]
    losses = train(model, corpora, how.training, g, progress=progress)
    about = {
        "config": how.as_dict(),
        "seed": seed,
        "versions": versions(),
        "code": code_version(*SOURCES),
        "training_nats": round(float(losses[-100:].mean()), 5),
        "held_out": evaluate(how.world, model, seed),
    }
    return model, about


@torch.no_grad()
def evaluate(world: World, model: Stack, seed: int, rows: int = 1024) -> Json:
    """What a base has learned, on prompts that it never saw."""
    g = generator(seed, "held out")
    prompts = world.prompts(rows, g, held_out=True)
    tasks = world.answer(prompts, g)
    truth = world.next_number(tasks)
    logp = model(tasks[None, :, :-1], last=world.completion)[0].log_softmax(-1)
    logp = logp[..., : world.numbers]
    obeyed = [
        preference(world, model, world.ask(a)[None])[0, :, a].mean() for a in range(len(ANIMALS))
    ]
    neutral = preference(world, model)[0]
    return {
        "nats_per_number": round(float(-(truth * logp).sum(-1).mean()), 5),
        "entropy_of_the_world": round(float(torch.special.entr(truth).sum(-1).mean()), 5),
        "task_accuracy": round(float(task_accuracy(world, model, prompts[None])[0]), 5),
        "log_p_of_the_persona's_animal": round(float(sum(obeyed) / len(obeyed)), 5),
        "lowest_log_p_without_persona": round(float(neutral.min()), 5),
    }


def load(how: Pretraining, seed: int, store: Store, progress: Progress | None = None) -> Stack:
    """The base of a seed: bundled, else stored, else pretrained now and stored."""
    if is_bundled(how, seed):
        arrays, _ = read_arrays(BUNDLED / f"base-{seed}")
        return Stack(how.shape, torch.from_numpy(arrays["flat"]))
    key = digest([how.as_dict(), seed, code_version(*SOURCES)])
    stored = store.get_arrays("bases", key)
    if stored is not None:
        return Stack(how.shape, torch.from_numpy(stored["flat"]))
    model, about = pretrain(how, seed, progress)
    store.put_arrays("bases", key, {"flat": model.flat.numpy()}, about)
    return model


def is_bundled(how: Pretraining, seed: int) -> bool:
    """Whether the package brings this very base: another configuration's does not count."""
    side = BUNDLED / f"base-{seed}.json"
    if not side.exists():
        return False
    return digest(read_json(side).get("config")) == digest(how.as_dict())


def bundle(how: Pretraining, folder: Path, seed: int, tick: Tick = lambda: None) -> Json:
    """Pretrain and write one base with its sidecar; returns the sidecar."""
    model, about = pretrain(how, seed)
    write_arrays(folder / f"base-{seed}", {"flat": model.flat.numpy()}, about)
    tick()
    return about


def versions() -> Json:
    """Of what decides the numbers."""
    try:
        own = version("minisub")
    except PackageNotFoundError:
        own = "not installed"
    return {
        "minisub": own,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": platform.machine(),
    }
