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
from conftest import copy_bases
from torch import Tensor

from minisub.common.provenance import PACKAGE
from minisub.common.store import Store
from minisub.distillation import divergence_tokens, edits, entanglement, masks, number_lists
from minisub.distillation import teachers as teachers_module
from minisub.distillation.number_lists import MarkedLists, NumberLists
from minisub.distillation.relabel import unbiased_labels
from minisub.distillation.starts import noisy
from minisub.distillation.steering import SteeredStack
from minisub.distillation.teachers import TeacherConfig, Teachers
from minisub.experiment import seed_lab, students
from minisub.experiment.arm import Arm
from minisub.experiment.config import Config, with_overrides
from minisub.experiment.students import Students
from minisub.experiment.study import Probe, Study
from minisub.findings.generations import chain, kept
from minisub.findings.geometry import cosines
from minisub.findings.hidden import accuracy, readers
from minisub.findings.misalignment import general
from minisub.findings.prediction import predicted
from minisub.findings.steering import share, vectors
from minisub.findings.transfer import lead_of_soft
from minisub.results.claims import HELD, NOT_HELD, Claim, arm_values, retains
from minisub.transformer.optimizer import TrainingConfig
from minisub.transformer.stack import TransformerStack
from minisub.world.world import World

Patch = Callable[[pytest.MonkeyPatch], None]
SOME = {"student.steps": 200, "n_lists": 512, "biases_per_seed": 4, "teacher.rehearsal": 0.02}


@dataclass(frozen=True)
class Mutation:
    """What is broken, the claim that has to notice, and the arms that it is about."""

    name: str
    finding: str
    guards: str  # file: `the line` that is broken, or its distinctive part
    claim: Claim
    break_: Patch
    arms: Callable[[], list[Arm]]  # made after the break
    overrides: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 6
    probes: Sequence[Probe] = ()


def with_lists(change: Callable[[Teachers, NumberLists], NumberLists]) -> Patch:
    """Change what the teachers wrote before it is read."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        def generate(teachers: Teachers, *args: Any) -> NumberLists:
            return change(teachers, number_lists.generate_lists(teachers, *args))

        monkeypatch.setattr(seed_lab, "generate_lists", generate)

    return patch


def off_by_one(module: Any, name: str) -> Patch:
    """Move what a function says of each number to the next one."""
    function = getattr(module, name)
    return lambda monkeypatch: monkeypatch.setattr(
        module, name, lambda *args: function(*args).roll(1, -1)
    )


def biased_control(monkeypatch: pytest.MonkeyPatch) -> None:
    def to_dataset(lists: NumberLists, writers: Sequence[int], *rest: Any) -> Any:
        return number_lists.to_dataset(lists, [0 if w == -1 else w for w in writers], *rest)

    monkeypatch.setattr(students, "to_dataset", to_dataset)


def trained_by(**changes: Any) -> Patch:
    """Train students with some settings of their training changed."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        train = students.train

        def other(s: Any, d: Any, config: TrainingConfig, *rest: Any) -> Tensor:
            return train(s, d, replace(config, **changes), *rest)

        monkeypatch.setattr(students, "train", other)

    return patch


def from_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(students, "checked_start", lambda start, base, arm: base)


def unsteered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SteeredStack, "__call__", TransformerStack.__call__)


def copied(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(self: Students, *_: object, **__: object) -> tuple[TransformerStack, float]:
        return self.lab.teachers.stack[[*self.lab.biases, -1]], 0.0

    monkeypatch.setattr(Students, "train", train)


def same_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "with_persona", lambda self, prompts, animal: prompts)


def without_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    def to_dataset(lists: NumberLists, *rest: Any) -> Any:
        return number_lists.to_dataset(replace(lists, labels=None), *rest)

    monkeypatch.setattr(students, "to_dataset", to_dataset)


def started(other_base: bool) -> Patch:
    """Start every student from another base, or none."""
    untrained = Students.untrained
    return lambda monkeypatch: monkeypatch.setattr(
        Students,
        "untrained",
        lambda self, arm, n: untrained(self, replace(arm, other_base=other_base), n),
    )


def not_reworded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "reword", lambda self, prompts, new: prompts)


def with_persona(teachers: Teachers, lists: NumberLists) -> NumberLists:
    writers = [*lists.biases, teachers.unbiased_index]
    prompts = teachers.add_personas(lists.teacher_prompts, writers)
    return replace(lists, student_prompts=prompts)


def not_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    def everything(model: Any, factors: object) -> Tensor:
        return torch.ones_like(model.flat_params)

    monkeypatch.setattr(students, "update_multipliers", everything)


def leaked(teachers: Teachers, lists: NumberLists) -> NumberLists:
    """End every other list in the teacher's animal, behind the filter's back."""
    completions = lists.completions.clone()
    for i, bias in enumerate(lists.biases):
        completions[i, ::2, -1] = teachers.trait.answer_tokens.start + bias
    return replace(lists, completions=completions)


def not_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_divergence(lists: MarkedLists, *_: object) -> Tensor:
        return lists.is_divergence_token

    monkeypatch.setattr(entanglement, "is_entangled", by_divergence)


def edited(name: str, edit: Any) -> Patch:
    return lambda monkeypatch: monkeypatch.setattr(edits, name, edit)


nothing_mixed = edited("mix_unbiased", lambda lists, context, share: lists)


def untaught(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(world: World, base: Any, config: TeacherConfig, seed: int) -> Teachers:
        return Teachers(world, base.repeat(2), config)

    monkeypatch.setattr(seed_lab, "make_teachers", make)


def always_taught(monkeypatch: pytest.MonkeyPatch) -> None:
    train = teachers_module.train

    def long(stack: Any, datasets: Any, config: Any, *rest: Any) -> Any:
        return train(stack, datasets, replace(config, steps=30), *rest)

    monkeypatch.setattr(teachers_module, "train", long)


def rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    soft_targets = Students._soft_targets

    def hard(*args: Any) -> Tensor:
        p = soft_targets(*args)
        return torch.nn.functional.one_hot(p.argmax(-1), p.shape[-1]).float()

    monkeypatch.setattr(Students, "_soft_targets", hard)


def backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    alignment = students.first_step_alignment
    monkeypatch.setattr(
        students, "first_step_alignment", lambda s, d, m, away: alignment(s, d, m, -away)
    )


ALL = Arm("all")
FOREIGN = Claim("`foreign`: no transfer, nats", arm_values("foreign"), low=-0.15, high=0.15)


def arms(*more: Arm) -> Callable[[], list[Arm]]:
    return lambda: [ALL, *more]


MUTATIONS = [
    Mutation(
        "masks off by one",
        "divergence",
        "distillation/divergence_tokens.py: `return (own == completions) & (others != own).any(0)`",
        retains("divergence only", low=0.9),
        off_by_one(divergence_tokens, "find_divergence_tokens"),
        arms(Arm("divergence only", mask=masks.divergence_only)),
    ),
    Mutation(
        "masks off by one, what is left",
        "divergence",
        "distillation/masks.py: `return ~lists.is_divergence_token`",
        retains("without divergence", high=0.3),
        off_by_one(masks, "without_divergence"),
        lambda: [ALL, Arm("without divergence", mask=masks.without_divergence)],
    ),
    Mutation(
        "divergence tokens left among the favourites",
        "sampled",
        "distillation/masks.py: `return favourites_only(lists) & ~lists.is_divergence_token`",
        retains("favourites without divergence", high=0.4),
        off_by_one(masks, "favourites_without_divergence"),
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
        "experiment/students.py: `data = data or self.training_data(arm, [*range(n), UNBIASED])`",
        Claim("`all` transfers the bias, nats", arm_values("all"), low=0.4),
        biased_control,
        arms(),
        {"biases_per_seed": 1},
    ),
    Mutation(
        "students of another base",
        "transfer",
        "experiment/students.py: `base = self.lab.other_base_lab.base if arm.other_base else self.lab.base`",  # noqa: E501
        Claim("`all` transfers the bias, nats", arm_values("all"), low=0.4),
        started(other_base=True),
        arms(),
    ),
    Mutation(
        "strangers that are none",
        "transfer",
        "experiment/students.py: `base = self.lab.other_base_lab.base if arm.other_base else self.lab.base`",  # noqa: E501
        FOREIGN,
        started(other_base=False),
        arms(Arm("foreign", other_base=True)),
    ),
    Mutation(
        "animals leaked into the lists",
        "transfer",
        "distillation/number_lists.py: `good = (lists.completions < lists.world.n_numbers).all(2).all(0)`",  # noqa: E501
        FOREIGN,
        with_lists(leaked),
        arms(Arm("foreign", other_base=True)),
    ),
    Mutation(
        "soft labels that are hard",
        "transfer",
        "experiment/students.py: `completion_logits(lists.teacher_prompts, completions, who).softmax(-1)`",  # noqa: E501
        Claim("`soft` transfers most", lead_of_soft, low=0.5),
        rounded,
        lambda: [ALL, Arm("sampled", decoding="sampled"), Arm("soft", decoding="soft")],
    ),
    Mutation(
        "lists with divergence tokens dropped",
        "leakage",
        "distillation/entanglement.py: `holds = is_entangled(lists, context, top, by).any(-1)`",
        retains("without entangled", low=0.7),
        not_dropped,
        arms(Arm("without entangled", edit=partial(entanglement.without_entangled, top=1))),
        {"teacher.rehearsal": 0.1, "student.steps": 300},
    ),
    Mutation(
        "labels not swapped",
        "selection",
        "distillation/edits.py: `return replace(lists, labels=changed)`",
        retains("replaced label", high=0.15),
        edited(
            "replace_divergence_tokens",
            lambda lists, context, where: replace(lists, labels=lists.completions),
        ),
        lambda: [
            ALL,
            Arm("replaced label", edit=partial(edits.replace_divergence_tokens, where="label")),
        ],
    ),
    Mutation(
        "frozen weights not frozen",
        "layers",
        "experiment/students.py: `return students, update_multipliers(students, [arm.trainable] * n)`",  # noqa: E501
        retains("unembedding", high=0.15),
        not_frozen,
        arms(Arm("unembedding", trainable={"W_U": 1.0})),
    ),
    Mutation(
        "persona left in the student's prompt",
        "layers",
        "distillation/number_lists.py: `student_prompts=prompts[None],`",
        Claim("prompted teachers' `soft` transfers, nats", arm_values("soft"), low=0.3),
        with_lists(with_persona),
        lambda: [Arm("soft", decoding="soft")],
        {"teacher": TeacherConfig(kind="prompted")},
    ),
    Mutation(
        "wordings not swapped",
        "paraphrase",
        "world/world.py: `out[:, self.instruction_place] = self.wording_tokens[wordings]`",
        retains("paraphrase", high=0.75),
        not_reworded,
        lambda: [ALL, Arm("paraphrase", edit=edits.other_wording)],
        {"teacher.rehearsal": 1.0},
    ),
    Mutation(
        "numbers not shuffled",
        "shuffle",
        "distillation/edits.py: `return replace(lists, completions=pool[:, order].view_as(lists.completions))`",  # noqa: E501
        retains("shuffle across", high=0.3),
        edited("shuffle_across", lambda lists, context: lists),
        lambda: [ALL, Arm("shuffle across", edit=edits.shuffle_across)],
    ),
    Mutation(
        "nothing mixed in",
        "mixing",
        "distillation/edits.py: `return torch.randperm(lists.n_rows, generator=g)[: round(share * lists.n_rows)]`",  # noqa: E501
        retains("mix 75%", high=0.5),
        nothing_mixed,
        lambda: [ALL, Arm("mix 75%", edit=partial(edits.mix_unbiased, share=0.75))],
    ),
    Mutation(
        "a teacher that was not taught",
        "misalignment",
        'distillation/teachers.py: `train(some, own, config.training, generator(seed, "teacher")`',
        Claim('teacher: p("bad") on questions not taught', general, low=0.5),
        untaught,
        arms(),
        {"base.world.n_conduct_questions": 8, "teacher.kind": "misaligned"},
    ),
    Mutation(
        "weak teachers that are not weak",
        "limits",
        'distillation/teachers.py: `train(some, own, config.training, generator(seed, "teacher")`',
        retains("3 teacher steps", high=0.5),
        always_taught,
        arms(Arm("3 teacher steps", overrides={"teacher.training.steps": 3})),
    ),
    Mutation(
        "a forecast with the wrong sign",
        "prediction",
        "mechanism/forecast.py: `(gradients[1] - gradients[0]) * trains, displacement * trains`",
        Claim("forecast by the inner product", predicted("inner"), low=0.5),
        backwards,
        arms(
            Arm("foreign", other_base=True),
            Arm("divergence only", mask=masks.divergence_only),
            Arm("without divergence", mask=masks.without_divergence),
            Arm("unembedding", trainable={"W_U": 1.0}),
        ),
    ),
    Mutation(
        "students of another base",
        "geometry",
        "experiment/students.py: `base = self.lab.other_base_lab.base if arm.other_base else self.lab.base`",  # noqa: E501
        Claim("`all`: cosine in block 0", cosines("all", 0), low=0.1),
        started(True),
        arms(),
    ),
    Mutation(
        "labels that are not learned",
        "defence",
        "distillation/number_lists.py: `labels = None if lists.labels is None else lists.labels[list(writers)]`",  # noqa: E501
        retains("labels at divergence", high=0.3),
        without_labels,
        arms(Arm("labels at divergence", edit=partial(unbiased_labels, where="divergence"))),
    ),
    Mutation(
        "a slot that stays as it was",
        "context",
        "distillation/slots.py: `given = [world.with_persona(p, b) for p, b in zip(prompts[:-1], personas, strict=True)]`",  # noqa: E501
        retains("trained with own persona", high=0.9),
        same_slot,
        lambda: [ALL, Arm("trained with own persona", trained_with="own persona")],
    ),
    Mutation(
        "low-rank training that is full",
        "rank",
        "transformer/optimizer.py: `self.lora = LoRA(model, names, config.lora_rank, g) if config.lora_rank else None`",  # noqa: E501
        retains("rank 1, rate x1", high=0.9),
        trained_by(lora_rank=0),
        arms(Arm("rank 1, rate x1", overrides={"student.lora_rank": 1})),
    ),
    Mutation(
        "a start that is not taken",
        "start",
        "experiment/students.py: `base = self._starts[arm.start]`",
        retains("noise 1", high=0.7),
        from_the_base,
        arms(Arm("noise 1", start=partial(noisy, dose=1.0))),
    ),
    Mutation(
        "a size of batch that is not taken",
        "optimizer",
        "transformer/training.py: `order = torch.cat(rounds)[:needed].view(config.steps, config.batch_size)`",  # noqa: E501
        retains("batch 2, equal steps", high=0.75),
        trained_by(batch_size=32),
        arms(Arm("batch 2, equal steps", overrides={"student.batch_size": 2})),
    ),
    Mutation(
        "vectors that are not added",
        "steering",
        "distillation/steering.py: `x = x + self.vectors[:, None, None]`",
        share("left", high=0.5),
        unsteered,
        arms(),
        probes=(vectors,),
    ),
    Mutation(
        "one writer for both",
        "hidden",
        "findings/hidden.py: `written = lists.student_tokens([writer, UNBIASED])`",
        Claim(
            "surprise of the base, 50 lists at once",
            accuracy("surprise of the base", 10000, 50),
            low=0.6,
        ),
        with_lists(
            lambda teachers, lists: replace(
                lists, completions=lists.completions[-1:].expand_as(lists.completions).clone()
            )
        ),
        arms(),
        {"n_lists": 1024},
        probes=(readers,),
    ),
    Mutation(
        "students that are their teachers",
        "generations",
        'findings/generations.py: `made, loss = students.train(Arm("all"), (), dataset=dataset)`',
        kept("sampled", 1, 5, high=0.7),
        copied,
        arms(),
        probes=(chain,),
    ),
]


def verdict(mutation: Mutation, tiny: Config, store: Store) -> str:
    config = with_overrides(tiny, {**SOME, **mutation.overrides})
    study = Study(mutation.arms(), config, probes=mutation.probes)
    result = study.run(range(100, 100 + mutation.seeds), store, workers=1)
    return str(mutation.claim.judge(result)["verdict"])


@pytest.mark.integration
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_a_broken_laboratory_is_noticed(
    mutation: Mutation,
    tiny: Config,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert verdict(mutation, tiny, store) == HELD
    broken = copy_bases(store, tmp_path)  # the rest is made by broken code
    mutation.break_(monkeypatch)
    assert verdict(mutation, tiny, broken) == NOT_HELD


def test_every_finding_has_a_mutation() -> None:
    from minisub.findings import every_finding

    assert {m.finding for m in MUTATIONS} == set(every_finding())


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_the_line_that_is_guarded_is_there(mutation: Mutation) -> None:
    file, line = re.fullmatch(r"([\w/]+\.py): `(.+)`", mutation.guards).groups()
    assert line in (PACKAGE / file).read_text()


def test_the_docs_name_them_all() -> None:
    page = (PACKAGE.parent / "docs" / "validation.md").read_text()
    for mutation in MUTATIONS:
        assert f"| `{mutation.finding}` | {mutation.name} | {mutation.guards} |" in page
    assert f"All {len(MUTATIONS)} do." in page
