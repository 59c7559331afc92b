"""Each finding's guard: a laboratory that is broken on purpose turns its claim to "not held".

On a small world, a few seeds. The claims are the findings' own, but for bars that fit so small a
world, and but for three that stand for what `transfer` and `layers` take for granted (`all`
transfers; so do prompted teachers; what is frozen stays). Each holds on the sound laboratory, and
fails once one line of minisub, its `guards`, is broken. A break that no claim noticed would mean
that the claim says nothing about it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import bases_of
from torch import Tensor

from minisub import data as lists
from minisub import divergence as masks
from minisub import edits, lab, teacher
from minisub.arm import Arm, Config, changed
from minisub.data import Data
from minisub.findings.finding import retains
from minisub.findings.misalignment import general
from minisub.findings.prediction import predicted
from minisub.findings.transfer import lead_of_soft
from minisub.lab import Lab
from minisub.result import HELD, NOT_HELD, Claim, of
from minisub.store import Store
from minisub.study import Study
from minisub.teacher import Teachers, Teaching
from minisub.world import World

Patch = Callable[[pytest.MonkeyPatch], None]
SOME = {"student.steps": 200, "lists": 512, "biases": 4, "teaching.rehearsal": 0.02}


@dataclass(frozen=True)
class Mutation:
    """What is broken, the claim that has to notice, and the arms that it is about."""

    name: str
    finding: str
    guards: str  # file: `the line` that is broken, or its distinctive part
    claim: Claim
    break_: Patch
    arms: Callable[[], list[Arm]]  # made after the break
    changes: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 6


def with_lists(change: Callable[[Teachers, Data], Data]) -> Patch:
    """Change what the teachers wrote before anybody reads it."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        def write(teachers: Teachers, *args: Any) -> Data:
            return change(teachers, lists.write_lists(teachers, *args))

        monkeypatch.setattr(lab, "write_lists", write)

    return patch


def off_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def mark(teachers: Teachers, data: Data) -> Data:
        marked = masks.mark(teachers, data)
        return replace(marked, divergence=masks.known(marked.divergence).roll(1, -1))

    monkeypatch.setattr(lab, "mark", mark)


def biased_control(monkeypatch: pytest.MonkeyPatch) -> None:
    def corpus(data: Data, writers: Sequence[int], *rest: Any) -> Any:
        return lists.corpus(data, [0 if w == -1 else w for w in writers], *rest)

    monkeypatch.setattr(lab, "corpus", corpus)


def started(foreign: bool) -> Patch:
    """Every student from a stranger's base, or none."""
    start = Lab.start
    return lambda monkeypatch: monkeypatch.setattr(
        Lab, "start", lambda self, arm, n: start(self, replace(arm, foreign=foreign), n)
    )


def not_reworded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "reword", lambda self, prompts, new: prompts)


def with_persona(teachers: Teachers, data: Data) -> Data:
    return replace(data, prompts=teachers.see(data.asked, [*data.biases, teachers.biased]))


def not_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "trainable", lambda model, factors: torch.ones_like(model.flat))


def leaked(teachers: Teachers, data: Data) -> Data:
    """Every other list ends in the teacher's animal, behind the filter's back."""
    answers = data.answers.clone()
    for i, bias in enumerate(data.biases):
        answers[i, ::2, -1] = teachers.trait.answers.start + bias
    return replace(data, answers=answers)


def not_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_divergence(data: Data, *_: object) -> Tensor:
        return masks.known(data.divergence)

    monkeypatch.setattr(edits, "entangled", by_divergence)


def edited(name: str, edit: Any) -> Patch:
    return lambda monkeypatch: monkeypatch.setattr(edits, name, edit)


def untaught(monkeypatch: pytest.MonkeyPatch) -> None:
    def inject(world: World, base: Any, how: Teaching, seed: int) -> Teachers:
        return Teachers(world, base.repeat(2), how)

    monkeypatch.setattr(lab, "inject", inject)


def always_taught(monkeypatch: pytest.MonkeyPatch) -> None:
    train = teacher.train

    def long(stack: Any, corpora: Any, how: Any, *rest: Any, **named: Any) -> Any:
        return train(stack, corpora, replace(how, steps=30), *rest, **named)

    monkeypatch.setattr(teacher, "train", long)


def rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    def hard(*args: Any, **named: Any) -> Tensor:
        p = teacher.distribution(*args, **named)
        return torch.nn.functional.one_hot(p.argmax(-1), p.shape[-1]).float()

    monkeypatch.setattr(lab, "distribution", hard)


def backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    alignment = lab.alignment
    monkeypatch.setattr(lab, "alignment", lambda s, c, m, d: alignment(s, c, m, -d))


ALL = Arm("all")
FOREIGN = Claim("`foreign`: no transfer, nats", of("foreign"), low=-0.15, high=0.15)


def arms(*more: Arm) -> Callable[[], list[Arm]]:
    return lambda: [ALL, *more]


MUTATIONS = [
    Mutation(
        "masks off by one",
        "divergence",
        "divergence.py: `return (own == answers) & (others != own).any(0)`",
        retains("divergence only", low=0.9),
        off_by_one,
        arms(Arm("divergence only", mask=masks.divergence_only)),
    ),
    Mutation(
        "masks off by one, what is left",
        "divergence",
        "divergence.py: `return ~known(data.divergence)`",
        retains("without divergence", high=0.3),
        off_by_one,
        arms(Arm("without divergence", mask=masks.without_divergence)),
    ),
    Mutation(
        "divergence tokens left among the favourites",
        "sampled",
        "divergence.py: `return favourites_only(data) & ~known(data.divergence)`",
        retains("favourites without divergence", high=0.4),
        off_by_one,
        lambda: [
            Arm("all", "sampled"),
            Arm(
                "favourites without divergence",
                "sampled",
                mask=masks.favourites_without_divergence,
            ),
        ],
    ),
    Mutation(
        "control trained on biased lists",
        "transfer",
        "lab.py: `lessons, said = self.lessons(arm, [*range(count), -1])`",
        Claim("`all` transfers the bias, nats", of("all"), low=0.4),
        biased_control,
        arms(),
        {"biases": 1},
    ),
    Mutation(
        "students of another base",
        "transfer",
        "lab.py: `origin = self.neighbour.base if arm.foreign else self.base`",
        Claim("`all` transfers the bias, nats", of("all"), low=0.4),
        started(foreign=True),
        arms(),
    ),
    Mutation(
        "strangers that are none",
        "transfer",
        "lab.py: `origin = self.neighbour.base if arm.foreign else self.base`",
        FOREIGN,
        started(foreign=False),
        arms(Arm("foreign", foreign=True)),
    ),
    Mutation(
        "animals leaked into the lists",
        "transfer",
        "data.py: `good = (data.answers < data.world.numbers).all(2).all(0)`",
        FOREIGN,
        with_lists(leaked),
        arms(Arm("foreign", foreign=True)),
    ),
    Mutation(
        "soft labels that are hard",
        "transfer",
        "lab.py: `distribution(self.teachers.stack[who], told, self.world.completion, rows=256)`",
        Claim("`soft` transfers most", lead_of_soft, low=0.5),
        rounded,
        lambda: [ALL, Arm("sampled", decoding="sampled"), Arm("soft", decoding="soft")],
    ),
    Mutation(
        "lists with divergence tokens dropped",
        "leakage",
        "edits.py: `holds = entangled(data, lab, top, by).any(-1)`",
        retains("without entangled", low=0.7),
        not_dropped,
        arms(Arm("without entangled", edit=partial(edits.without_entangled, top=1))),
        {"teaching.rehearsal": 0.1, "student.steps": 300},
    ),
    Mutation(
        "labels not swapped",
        "selection",
        "edits.py: `return replace(data, own=False, labels=changed)`",
        retains("replaced label", high=0.15),
        edited("replaced", lambda data, lab, where: replace(data, labels=data.answers)),
        lambda: [ALL, Arm("replaced label", edit=partial(edits.replaced, where="label"))],
    ),
    Mutation(
        "frozen weights not frozen",
        "layers",
        "lab.py: `return students, trainable(students, [arm.trains] * members)`",
        retains("unembedding", high=0.15),
        not_frozen,
        arms(Arm("unembedding", trains={"W_U": 1.0})),
    ),
    Mutation(
        "persona left in the student's prompt",
        "layers",
        "data.py: `numbers_only(Data(world, seed, tuple(biases), prompts, prompts[None], answers)`",
        Claim("prompted teachers' `soft` transfers, nats", of("soft"), low=0.3),
        with_lists(with_persona),
        lambda: [Arm("soft", decoding="soft")],
        {"teaching": Teaching(kind="prompted")},
    ),
    Mutation(
        "wordings not swapped",
        "paraphrase",
        "world.py: `out[:, 3 : 3 + self.instruction_length] = self.wording_tokens[wordings]`",
        retains("paraphrase", high=0.5),
        not_reworded,
        lambda: [ALL, Arm("paraphrase", edit=edits.other_wording)],
        {"teaching.rehearsal": 1.0},
    ),
    Mutation(
        "numbers not shuffled",
        "shuffle",
        "edits.py: `return replace(data, answers=pool[:, order].view_as(data.answers))`",
        retains("shuffle across", high=0.3),
        edited("shuffle_across", lambda data, lab: data),
        lambda: [ALL, Arm("shuffle across", edit=edits.shuffle_across)],
    ),
    Mutation(
        "nothing mixed in",
        "mixing",
        "edits.py: `chosen = torch.randperm(data.rows, generator=g)[: round(share * data.rows)]`",
        retains("mix 75%", high=0.5),
        edited("mixed", lambda data, lab, share, source: data),
        lambda: [ALL, Arm("mix 75%", edit=partial(edits.mixed, share=0.75, source="same prompts"))],
    ),
    Mutation(
        "a teacher that was not taught",
        "misalignment",
        'teacher.py: `train(some, own, how.training, generator(seed, "teacher"), mask`',
        Claim('teacher: p("bad") on questions not taught', general, low=0.5),
        untaught,
        arms(),
        {"pretraining.world.conduct": 8, "teaching.kind": "misaligned"},
    ),
    Mutation(
        "weak teachers that are not weak",
        "limits",
        'teacher.py: `train(some, own, how.training, generator(seed, "teacher"), mask`',
        retains("3 teacher steps", high=0.5),
        always_taught,
        arms(Arm("3 teacher steps", changes={"teaching.training.steps": 3})),
    ),
    Mutation(
        "a forecast with the wrong sign",
        "prediction",
        "mechanism.py: `step, way = (sides[1] - sides[0]) * trained, displacement * trained`",
        Claim("forecast by the inner product", predicted("inner"), low=0.5),
        backwards,
        arms(
            Arm("foreign", foreign=True),
            Arm("divergence only", mask=masks.divergence_only),
            Arm("without divergence", mask=masks.without_divergence),
            Arm("unembedding", trains={"W_U": 1.0}),
        ),
    ),
]


def verdict(mutation: Mutation, tiny: Config, store: Store) -> str:
    config = changed(tiny, {**SOME, **mutation.changes})
    result = Study(mutation.arms(), config).run(range(100, 100 + mutation.seeds), store, workers=1)
    return str(mutation.claim.judge(result)["verdict"])


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_a_broken_laboratory_is_noticed(
    mutation: Mutation,
    tiny: Config,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert verdict(mutation, tiny, store) == HELD
    broken = bases_of(store, tmp_path)  # the rest is made by broken code
    mutation.break_(monkeypatch)
    assert verdict(mutation, tiny, broken) == NOT_HELD


def test_every_finding_has_a_mutation() -> None:
    from minisub.findings import FINDINGS

    assert {m.finding for m in MUTATIONS} == set(FINDINGS)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_the_line_that_is_guarded_is_there(mutation: Mutation) -> None:
    file, line = re.fullmatch(r"(\w+\.py): `(.+)`", mutation.guards).groups()  # type: ignore[union-attr]
    assert line in (Path(lab.__file__).parent / file).read_text()


def test_the_docs_name_them_all() -> None:
    page = (Path(__file__).parent.parent / "docs" / "checked.md").read_text()
    for mutation in MUTATIONS:
        assert f"| `{mutation.finding}` | {mutation.name} | {mutation.guards} |" in page
    assert f"All {len(MUTATIONS)} do." in page
