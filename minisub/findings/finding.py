"""What a finding is: arms, claims registered before the run, and a plot."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from matplotlib.figure import Figure

from minisub.result import Claim, Result
from minisub.store import Store
from minisub.study import Arm, Config, Study


@dataclass(frozen=True)
class Finding:
    name: str
    statement: str  # in one line, as `minisub list` prints it
    paper: str  # what the paper reports
    arms: Sequence[Arm]
    claims: Sequence[Claim]
    plot: Callable[[Result], Figure]
    config: Config = field(default_factory=Config)

    def run(
        self,
        seeds: Sequence[int],
        store: Store | None = None,
        workers: int | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> Result:
        """Run the arms and judge the claims."""
        result = Study(self.arms, self.config, self.name).run(seeds, store, workers, tick)
        return replace(result, claims=[claim.judge(result) for claim in self.claims])
