"""What a finding is: arms, claims registered before the run, and a plot."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from matplotlib.figure import Figure

from minisub import plots
from minisub.arm import QUICKER, Arm, Config
from minisub.pool import Tick
from minisub.result import Claim, Result, Values, of
from minisub.store import Store
from minisub.study import Probe, Study, run_all


@dataclass(frozen=True)
class Finding:
    """A question with its arms, its claims registered before the run, and its plot."""

    name: str
    statement: str  # in one line, as `minisub list` prints it
    paper: str  # what the paper reports
    arms: Sequence[Arm]
    claims: Sequence[Claim]
    plot: Callable[[Result], Figure] = plots.arms
    config: Config = field(default_factory=Config)
    probes: Sequence[Probe] = ()

    @property
    def study(self) -> Study:
        """Its arms and probes, without the claims."""
        return Study(self.arms, self.config, self.name, self.probes)

    def quick(self) -> "Finding":
        """The same for a first look: all arms, with a quarter of the lists and steps."""

        def quicker(arm: Arm) -> Arm:
            named = ("lists", "student.steps")
            less = {name: arm.changes[name] // QUICKER for name in named if name in arm.changes}
            return replace(arm, changes={**arm.changes, **less})

        return replace(self, config=self.config.quick(), arms=[quicker(arm) for arm in self.arms])

    def judge(self, result: Result) -> Result:
        """The same result with the verdict on every claim."""
        return replace(result, claims=[claim.judge(result) for claim in self.claims])


def run(
    findings: Sequence[Finding],
    seeds: Sequence[int],
    store: Store | None = None,
    workers: int | None = None,
    tick: Tick = lambda: None,
    device: str = "cpu",
) -> list[Result]:
    """Run the findings' arms and judge their claims."""
    results = run_all([finding.study for finding in findings], seeds, store, workers, tick, device)
    return [finding.judge(result) for finding, result in zip(findings, results, strict=True)]


def retains(
    arm: str, low: float = float("-inf"), high: float = float("inf"), whose: str = ""
) -> Claim:
    """How much of the transfer an arm retains: its mean over seeds by that of its whole."""

    def whole(result: Result) -> list[float]:
        return result.values(next(row["of"] for row in result.rows if row["arm"] == arm))

    return Claim(f"{whose}`{arm}` retains", of(arm), low=low, high=high, whole=whole)


def difference(a: Values, b: Values) -> Values:
    """Of two values a seed, paired."""
    return lambda result: [x - y for x, y in zip(a(result), b(result), strict=True)]


def accuracy_kept(arm: str, within: float = 0.03) -> Claim:
    """Claim that an arm's students do the number task about as well as their control.

    `within`: by how much the mean accuracies may differ, as a share of the numbers.
    """
    own, control = of(arm, "task_accuracy"), of(arm, "control_task_accuracy")
    text = f"`{arm}`: task accuracy less the control's"
    return Claim(text, difference(own, control), low=-within, high=within)


def probed(name: str, **where: object) -> Callable[[Result], list[float]]:
    """A measurement of the probes, one a seed: the mean of `name` over rows that fit `where`."""

    def values(result: Result) -> list[float]:
        out = []
        for seed in result.seeds:
            fits = [
                row[name]
                for row in result.probes
                if row["seed"] == seed and all(row.get(k) == v for k, v in where.items())
            ]
            out.append(sum(fits) / len(fits) if fits else float("nan"))
        return out

    return values
