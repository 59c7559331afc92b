"""What several commands do: run findings with a progress bar, check and write files."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from minisub.cli.checks import check_writable
from minisub.common.files import MinisubError, write_file
from minisub.common.progress import progress_bar
from minisub.experiment.options import RunOptions
from minisub.experiment.study import Study, missing_bases
from minisub.findings import Finding, run_findings
from minisub.results.result import Result
from minisub.viz import style


def announce_missing_bases(studies: Sequence[Study], options: RunOptions) -> int:
    """Say which bases have to be pretrained, and return how many.

    Args:
        studies: What is run.
        options: Seeds and store.
    """
    missing = missing_bases(studies, options.seeds, options.store)
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
