"""One figure style and the common figures; no torch."""
