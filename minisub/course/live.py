"""Students that are trained on a page, and studies that are run there."""

import contextlib
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import marimo as mo
import numpy as np
from torch import Tensor

from minisub.common.files import Array
from minisub.common.store import Store
from minisub.course.course_store import CourseStore
from minisub.course.limits import QueueFull, check_limits, hold_turns
from minisub.course.recording import Recording, load_example
from minisub.course.show import show_figure
from minisub.distillation import metrics
from minisub.distillation.number_lists import UNBIASED
from minisub.experiment.arm import Arm
from minisub.experiment.config import Config, with_overrides
from minisub.experiment.seed_lab import SeedLab
from minisub.experiment.students import Students
from minisub.experiment.study import Study
from minisub.findings import Finding
from minisub.mechanism.displacement import displacement_cosines
from minisub.results.result import Result
from minisub.transformer.kernel import IN_BROWSER
from minisub.transformer.stack import TransformerStack
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
        recording: What they answered, where they moved, and what they lost, so far.
    """

    lab: SeedLab
    arm: Arm
    students: TransformerStack
    recording: Recording


def train_student(
    lab: SeedLab, arm: Arm, show: Callable[[TrainingRun], None] | None = None
) -> TrainingRun:
    """Train the student of the laboratory's first bias, and its control.

    Args:
        lab: Of the seed.
        arm: The treatment.
        show: Called whenever the two were asked.
    """
    students, n_steps, bias = Students(lab), lab.config.student.steps, lab.biases[0]
    teacher = lab.teachers.stack[[bias]]
    start = students.untrained(arm, 2)[0]
    steps, logp, losses = [0], [students.preferences(start, arm)], [np.full(2, np.nan)]
    cosines = [np.full((2, start.config.n_layers), np.nan)]
    recent: list[Array] = []

    def run(model: TransformerStack) -> TrainingRun:
        shift = metrics.preference_shift(logp[-1][:1], logp[-1][1:])
        recording = Recording(
            arm=arm.name,
            seed=lab.seed,
            answers=tuple(lab.world.vocabulary[lab.trait.answer_tokens]),
            bias=bias,
            steps=list(steps),
            probs=np.exp(logp).mean(2),
            losses=np.array(losses),
            cosines=np.array(cosines),
            transfer=metrics.transfer(shift, [bias]),
        )
        return TrainingRun(lab, arm, model, recording)

    def on_step(step: int, loss: Tensor, model: TransformerStack) -> None:
        recent.append(loss.numpy().copy())
        if (step + 1) % max(1, n_steps // N_FRAMES) == 0 or step == n_steps - 1:
            steps.append(step + 1)
            logp.append(students.preferences(model, arm))
            losses.append(np.mean(recent, 0))
            cosines.append(displacement_cosines(model, start, teacher, lab.base))
            recent.clear()
            if show is not None:
                show(run(model))

    return run(students.train(arm, [0, UNBIASED], on_step)[0])


def show_recording(recording: Recording, moment: int = -1, dpi: int = 150) -> mo.Html:
    """Return a picture of a student beside its control: answers, their growth, ways, losses.

    Args:
        recording: What is drawn.
        moment: At which of its steps.
        dpi: Dots per inch.
    """
    return show_figure(recording.plot(moment), recording.describe(moment), dpi)


class Queue:
    """What a visitor sees while others train: how many are before it."""

    def __init__(self) -> None:
        self._shown: Any = None

    def __call__(self, place: int) -> None:
        """Say which place in the queue a visitor has; 0 takes the words away."""
        if place == 0:
            if self._shown is not None:
                self._shown.__exit__(None, None, None)
            return
        told = f"Others are training: you have place {place} in the queue ..."
        if self._shown is None:
            self._shown = mo.status.spinner(title=told)
            self._shown.__enter__()
        else:
            self._shown.spinner.update(title=told)


@contextlib.contextmanager
def wait_for_turn(most: int = 1) -> Iterator[int]:
    """Wait in the queue, with words on the page, then hold turns; give how many are held.

    Where too many wait already, the cell stops and shows a line that says so.

    Args:
        most: How many to take of those that are free.
    """
    with contextlib.ExitStack() as stack:
        try:
            held = stack.enter_context(hold_turns(Queue(), most))
        except QueueFull as error:  # marimo would hide an error's text from visitors
            mo.stop(True, mo.callout(mo.md(str(error)), kind="warn"))
            raise
        yield held


def check_offered(name: str, value: object, offered: Sequence[object]) -> None:
    """Raise a ValueError for a value that a form does not offer.

    A browser may send an empty choice, which marimo turns into None.

    Args:
        name: What is chosen.
        value: The answer.
        offered: The answers that there are.
    """
    if value not in offered:
        raise ValueError(f"{name} is {value!r}, allowed here: {', '.join(map(str, offered))}")


def train_live(
    config: Config, seed: int, store: Store, arm: Arm, bias: str, marks_lists: bool = False
) -> TrainingRun:
    """Train a student with a picture that moves and a progress bar.

    Args:
        config: World, teachers and students.
        seed: The seed, one of `SEEDS`.
        store: Where teachers and lists are kept.
        arm: The treatment.
        bias: The teacher's, by name.
        marks_lists: Mark the divergence tokens of the lists as well, while the turn is held.

    Raises:
        ValueError: The seed or the bias is not offered, or it would cost too much.
    """
    config = check_limits(with_overrides(config, arm.overrides))
    biases = get_trait(config.base.world, config.teacher.trait_name).biases
    check_offered("seed", seed, list(SEEDS.values()))
    check_offered("bias", bias, biases)
    lab = SeedLab(config, seed, CourseStore(store.folder), [biases.index(bias)])
    with wait_for_turn():
        with mo.status.spinner(title="The teachers learn, and write their lists ..."):
            lab.lists(arm.is_sampled)
        n_steps = config.student.steps
        with mo.status.progress_bar(total=n_steps, title="Training", show_eta=True) as bar:

            def show(run: TrainingRun) -> None:
                first, last = run.recording.steps[-2:]
                bar.update(last - first)
                if last < n_steps:  # the last picture is the cell's own
                    mo.output.replace(show_recording(run.recording, dpi=80))

            trained = train_student(lab, arm, show)
        if marks_lists:
            with mo.status.spinner(title="All teachers read the lists ..."):
                lab.marked_lists(arm.is_sampled)
        return trained


def show_end(recording: Recording) -> mo.Html:
    """Return the picture of a student at the end of its training, with its verdict."""
    return mo.vstack([show_recording(recording), mo.md(recording.verdict())])


def show_example(page: str) -> mo.Html:
    """Return the stored example of a page, as `train_live` would show it.

    Args:
        page: Its number, such as "03".
    """
    recording, _ = load_example(page)
    told = (
        f"*An example, trained before: `{recording.arm}`, a teacher whose bias is "
        f"“{recording.name}”, seed {recording.seed}. Press Train to train a student yourself.*"
    )
    return mo.vstack([mo.md(told), show_end(recording)])


def run_study(study: Study, seeds: Sequence[int], store: Store) -> Result:
    """Run a study with a progress bar.

    It runs in threads, which may not draw: this one does.

    Args:
        study: What is run.
        seeds: On which seeds.
        store: Where results are kept.
    """
    check_limits(study.config, seeds)
    store = CourseStore(store.folder)
    total = len(seeds) * len(study.arms)
    if IN_BROWSER:  # where there are no threads
        with mo.status.progress_bar(total=total, title="Arms trained", show_eta=True) as bar:
            return study.run(seeds, store, 1, on_progress=bar.update)
    done: queue.Queue[None] = queue.Queue()
    with (
        wait_for_turn(len(seeds)) as workers,
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
    form: dict[str, Any] | None, finding: Finding, config: Config, store: Store, page: str
) -> TrainingRun:
    """Train what a form asks for; without an answer the cell stops and shows the page's example.

    Args:
        form: The answers of `training_form`, or None.
        finding: Whose arms were offered.
        config: World, teachers and students.
        store: Where teachers and lists are kept.
        page: Its number, such as "03".
    """
    mo.stop(form is None, show_example(page))
    assert form is not None
    check_offered("arm", form["arm"], [a.name for a in finding.arms])
    arm = next(a for a in finding.arms if a.name == form["arm"])
    return train_live(config, form["seed"], store, arm, form["bias"])
