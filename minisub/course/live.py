"""Students that are trained on a page, and studies that are run there."""

import contextlib
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import marimo as mo
import numpy as np
from torch import Tensor

from minisub.common.files import Array
from minisub.common.store import Store
from minisub.course.limits import check_limits, hold_turns
from minisub.course.show import show_figure
from minisub.distillation import metrics
from minisub.distillation.number_lists import UNBIASED
from minisub.experiment.arm import Arm
from minisub.experiment.config import Config, with_overrides
from minisub.experiment.seed_lab import SeedLab
from minisub.experiment.students import Students
from minisub.experiment.study import Study
from minisub.findings import Finding
from minisub.results.result import Result
from minisub.transformer.stack import TransformerStack
from minisub.viz import charts
from minisub.world.traits import get_trait

SEEDS = {str(seed): seed for seed in range(8)}  # whose bases come with the package
N_FRAMES = 10  # pictures of a student while it trains


@dataclass(frozen=True)
class TrainingRun:
    """One student and its control, and how they came to be what they are.

    Attributes:
        lab: Of its seed.
        arm: Its treatment.
        students: The student and the control, as they are now.
        steps: At which they were asked.
        logp: [times, 2, questions, answers], log p of the student and of the control.
        nats: [times, 2], their losses, each the mean since the time before.
    """

    lab: SeedLab
    arm: Arm
    students: TransformerStack
    steps: list[int]
    logp: Array
    nats: Array

    @property
    def bias(self) -> int:
        """The bias of the student's teacher: its place among the answers."""
        return self.lab.biases[0]

    @property
    def probs(self) -> Array:
        """Probabilities [times, 2, answers], mean over questions."""
        return np.exp(self.logp).mean(2)

    @property
    def transfer(self) -> float:
        """From the teacher to the student at the end, in nats over the control."""
        last = self.logp[-1]
        return metrics.transfer(metrics.preference_shift(last[:1], last[1:]), [self.bias])

    @property
    def answers(self) -> tuple[str, ...]:
        """What may be answered, by name."""
        return self.lab.world.vocabulary[self.lab.trait.answer_tokens]


def train_student(
    lab: SeedLab, arm: Arm, show: Callable[[int, TrainingRun], None] | None = None
) -> TrainingRun:
    """Train the student of the laboratory's first bias, and its control.

    Args:
        lab: Of the seed.
        arm: The treatment.
        show: Called after every step.
    """
    students = Students(lab)
    n_steps, steps = lab.config.student.steps, [0]
    logp, nats = [students.preferences(students.untrained(arm, 2)[0])], [np.full(2, np.nan)]
    recent: list[Array] = []

    def on_step(step: int, losses: Tensor, model: TransformerStack) -> None:
        recent.append(losses.numpy().copy())
        if (step + 1) % max(1, n_steps // N_FRAMES) == 0 or step == n_steps - 1:
            steps.append(step + 1)
            logp.append(students.preferences(model))
            nats.append(np.mean(recent, 0))
            recent.clear()
        if show is not None:
            show(step, TrainingRun(lab, arm, model, steps, np.array(logp), np.array(nats)))

    trained, _ = students.train(arm, [0, UNBIASED], on_step)
    return TrainingRun(lab, arm, trained, steps, np.array(logp), np.array(nats))


def plot_run(run: TrainingRun, dpi: int = 150) -> mo.Html:
    """Return a picture of the student beside its control: preferences, their growth, the loss.

    Args:
        run: What is drawn.
        dpi: Dots per inch.
    """
    student, control = run.probs[-1]
    name = run.answers[run.bias]
    alt = (
        f"The student answers {name} with probability {student[run.bias]:.2f}, its control with "
        f"{control[run.bias]:.2f}."
    )
    figure = charts.student_and_control(run.steps, run.probs, run.nats, run.answers, run.bias)
    return show_figure(figure, alt, dpi)


def _waiting() -> Any:
    return mo.status.spinner(title="Others are training: waiting for a free core ...")


def train_live(
    config: Config, seed: int, store: Store, arm: Arm, bias: str
) -> tuple[TrainingRun, mo.Html]:
    """Train a student with a picture that moves and a progress bar; return it and its verdict.

    Args:
        config: World, teachers and students.
        seed: The seed.
        store: Where teachers and lists are kept.
        arm: The treatment.
        bias: The teacher's, by name.
    """
    config = check_limits(with_overrides(config, arm.overrides))
    biases = get_trait(config.base.world, config.teacher.trait_name).biases
    lab = SeedLab(config, seed, store, [biases.index(bias)])
    with hold_turns(_waiting):
        with mo.status.spinner(title="The teachers learn, and write their lists ..."):
            lab.lists(arm.is_sampled)
        n_steps = config.student.steps
        with mo.status.progress_bar(total=n_steps, title="Training", show_eta=True) as bar:
            last = [0]

            def show(step: int, run: TrainingRun) -> None:
                if run.steps[-1] != step + 1:
                    return
                bar.update(step + 1 - last[0])
                last[0] = step + 1
                if step + 1 < n_steps:  # the last picture is the cell's own
                    mo.output.replace(plot_run(run, dpi=80))

            run = train_student(lab, arm, show)
    return run, mo.vstack([plot_run(run), mo.md(verdict(run))])


def verdict(run: TrainingRun) -> str:
    """Return what a live student shows, in a sentence or two."""
    name, gain = run.answers[run.bias], run.transfer
    summary = (
        "The bias has passed"
        if gain > 0.25
        else "A trace of the bias has passed"
        if gain > 0.08
        else "Nothing to speak of has passed"
    )
    return (
        f"**{summary}: {gain:+.2f} nats.** The student answers “{name}” with probability "
        f"{run.probs[-1, 0, run.bias]:.2f}, its control, which read lists of a teacher "
        f"without a bias, with {run.probs[-1, 1, run.bias]:.2f}. One student of seed "
        f"{run.lab.seed}; seeds differ, as the stored results show."
    )


def run_study(study: Study, seeds: Sequence[int], store: Store) -> Result:
    """Run a study with a progress bar.

    It runs in threads, which may not draw: this one does.

    Args:
        study: What is run.
        seeds: On which seeds.
        store: Where results are kept.
    """
    done: queue.Queue[None] = queue.Queue()
    check_limits(study.config, seeds)
    total = len(seeds) * len(study.arms)
    with (
        hold_turns(_waiting, len(seeds)) as workers,
        ThreadPoolExecutor(1) as executor,
        mo.status.progress_bar(total=total, title="Arms trained", show_eta=True) as bar,
    ):
        running = executor.submit(
            study.run, seeds, store, workers, on_progress=lambda: done.put(None)
        )
        while not running.done():
            with contextlib.suppress(queue.Empty):
                done.get(timeout=0.2)
                bar.update()
        return running.result()


def training_form(finding: Finding, biases: Sequence[str], arm: str) -> Any:
    """Return a form that asks which student of a finding to train: bias, arm and seed.

    Args:
        finding: Whose arms are offered.
        biases: Names of the biases.
        arm: The arm that is chosen at first.
    """
    arms = [a.name for a in finding.arms if not a.control]
    return (
        mo.md("{bias} {arm} {seed}")
        .batch(
            bias=mo.ui.dropdown(list(biases), value=biases[0], label="Bias of the teacher"),
            arm=mo.ui.dropdown(arms, value=arm, label="Arm"),
            seed=mo.ui.dropdown(SEEDS, value="0", label="Seed"),
        )
        .form(submit_button_label="Train", bordered=True)
    )


def train_from_form(
    form: dict[str, Any] | None, finding: Finding, config: Config, store: Store
) -> tuple[TrainingRun, mo.Html]:
    """Train what a form asks for; without an answer the cell stops and says what to do.

    Args:
        form: The answers of `training_form`, or None.
        finding: Whose arms were offered.
        config: World, teachers and students.
        store: Where teachers and lists are kept.
    """
    mo.stop(form is None, mo.md("*Press Train.*"))
    assert form is not None
    arm = next(a for a in finding.arms if a.name == form["arm"])
    return train_live(config, form["seed"], store, arm, form["bias"])
