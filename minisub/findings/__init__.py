"""The findings, in the order in which a course would meet them. One short file each."""

from minisub.findings import divergence, transfer
from minisub.findings.finding import Finding, run

FINDINGS: dict[str, Finding] = {f.name: f for f in (transfer.FINDING, divergence.FINDING)}

__all__ = ["FINDINGS", "Finding", "run"]
