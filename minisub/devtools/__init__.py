"""Tools for those who develop minisub: learning rates, calibration, benchmark."""
