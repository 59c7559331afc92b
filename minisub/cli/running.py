"""What several commands do: run findings with a progress bar, check and write files."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from minisub.cli.checks import check_writable
from minisub.common.files import MinisubError, write_file
from minisub.common.progress import progress_bar
from minisub.distillation.base import BaseConfig
from minisub.experiment import sweep
from minisub.experiment.options import RunOptions
from minisub.experiment.study import Study, missing_bases
from minisub.findings import Finding, run_findings
from minisub.results.result import Result
from minisub.results.sweep_result import Settings
from minisub.viz import style


def announce_missing_bases(studies: Sequence[Study], options: RunOptions) -> int:
    """Say which bases have to be pretrained, and return how many.

    Args:
        studies: What is run.
        options: Seeds and store.
    """
    return _announce(missing_bases(studies, options.seeds, options.store))


def announce_bases_of_sweep(
    study: Study, settings: Settings, tune: Settings, options: RunOptions
) -> int:
    """Say which bases a sweep has to pretrain, those for tuning too, and return how many.

    Args:
        study: What is swept.
        settings: Values of each setting.
        tune: Values of settings to choose from.
        options: Seeds and store.
    """

    def missing(grid: Settings, seeds: Sequence[int]) -> list[tuple[BaseConfig, int]]:
        studies = [at for _, at in sweep.sweep_points(study, grid)]
        return missing_bases(studies, seeds, options.store)

    found = missing({**settings, **tune}, sweep.TUNING_SEEDS) if tune else []
    return _announce(list(dict.fromkeys([*found, *missing(settings, options.seeds)])))


def _announce(missing: Sequence[tuple[BaseConfig, int]]) -> int:
    if missing:
        seeds = sorted({seed for _, seed in missing})
        named = ", ".join(map(str, seeds[:6])) + (", ..." if len(seeds) > 6 else "")
        print(
            f"No base yet for seed {named}: pretrained on the spot, some fifteen seconds each "
            f"(up to {len(missing)} in all).",
            file=sys.stderr,
        )
    return len(missing)


def perform(findings: Sequence[Finding], what: str, options: RunOptions) -> list[Result]:
    """Run some findings with a progress bar, and judge their claims.

    Args:
        findings: What is run.
        what: Before the bar.
        options: Seeds, store, processes, device.
    """
    announce_missing_bases([finding.study for finding in findings], options)
    n_arms = len(options.seeds) * sum(len(finding.arms) for finding in findings)
    with progress_bar(n_arms, what, "arm") as on_progress:
        return run_findings(findings, replace(options, on_progress=on_progress))


def checked_files(json: Path | None, plot: Path | None) -> str:
    """Return the kind of the plot's file, "svg" or "png", if both files can be written.

    Args:
        json: What was given to --json.
        plot: What was given to --plot.

    Raises:
        MinisubError: One of them cannot be written, or is of another kind.
    """
    files = (("--json", json), ("--plot", plot))
    for option, path in files:
        if path and path.is_dir():
            raise MinisubError(f"{option} is {path}, allowed: a file, not a folder")
    kind = plot.suffix[1:] if plot else "svg"
    if kind not in ("svg", "png"):
        raise MinisubError(f"--plot is {plot}, allowed: a name that ends in .svg or .png")
    for option, path in files:
        if path:
            check_writable(option, path.parent)
    return kind


def write_files(
    result: Result, draw: Callable[[], Figure], json: Path | None, plot: Path | None, kind: str
) -> None:
    """Write the result and its figure, where files are named.

    Args:
        result: The result.
        draw: Draws its figure.
        json: Where the result goes.
        plot: Where the figure goes.
        kind: Of the figure's file.
    """
    if json:
        result.write(json)
    if plot:
        write_file(plot, style.to_bytes(draw(), kind))
