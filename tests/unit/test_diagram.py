"""The picture of the experiment names the findings that cut in.

That it is the one in the docs, `science/test_pictures.py` says.
"""

from matplotlib.text import Text

from minisub.findings import FINDINGS
from minisub.viz import diagram, style

ELSEWHERE = {"transfer", "limits", "prediction"}  # they cut in nowhere, or everywhere


def test_every_finding_that_cuts_in_is_named() -> None:
    said = " ".join(text.get_text() for text in diagram.draw().findobj(Text))
    for name in set(FINDINGS) - ELSEWHERE:
        assert name in said
        assert name in diagram.ALT


def test_a_picture_is_the_same_each_time() -> None:
    first = style.to_bytes(diagram.draw(), "svg")
    assert first == style.to_bytes(diagram.draw(), "svg")
