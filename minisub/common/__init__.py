"""Files, the store, processes, random streams and provenance: no science."""
