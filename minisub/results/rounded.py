"""Numbers as they are written into files."""

import math


def rounded(content: object) -> object:
    """Return plain data with numbers of six decimals, and None for what is not finite."""
    if isinstance(content, dict):
        return {k: rounded(v) for k, v in content.items()}
    if isinstance(content, list | tuple):
        return [rounded(v) for v in content]
    if isinstance(content, float):
        return round(content, 6) if math.isfinite(content) else None
    return content
