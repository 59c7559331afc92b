"""The findings, in the order in which a course would meet them. One short file each."""

from minisub.findings import (
    context,
    defence,
    divergence,
    generations,
    geometry,
    hidden,
    layers,
    leakage,
    limits,
    misalignment,
    mixing,
    optimizer,
    paraphrase,
    prediction,
    rank,
    sampled,
    selection,
    shuffle,
    start,
    steering,
    transfer,
)
from minisub.findings.finding import Finding, run_findings

# What the paper reports.
FINDINGS: dict[str, Finding] = {
    module.FINDING.name: module.FINDING
    for module in (
        transfer,
        leakage,
        divergence,
        sampled,
        selection,
        layers,
        paraphrase,
        shuffle,
        mixing,
        misalignment,
        limits,
        prediction,
    )
}

# What has been asked and disputed since. `minisub reproduce` runs them with `--all`.
DISPUTES: dict[str, Finding] = {
    module.FINDING.name: module.FINDING
    for module in (
        geometry,
        start,
        optimizer,
        rank,
        context,
        steering,
        defence,
        hidden,
        generations,
    )
}


def every_finding() -> dict[str, Finding]:
    """Return the paper's findings and the disputes since, by name."""
    return {**FINDINGS, **DISPUTES}


__all__ = ["DISPUTES", "FINDINGS", "Finding", "every_finding", "run_findings"]
