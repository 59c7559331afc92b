"""Statistics over seeds, results, claims with verdicts, and tables: no torch."""
