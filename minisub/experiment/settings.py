"""Settings of a sweep: their names, short ones too, and their values out of text."""

from collections.abc import Sequence
from typing import Any

from minisub.common.files import MinisubError
from minisub.experiment.config import Config, with_overrides

# What a setting's name may begin with, and what its other parts may also be called.
SHORT_STARTS = {"world": "base.world", "model": "base.model", "size": "base.model"}
SHORT_NAMES = {
    "lists": "n_lists",
    "biases": "biases_per_seed",
    "batch": "batch_size",
    "warmup": "warmup_fraction",
    "decay": "weight_decay",
    "rank": "lora_rank",
    "strength": "persona_strength",
    "width": "d_model",
    "depth": "n_layers",
    "heads": "n_heads",
    "mlp": "d_mlp",
    "numbers": "n_numbers",
    "prompt_numbers": "n_prompt_numbers",
    "completion": "completion_length",
    "ties": "n_tied_offsets",
    "wordings": "n_wordings",
    "unseen_wordings": "n_unseen_wordings",
    "questions": "n_questions",
    "instruction_tokens": "n_instruction_tokens",
    "favourite": "favourite_share",
    "held_out": "held_out_share",
    "conduct": "n_conduct_questions",
    "layout": "layout_seed",
}


def full_name(config: Config, name: str) -> str:
    """Return the dotted name of a setting in the configuration, out of a short one.

    Args:
        config: The configuration.
        name: Such as "world.tilt" or "student.rank".
    """
    head, dot, rest = name.partition(".")
    inner: Any = config
    parts, found = (SHORT_STARTS.get(head, head) + dot + rest).split("."), []
    for part in parts:
        if not hasattr(inner, part) and hasattr(inner, SHORT_NAMES.get(part, part)):
            part = SHORT_NAMES[part]
        found.append(part)
        inner = getattr(inner, part, None)
    return ".".join(found)


def parse_settings(
    config: Config, texts: Sequence[str], option: str = "--set"
) -> dict[str, list[Any]]:
    """Return settings out of "name=value,value".

    Args:
        config: What is swept.
        texts: One a setting.
        option: What they were given to.

    Raises:
        MinisubError: A name or value cannot be.
    """
    settings: dict[str, list[Any]] = {}
    if not texts:
        raise MinisubError(f"{option} is missing: NAME=VALUE,VALUE,...")
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not values:
            raise MinisubError(f"{option} is {text!r}, allowed: NAME=VALUE,VALUE,...")
        full = full_name(config, name)
        now: Any = config
        for part in full.split("."):
            now = getattr(now, part, None)
        try:
            with_overrides(config, {full: now})
        except ValueError as error:
            raise MinisubError(f"{option} is {text!r}: {error}") from None
        if full in (full_name(config, other) for other in settings):
            raise MinisubError(f"{option} names {full} twice, allowed: each setting once")
        settings[name] = [
            _parse_value(f"{option} {name}", full, now, value) for value in values.split(",")
        ]
        if len(set(settings[name])) < len(settings[name]):
            raise MinisubError(f"{option} is {text!r}, allowed: each value once")
    return settings


def _parse_value(what: str, full: str, now: Any, text: str) -> Any:
    """Read a value as the kind that the setting has now."""
    if text == "full" and full.endswith("lora_rank"):
        return 0
    kind = type(now).__name__
    if kind not in ("int", "float", "str"):
        raise MinisubError(f"{what}: a {kind} cannot be swept")
    try:
        return type(now)(text)
    except ValueError:
        raise MinisubError(f"{what} has {text!r}, allowed: values of kind {kind}") from None
