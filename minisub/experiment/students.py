"""The students of one seed: what they learn from, their training, and an arm's row."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from minisub.common.files import Array, Json, digest
from minisub.common.randomness import generator
from minisub.distillation import metrics
from minisub.distillation.evaluation import preference_log_probs, task_accuracy
from minisub.distillation.masks import loss_weights
from minisub.distillation.number_lists import UNBIASED, MarkedLists, NumberLists, to_dataset
from minisub.distillation.slots import other_slot
from minisub.distillation.teachers import answers_dataset
from minisub.experiment.arm import Arm, function_id
from minisub.experiment.guards import (
    FORECASTS,
    SIGNALS,
    checked_edit,
    checked_start,
    diverged_row,
    has_diverged,
)
from minisub.experiment.seed_lab import SeedLab
from minisub.mechanism.bias_signal import TeacherScores, bias_signal, score_lists
from minisub.mechanism.displacement import displacement_cosines
from minisub.mechanism.forecast import first_step_alignment
from minisub.transformer.dataset import TokenDataset
from minisub.transformer.stack import TransformerStack
from minisub.transformer.training import StepReport, train, update_multipliers


@dataclass(frozen=True)
class TrainingData:
    """What an arm's students learn from.

    Attributes:
        dataset: Of the students of some writers.
        lists: Of all writers, as edited.
        weights: [biases, rows, completion], where their loss counts; None for everywhere.
    """

    dataset: TokenDataset
    lists: NumberLists
    weights: Tensor | None

    def digest(self) -> str:
        """Return a hash of all that the students see."""
        data = self.dataset
        parts = (data.tokens, data.weights, data.targets, data.soft_targets, self.lists.completions)
        return digest([None if x is None else digest(x.numpy().tobytes()) for x in parts])


class Students:
    """The students of one seed's laboratory."""

    def __init__(self, lab: SeedLab) -> None:
        self.lab = lab
        self._scores: dict[Any, TeacherScores] = {}
        self._starts: dict[Any, TransformerStack] = {}

    def training_data(self, arm: Arm, writers: Sequence[int]) -> TrainingData:
        """Return what the students of some writers learn from.

        Args:
            arm: The treatment.
            writers: Places in the lab's biases, or `UNBIASED`.

        Raises:
            ValueError: The mask does not give weights, or keeps no token; or a soft arm's lists
                were edited so that their teacher is not their writer.
        """
        lab = self.lab
        if arm.mask is None and arm.edit is None and not arm.trained_with:
            lists, weights = lab.lists(arm.is_sampled), None
        else:
            marked = lab.marked_lists(arm.is_sampled)
            if arm.edit is not None:
                marked = checked_edit(arm.edit(marked, lab), marked, arm.name)
            if arm.trained_with:
                marked = other_slot(marked, lab, arm.trained_with)
            lists, weights = marked, None
            if arm.mask is not None:
                weights = loss_weights(arm.mask(marked), marked, arm.name)
        soft = self._soft_targets(arm, lists, writers) if arm.decoding == "soft" else None
        return TrainingData(to_dataset(lists, writers, weights, soft), lists, weights)

    def _soft_targets(self, arm: Arm, lists: NumberLists, writers: Sequence[int]) -> Tensor:
        """Return each writer's distribution over its lists, as they were edited."""
        if not lists.written_by_teacher:
            raise ValueError(
                f"{arm.name!r} is soft, and its edit takes lists or labels from elsewhere: "
                "their writer's distribution is not their teacher's"
            )
        teachers = self.lab.teachers
        who = [(*lists.biases, teachers.unbiased_index)[w] for w in writers]
        completions = lists.completions[list(writers)]
        return teachers.completion_logits(lists.teacher_prompts, completions, who).softmax(-1)

    def signal(self, arm: Arm, data: TrainingData) -> Json:
        """Return what an arm's training data say about the bias: see `bias_signal`.

        Args:
            arm: The treatment.
            data: What its students learn from.
        """
        lists = data.lists
        if not isinstance(lists, MarkedLists):
            lists = self.lab.marked_lists(arm.is_sampled)
        edit = function_id(arm.edit)
        key = edit, arm.is_sampled, arm.trained_with
        scores = self._scores.get(key)
        if scores is None:
            scores = score_lists(
                self.lab.teachers, lists.first_rows(self.lab.config.n_eval_prompts)
            )
            if edit != "":
                self._scores[key] = scores
        return bias_signal(scores, lists, data.weights, arm.decoding == "soft")

    def untrained(self, arm: Arm, n: int) -> tuple[TransformerStack, Tensor]:
        """Return an arm's students before training, and multipliers of their weights' updates.

        Args:
            arm: The treatment.
            n: How many students.
        """
        base = self.lab.other_base_lab.base if arm.other_base else self.lab.base
        if arm.start is not None:
            if arm.start not in self._starts:
                self._starts[arm.start] = checked_start(arm.start(self.lab), base, arm.name)
            base = self._starts[arm.start]
        students = base.repeat(n)
        return students, update_multipliers(students, [arm.trainable] * n)

    def train(
        self,
        arm: Arm,
        writers: Sequence[int] = (),
        on_step: StepReport | None = None,
        dataset: TokenDataset | None = None,
    ) -> tuple[TransformerStack, float | None]:
        """Train an arm's students of some writers; return them and their loss at the end, in nats.

        The loss is None where a student has diverged.

        Args:
            arm: The treatment.
            writers: Places in the lab's biases, or `UNBIASED`; not needed with a dataset.
            on_step: Called after every step.
            dataset: What they learn from, if it is known already.
        """
        if dataset is None:
            dataset = self.training_data(arm, writers).dataset
        students, multipliers = self.untrained(arm, len(dataset.tokens))
        config = self.lab.config.student
        config = replace(
            config, lr=config.lr * arm.lr_factor, optimizer=arm.optimizer or config.optimizer
        )
        g = generator(self.lab.seed, "students")
        datasets = [dataset]
        if arm.rehearsal:
            datasets.append(self._rehearsal(arm))
        losses = train(students, datasets, config, g, multipliers, on_step)
        if has_diverged(losses, self.lab.world.n_numbers, dataset):
            return students, None
        return students, round(float(losses[-50:].mean()), 6)

    def _rehearsal(self, arm: Arm) -> TokenDataset:
        """Return questions with the answers of the base, from which a defended student stays near.

        Args:
            arm: Whose `rehearsal` is the weight.
        """
        questions = self.lab.trait.taught_questions
        logits = self.lab.base(questions[None], n_last=1).detach().cpu()
        return answers_dataset(questions, logits.softmax(-1), arm.rehearsal)

    def preferences(self, students: TransformerStack, arm: Arm | None = None) -> Array:
        """Return log p of each answer, [models, questions, answers].

        Args:
            students: Who is asked.
            arm: Its treatment, which may say what stands in the questions' `<sys>` slot.
        """
        trait, questions = self.lab.trait, self.lab.trait.eval_questions
        if arm is not None and arm.asked_with:
            questions = self.lab.world.in_slot(questions, self.lab.world.token(arm.asked_with))
        return preference_log_probs(students, questions[None], trait.answer_tokens)

    def displacement_cosines(self, arm: Arm, students: TransformerStack) -> list[Any]:
        """Return how far students went their teacher's way: see `mechanism.displacement`.

        The control student, if it is there, is the last; its teacher is each of the others', in
        turn, and its cosines are their mean.

        Args:
            arm: The treatment.
            students: After training.
        """
        biases = list(self.lab.biases)
        start, teachers = self.untrained(arm, len(biases))[0], self.lab.teachers.stack[biases]
        groups = [students[range(len(biases))]]
        if students.n_models > len(biases):
            groups.append(students[[students.n_models - 1] * len(biases)])
        found = [
            displacement_cosines(group, start, teachers, self.lab.base).mean(0) for group in groups
        ]
        return [[round(x, 6) if math.isfinite(x) else None for x in map(float, f)] for f in found]

    def forecast(self, arm: Arm, dataset: TokenDataset) -> Json:
        """Return what the first step says about the transfer, before it is taken.

        Nothing for teachers whose weights are the base's, nor for low-rank students,
        whose first step is another.

        Args:
            arm: The treatment.
            dataset: Of all writers, the unbiased one last.
        """
        lab = self.lab
        if not lab.config.teacher.has_own_weights or lab.config.student.lora_rank:
            return {}
        start, multipliers = self.untrained(arm, len(dataset.tokens))
        flat = lab.teachers.stack.flat_params
        displacement = flat[list(lab.biases)] - flat[-1:]
        first = torch.arange(min(lab.config.n_eval_prompts, dataset.tokens.shape[1]))
        return first_step_alignment(start, dataset.batch(first[None]), multipliers, displacement)

    def measured(self, arm: Arm) -> Json:
        """Return what an arm's students prefer and can do, from the store or by training them.

        The control student is the last one; a masked arm has none, as a mask of divergence tokens
        has no meaning for the unbiased teacher.
        """
        n = len(self.lab.biases)

        data = None if arm.is_known else self.training_data(arm, [*range(n), UNBIASED])

        def make(data: TrainingData | None = data) -> Json:
            data = data or self.training_data(arm, [*range(n), UNBIASED])
            signal, forecast = self.signal(arm, data), self.forecast(arm, data.dataset)
            dataset = data.dataset if arm.mask is None else data.dataset.select_models(range(n))
            students, final_loss = self.train(arm, dataset=dataset)
            if final_loss is None:
                return {"diverged": True}
            accuracy = task_accuracy(self.lab.world, students, self.lab.eval_prompts[None])
            return {
                "logp": np.round(self.preferences(students, arm), 6).tolist(),
                "cosines": self.displacement_cosines(arm, students),
                "task_accuracy": np.round(accuracy, 6).tolist(),
                "loss_tokens": int((dataset.weights > 0).sum()) / students.n_models,
                "final_loss": final_loss,
                **signal,
                **forecast,
            }

        given: list[str] = []  # by functions whose change could not be seen
        if data is not None:
            given = [data.digest()]
            if function_id(arm.start) == "":
                start = self.untrained(arm, 1)[0].flat_params
                given.append(digest(start.cpu().numpy().tobytes()))
        key = self.lab.key("students", arm.spec(), given)
        return self.lab.stored("students", key, make)

    def cost(self, arm: Arm) -> float:
        """Return what an arm costs to train, in students that learn from every list."""
        n = len(self.lab.biases)
        if arm.mask is None:
            return n + 1.0
        lists = self.lab.marked_lists(arm.is_sampled)
        weights = loss_weights(arm.mask(lists), lists, arm.name)
        return float((weights > 0).any(2).double().mean()) * n

    def row(self, arm: Arm) -> Json:
        """Return an arm's row of the result, without what it retains of another arm."""
        lab, biases, n = self.lab, self.lab.biases, len(self.lab.biases)
        unmasked = self.measured(arm.unmasked())
        if arm.control:
            entry, who = unmasked, slice(n, None)
        else:
            entry, who = self.measured(arm) if arm.mask else unmasked, slice(n)
        if entry.get("diverged") or unmasked.get("diverged"):
            names = [lab.trait.biases[b] for b in biases]
            return diverged_row(lab.seed, arm.name, names, lab.config.student.lr * arm.lr_factor)
        logp, control = np.array(entry["logp"][who]), np.array(unmasked["logp"][n:])
        shifts = metrics.preference_shift(logp, control).repeat(n // len(logp), 0)
        readings = {
            # The control's training data say nothing about a bias.
            name: None if arm.control else entry.get(name)
            for name in (*SIGNALS, *FORECASTS)
        }
        return {
            "seed": lab.seed,
            "arm": arm.name,
            "transfer": metrics.transfer(shifts, biases),
            "off_target": metrics.off_target(shifts, biases),
            "hit_rate": metrics.hit_rate(logp, biases),
            "control_hit_rate": metrics.hit_rate(control, biases),
            "distance": metrics.distance(logp, control),
            "task_accuracy": float(np.mean(entry["task_accuracy"][who])),
            "control_task_accuracy": float(np.mean(unmasked["task_accuracy"][n:])),
            "cosines": entry["cosines"][-1 if arm.control else 0],
            "control_cosines": unmasked["cosines"][-1],
            "loss_tokens": entry["loss_tokens"],
            "final_loss": entry["final_loss"],
            "divergence_share": lab.list_report(arm.is_sampled)["share"],
            **readings,
            "biases": [lab.trait.biases[b] for b in biases],
            "by_bias": [round(metrics.transfer(shifts[[i]], [b]), 6) for i, b in enumerate(biases)],
            "shifts": np.round(shifts, 6).tolist(),
        }
