"""The base: one transformer pretrained on the world, from which all of a seed's models start."""

import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from minisub.loss import Corpus
from minisub.measure import preference, task_accuracy
from minisub.model import Shape, Size, Stack
from minisub.pool import Tick
from minisub.store import (
    Arrays,
    Json,
    MinisubError,
    Store,
    code_version,
    digest,
    read_arrays,
    read_json,
    write_arrays,
)
from minisub.train import Optimiser, train
from minisub.world import ANIMALS, World, generator

BUNDLED = Path(__file__).parent / "bundled"
SOURCES = ("world", "model", "loss", "train", "base")


@dataclass(frozen=True)
class Pretraining:
    """What makes a base, but for its seed."""

    world: World = field(default_factory=World)
    size: Size = field(default_factory=Size)
    training: Optimiser = Optimiser(lr=6e-3, steps=6000)

    @property
    def shape(self) -> Shape:
        """Of the transformer: its size, and ends that follow from the world."""
        words = len(self.world.vocabulary)
        return Shape(**asdict(self.size), vocabulary=words, context=self.world.length - 1)

    def as_dict(self) -> Json:
        """All of it as plain data, for sidecars and keys."""
        return asdict(self)


# The bases that come with the package: the default ones, and those that single findings need.
SETS: dict[str, Pretraining] = {
    "base": Pretraining(),
    "tilt-0": Pretraining(World(tilt=(0.0,))),
    "tilt-half": Pretraining(World(tilt=(0.5,))),
    "uneven": Pretraining(World(favourite=0.9)),
    "conduct": Pretraining(World(conduct=16)),
}


def pretrain(how: Pretraining, seed: int, device: str = "cpu") -> tuple[Stack, Json]:
    """A base from nothing, and its sidecar: configuration, seed, versions, losses.

    Its weights are rounded to half precision at the end, so that nine of them are small on disk
    and one from disk is the same as one made anew.

    A step learns from `batch` number tasks and `batch` answered questions, each seen once.
    """
    model = Stack.init(how.shape, generator(seed, "base weights")).to(device)
    g = generator(seed, "pretraining")
    tasks, questions = how.world.pretraining(how.training.steps * how.training.batch, g)
    corpora = [
        Corpus(tasks[None], torch.ones(1, len(tasks), how.world.completion)),
        Corpus(questions[None], torch.ones(1, len(questions), 1)),
    ]
    losses = train(model, corpora, how.training, g)
    model.flat.copy_(model.flat.half().float())
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
    logp = model(tasks[None, :, :-1], last=world.completion)[0].log_softmax(-1).cpu()
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


def load(how: Pretraining, seed: int, store: Store, device: str = "cpu") -> Stack:
    """The base of a seed: bundled, else stored, else pretrained now and stored."""
    bundled = bundled_as(how, seed)
    if bundled is not None:
        return _stack(how, read_arrays(bundled)[0], bundled).to(device)
    key = _key(how, seed)
    stored = store.get_arrays("bases", key)
    if stored is not None:
        where = store.path("bases", key, ".safetensors")
        return _stack(how, stored, where).to(device)
    model, about = pretrain(how, seed, device)
    store.put_arrays("bases", key, _arrays(model), about)
    return model


def there(how: Pretraining, seed: int, store: Store) -> bool:
    """Whether `load` has nothing to pretrain."""
    return bundled_as(how, seed) is not None or store.has_arrays("bases", _key(how, seed))


def _key(how: Pretraining, seed: int) -> str:
    return digest([how.as_dict(), seed, code_version(*SOURCES)])


def _arrays(model: Stack) -> Arrays:
    return {"flat": model.flat.half().cpu().numpy()}


def _stack(how: Pretraining, arrays: Arrays, where: Path) -> Stack:
    flat = arrays.get("flat")
    if flat is None or flat.shape != (1, how.shape.count):
        raise MinisubError(f"{where} holds a base of another shape: delete it to make it anew")
    return Stack(how.shape, torch.from_numpy(flat).float())


def bundled_as(how: Pretraining, seed: int) -> Path | None:
    """Where the package brings this very base: another configuration's does not count."""
    for name, known in SETS.items():
        path = BUNDLED / f"{name}-{seed}"
        side = path.with_suffix(".json")
        if known == how and side.exists():
            return path if digest(read_json(side).get("config")) == digest(how.as_dict()) else None
    return None


def bundle(
    name: str, folder: Path, seed: int, tick: Tick = lambda: None, device: str = "cpu"
) -> Json:
    """Pretrain and write one base of a set with its sidecar; returns the sidecar."""
    model, about = pretrain(SETS[name], seed, device)
    write_arrays(folder / f"{name}-{seed}", _arrays(model), about)
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
