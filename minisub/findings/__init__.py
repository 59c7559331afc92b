"""The findings, in the order in which a course would meet them. One short file each."""

from minisub.findings import (
    divergence,
    layers,
    leakage,
    limits,
    misalignment,
    mixing,
    paraphrase,
    prediction,
    sampled,
    selection,
    shuffle,
    transfer,
)
from minisub.findings.finding import Finding, run_findings

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

__all__ = ["FINDINGS", "Finding", "run_findings"]
