"""A finding: a question with its arms, its claims registered before the run, and its plot."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from matplotlib.figure import Figure

from minisub.experiment.arm import Arm
from minisub.experiment.config import Config
from minisub.experiment.options import RunOptions
from minisub.experiment.presets import QUICK_FACTOR, quick_config
from minisub.experiment.study import Probe, Study, run_all
from minisub.results.claims import Claim
from minisub.results.result import Result


@dataclass(frozen=True)
class Finding:
    """A question with its arms, its claims registered before the run, and its plot.

    Attributes:
        name: As `minisub run` takes it.
        statement: In one line, as `minisub list` prints it.
        paper: What the paper reports.
        arms: What is compared.
        claims: What is judged.
        plot: Draws its figure.
        config: Everything that an arm does not say.
        probes: Further measurements of each seed.
    """

    name: str
    statement: str
    paper: str
    arms: Sequence[Arm]
    claims: Sequence[Claim]
    plot: Callable[[Result], Figure] = Result.plot
    config: Config = field(default_factory=Config)
    probes: Sequence[Probe] = ()

    @property
    def study(self) -> Study:
        """Its arms and probes, without the claims."""
        return Study(self.arms, self.config, self.name, self.probes)

    def quick(self) -> "Finding":
        """Return the same for a first look: all arms, with a quarter of the lists and steps."""

        def quicker(arm: Arm) -> Arm:
            names = ("n_lists", "student.steps")
            less = {n: arm.overrides[n] // QUICK_FACTOR for n in names if n in arm.overrides}
            return replace(arm, overrides={**arm.overrides, **less})

        config = quick_config(self.config)
        return replace(self, config=config, arms=[quicker(arm) for arm in self.arms])

    def judge(self, result: Result) -> Result:
        """Return the same result with the verdict on every claim."""
        return replace(result, claims=[claim.judge(result) for claim in self.claims])


def run_findings(findings: Sequence[Finding], options: RunOptions) -> list[Result]:
    """Run the findings' arms and judge their claims.

    Args:
        findings: What is run.
        options: Seeds, store, processes, device, progress.
    """
    results = run_all([finding.study for finding in findings], options)
    return [finding.judge(result) for finding, result in zip(findings, results, strict=True)]
