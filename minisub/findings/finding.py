"""What a finding is: arms, claims registered before the run, and a plot."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from matplotlib.figure import Figure

from minisub.pool import Tick
from minisub.result import Claim, Result
from minisub.store import Store
from minisub.study import Arm, Config, Study, run_all


@dataclass(frozen=True)
class Finding:
    name: str
    statement: str  # in one line, as `minisub list` prints it
    paper: str  # what the paper reports
    arms: Sequence[Arm]
    claims: Sequence[Claim]
    plot: Callable[[Result], Figure]
    config: Config = field(default_factory=Config)

    @property
    def study(self) -> Study:
        return Study(self.arms, self.config, self.name)

    def judge(self, result: Result) -> Result:
        return replace(result, claims=[claim.judge(result) for claim in self.claims])


def run(
    findings: Sequence[Finding],
    seeds: Sequence[int],
    store: Store | None = None,
    workers: int | None = None,
    tick: Tick = lambda: None,
) -> list[Result]:
    """Run the findings' arms and judge their claims."""
    results = run_all([finding.study for finding in findings], seeds, store, workers, tick)
    return [finding.judge(result) for finding, result in zip(findings, results, strict=True)]
