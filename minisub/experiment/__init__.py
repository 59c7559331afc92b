"""Experiments: a configuration, arms, one seed's laboratory and its students, studies, sweeps."""
