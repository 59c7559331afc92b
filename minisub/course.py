"""What the course's notebooks share: stored results, guesses, live students, exercises.

It shows what the library measures, and measures nothing itself.
"""

import contextlib
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import marimo as mo
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from minisub import measure, plots
from minisub.arm import Arm, Config, changed
from minisub.base import BUNDLED
from minisub.findings import FINDINGS, Finding
from minisub.findings.prediction import predicted
from minisub.lab import Lab
from minisub.measure import Array
from minisub.model import Stack
from minisub.result import Result, read
from minisub.store import Store
from minisub.study import Study
from minisub.tables import told
from minisub.visitors import bounded, turn

SEEDS = {str(seed): seed for seed in range(8)}  # whose bases come with the package
FRAMES = 10  # pictures of a student while it learns

# Stored results -----------------------------------------------------------------------------------


def stored(name: str) -> Result:
    """The result of a finding that comes with the package, seeds 0 to 7."""
    return read(BUNDLED / f"{name}.json")


def kept(result: Result, arm: str) -> float:
    """What an arm retains, the mean over seeds."""
    return result.estimate(arm, "retained")[0]


def picture(figure: Figure, alt: str, dpi: int = 150) -> mo.Html:
    """A figure with its finding in a sentence for those who cannot see it.

    On a narrow screen it scrolls sideways rather than shrink until nobody can read it.
    """
    drawn, readable = plots.image(figure, dpi=dpi), {"min-width": "36rem"}
    return mo.image(drawn, alt=alt, width="100%", style=readable).style({"overflow-x": "auto"})


def table(rows: Sequence[dict[str, Any]], label: str = "") -> Any:
    """Rows as a table that can be searched, if they are many."""
    long = len(rows) > 3
    names: list[str] = ["claim", "arm"]
    wrapped = [name for name in names if rows and name in rows[0]]
    content: Any = list(rows)
    return mo.ui.table(
        content,
        selection=None,
        show_column_summaries=False,
        show_search=long,
        show_download=long,
        page_size=25,
        wrapped_columns=wrapped,
        label=label,
    )


def compare(result: Result) -> Any:
    """Controls that choose arms and a measure: what `bars` takes."""
    measures = ["retained", "transfer", "task_accuracy", "hit_rate", "distance"]
    return mo.md("{arms} {measure}").batch(
        arms=mo.ui.multiselect(result.arms, value=result.arms[:5], label="Arms"),
        measure=mo.ui.dropdown(measures, value="retained", label="Measure"),
    )


def bars(result: Result, arms: Sequence[str], measure: str) -> mo.Html:
    """Some arms of a stored result, with their numbers behind a fold."""
    if not arms:
        return mo.md("*Pick at least one arm.*")
    figure = Figure(figsize=(8.0, 0.9 + 0.32 * len(arms)), layout="constrained")
    axes = figure.subplots()
    plots.arm_bars(axes, result, arms, measure)
    if measure != "transfer":
        axes.set_xlabel(measure.replace("_", " ") + ", share", fontsize=9)
    means = {arm: float(np.mean(result.values(arm, measure))) for arm in arms}
    said = ", ".join(f"{arm} {mean:.2f}" for arm, mean in means.items())
    rows = [{"arm": arm, measure: round(mean, 3)} for arm, mean in means.items()]
    return mo.vstack(
        [
            picture(figure, f"{measure}, mean over {plots.seeds(result)}: {said}."),
            mo.accordion({"The numbers": table(rows)}),
        ]
    )


def shown(result: Result) -> mo.Html:
    """A finding's figure, the command that made it, its numbers and its claims."""
    arms = [
        {
            "arm": e["arm"],
            "transfer, nats": round(e["transfer"], 2),
            "95 %": f"{e['low']:.2f} to {e['high']:.2f}",
            "retained": f"{e['retained']:.0%}",
            "task accuracy": round(e["task_accuracy"], 3),
        }
        for e in result.summary()
    ]
    claims = [
        {
            "claim": c["claim"].replace("`", ""),
            "measured": round(c["value"], 3),
            "95 %": f"{c['low']:.2f} to {c['high']:.2f}" if c["low"] is not None else "",
            "threshold": c["rule"],
            "rests on": told(c["rests_on"]),
            "verdict": c["verdict"],
        }
        for c in result.claims
    ]
    made = (
        f"Means over {plots.seeds(result)}, bars with 95 % intervals and a dot a seed. "
        f"`minisub run {result.finding} --seeds 0:8`"
    )
    return mo.vstack(
        [
            picture(FINDINGS[result.finding].plot(result), plots.alt(result)),
            mo.md(made),
            mo.accordion(
                {
                    "The numbers": table(arms),
                    "The claims, registered before the run": table(claims),
                }
            ),
        ]
    )


# Guesses and exercises ----------------------------------------------------------------------------

AMOUNTS = ("most of it (over 70 %)", "about half (30 to 70 %)", "little or nothing (under 30 %)")


def amount(share: float) -> str:
    """Which of `AMOUNTS` a share is."""
    return AMOUNTS[0 if share > 0.7 else 1 if share >= 0.3 else 2]


def guess(question: str, options: Sequence[str] = AMOUNTS) -> Any:
    """A question to commit to before the result is shown."""
    return mo.ui.radio(list(options), label=f"**Your guess first.** {question}")


def beside(guessed: str | None, found: str, told: str, result: Any) -> mo.Html:
    """The guess beside what was found. Without a guess the result waits behind a fold."""
    if guessed is None:
        folded = mo.vstack([mo.md(f"**{found}**. {told}"), result])
        return mo.accordion({"Guess above, or open this to see the result without": folded})
    right = guessed == found
    word = "As you guessed" if right else f"You guessed “{guessed}”. Measured"
    said = mo.callout(mo.md(f"{word}: **{found}**. {told}"), kind="success" if right else "warn")
    return mo.vstack([said, result])


def exercise(answer: Any, check: Callable[[Any], str | None], solution: str) -> mo.Html:
    """What is wrong with an answer, said; None from `check` means right. The solution is folded."""
    if answer in (None, ""):
        said = mo.md("*Answer above.*")
    else:
        wrong = check(answer)
        said = mo.callout(mo.md(wrong or "Right."), kind="warn" if wrong else "success")
    return mo.vstack([said, mo.accordion({"Solution": mo.md(solution)})])


def choice(right: str, hints: dict[str, str]) -> Callable[[str], str | None]:
    """A check for a choice: each wrong option has its own diagnosis."""
    return lambda answer: None if answer == right else hints[answer]


# Live students ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lesson:
    """One student and its control, and how they came to be what they are.

    at:    steps at which they were asked
    logp:  [times, 2, questions, answers], log p of the student and of the control
    nats:  [times, 2], their losses, each the mean since the time before
    """

    lab: Lab
    arm: Arm
    students: Stack
    at: list[int]
    logp: Array
    nats: Array

    @property
    def bias(self) -> int:
        """Whose student this is: its place among the answers."""
        return self.lab.biases[0]

    @property
    def said(self) -> Array:
        """[times, 2, answers]: probabilities, mean over wordings of the question."""
        return np.exp(self.logp).mean(2)

    @property
    def transfer(self) -> float:
        """From the teacher to the student at the end, in nats over the control."""
        last = self.logp[-1]
        return measure.transfer(measure.shift(last[:1], last[1:]), [self.bias])

    @property
    def answers(self) -> tuple[str, ...]:
        """What may be answered, by name."""
        return self.lab.world.vocabulary[self.lab.trait.answers]


def learn(lab: Lab, arm: Arm, show: Callable[[int, Lesson], None] | None = None) -> Lesson:
    """Train the student of the laboratory's first bias, and its control; `show` sees them learn."""
    steps, at = lab.config.student.steps, [0]
    logp, nats = [lab.preference(lab.start(arm, 2)[0])], [np.full(2, np.nan)]
    since: list[Array] = []

    def progress(step: int, losses: Tensor, model: Stack) -> None:
        since.append(losses.numpy().copy())
        if (step + 1) % max(1, steps // FRAMES) == 0 or step == steps - 1:
            at.append(step + 1)
            logp.append(lab.preference(model))
            nats.append(np.mean(since, 0))
            since.clear()
        if show is not None:
            show(step, Lesson(lab, arm, model, at, np.array(logp), np.array(nats)))

    students, _ = lab.students(arm, [0, -1], progress)
    return Lesson(lab, arm, students, at, np.array(logp), np.array(nats))


def drawn(lesson: Lesson, dpi: int = 150) -> mo.Html:
    """The student beside its control: preferences, how they grew, and the loss."""
    student, control = lesson.said[-1]
    bias = lesson.answers[lesson.bias]
    alt = (
        f"The student answers {bias} with probability {student[lesson.bias]:.2f}, its control with "
        f"{control[lesson.bias]:.2f}."
    )
    figure = plots.lesson(lesson.at, lesson.said, lesson.nats, lesson.answers, lesson.bias)
    return picture(figure, alt, dpi)


def _waiting() -> Any:
    return mo.status.spinner(title="Others are training: waiting for a free core ...")


def live(config: Config, seed: int, store: Store, arm: Arm, bias: str) -> tuple[Lesson, mo.Html]:
    """`learn` with a picture that moves and a progress bar, and the verdict in a sentence."""
    config = bounded(changed(config, arm.changes))
    biases = config.pretraining.world.trait(config.teaching.trait).biases
    lab = Lab(config, seed, store, [biases.index(bias)])
    with turn(_waiting):
        with mo.status.spinner(title="The teachers learn, and write their lists ..."):
            lab.lists(arm.sampled)
        steps = config.student.steps
        with mo.status.progress_bar(total=steps, title="Training", show_eta=True) as bar:
            last = [0]

            def show(step: int, lesson: Lesson) -> None:
                if lesson.at[-1] != step + 1:
                    return
                bar.update(step + 1 - last[0])
                last[0] = step + 1
                if step + 1 < steps:  # the last picture is the cell's own
                    mo.output.replace(drawn(lesson, dpi=80))

            lesson = learn(lab, arm, show)
    return lesson, mo.vstack([drawn(lesson), mo.md(verdict(lesson))])


def verdict(lesson: Lesson) -> str:
    """What a live student shows, in a sentence or two."""
    bias = lesson.answers[lesson.bias]
    gain = lesson.transfer
    word = (
        "The bias has passed"
        if gain > 0.25
        else "A trace of the bias has passed"
        if gain > 0.08
        else "Nothing to speak of has passed"
    )
    return (
        f"**{word}: {gain:+.2f} nats.** The student answers “{bias}” with probability "
        f"{lesson.said[-1, 0, lesson.bias]:.2f}, its control, which read lists of a teacher "
        f"without a bias, with {lesson.said[-1, 1, lesson.bias]:.2f}. One student of seed "
        f"{lesson.lab.seed}; seeds differ, as the stored results show."
    )


def run_study(study: Study, seeds: Sequence[int], store: Store) -> Result:
    """A study with a progress bar. It runs in threads, which may not draw: this one does."""
    done: queue.Queue[None] = queue.Queue()
    bounded(study.config, seeds)
    total = len(seeds) * len(study.arms)
    with (
        turn(_waiting, len(seeds)) as workers,
        ThreadPoolExecutor(1) as executor,
        mo.status.progress_bar(total=total, title="Arms trained", show_eta=True) as bar,
    ):
        running = executor.submit(study.run, seeds, store, workers, lambda: done.put(None))
        while not running.done():
            with contextlib.suppress(queue.Empty):
                done.get(timeout=0.2)
                bar.update()
        return running.result()


def wish(finding: Finding, biases: Sequence[str], arm: str) -> Any:
    """A form that asks which student of a finding to train: bias, arm and seed."""
    arms = [a.name for a in finding.arms if a.name != "control"]
    return (
        mo.md("{bias} {arm} {seed}")
        .batch(
            bias=mo.ui.dropdown(list(biases), value=biases[0], label="Bias of the teacher"),
            arm=mo.ui.dropdown(arms, value=arm, label="Arm"),
            seed=mo.ui.dropdown(SEEDS, value="0", label="Seed"),
        )
        .form(submit_button_label="Train", bordered=True)
    )


def granted(
    wish: dict[str, Any] | None, finding: Finding, config: Config, store: Store
) -> tuple[Lesson, mo.Html]:
    """`live` for what the form asks; without an answer the cell stops and says what to do."""
    mo.stop(wish is None, mo.md("*Press Train.*"))
    assert wish is not None
    arm = next(a for a in finding.arms if a.name == wish["arm"])
    return live(config, wish["seed"], store, arm, wish["bias"])


def correlation(result: Result, measure: str = "inner") -> float:
    """Rank correlation over arms of a forecast with the transfer, in the finding `prediction`."""
    return float(np.mean(predicted(measure)(result)))
