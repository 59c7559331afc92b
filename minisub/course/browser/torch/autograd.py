"""No gradients: what asks for one is told so."""

from typing import Any


def grad(*given: Any, **named: Any) -> Any:
    """Raise: there is no tape in the browser.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError("torch's stand-in in the browser has no automatic gradients")


backward = grad
