"""What `minisub bench` compares: minisub, the same work in plain torch, and known libraries.

The libraries are the extra `bench`, imported where they are used. The work: students of the default
world, base, batch and optimizer, all blocks trained.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from minisub.common.randomness import generator
from minisub.common.store import Store
from minisub.devtools.plain_torch import Plain, Steps, plain_loop, random_dataset
from minisub.distillation.base import load_base
from minisub.experiment.config import Config
from minisub.transformer.config import ModelConfig
from minisub.transformer.gradient import ManualGradient, autograd_gradient
from minisub.transformer.kernel_gradient import fastest_gradient
from minisub.transformer.stack import TransformerStack
from minisub.transformer.training import GradientFn, train, update_multipliers

N_STACKED = 36  # students at once


# Contenders -----------------------------------------------------------------------------------


def ours(
    n_models: int,
    dimensions: ModelConfig | None = None,
    trainable: str = "blocks.",
    gradient_fn: GradientFn = fastest_gradient,
) -> Steps:
    """Return minisub's training of a stack of students.

    Args:
        n_models: How many students.
        dimensions: Of the model; by default those of the default base, with its weights.
        trainable: The start of the names of what trains.
        gradient_fn: How the gradient is computed.
    """
    config = Config()
    if dimensions is None:
        start = load_base(config.base, 0, Store.default())
    else:
        model_config = replace(config.base, model=dimensions).model_config
        start = TransformerStack.init(model_config, generator(0, "bench weights"))
    model = start.repeat(n_models)
    dataset = random_dataset(start.config, config.base.world.completion_length, n_models)
    multipliers = update_multipliers(model, [{trainable: 1.0}] * n_models)

    def steps(count: int) -> float:
        begun = time.perf_counter()
        training, g = replace(config.student, steps=count), generator(0, "order")
        train(model, [dataset], training, g, multipliers, gradient_fn=gradient_fn)
        return (time.perf_counter() - begun) / count / n_models

    return steps


def plain() -> Steps:
    """Return torch's own layers in a plain loop."""
    model = Plain(Config().base.model_config)
    return plain_loop(model, model, "blocks.")


def _gpt2() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    c = Config().base.model_config
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=c.d_vocab,
            n_positions=c.n_ctx,
            n_embd=c.d_model,
            n_layer=c.n_layers,
            n_head=c.n_heads,
            n_inner=c.d_mlp,
            activation_function="relu",
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            use_cache=False,
            bos_token_id=0,
            eos_token_id=0,
        )
    )


def gpt2() -> Steps:
    """Return GPT-2 of transformers in a plain loop."""
    model = _gpt2()
    return plain_loop(model, lambda ids: model(input_ids=ids).logits, ".h.")


def trainer() -> Steps:
    """Return Hugging Face's own loop around the same model."""
    import tempfile

    import transformers

    transformers.utils.logging.set_verbosity_error()
    config, model = Config(), _gpt2()
    for name, p in model.named_parameters():
        p.requires_grad_(".h." in name)
    dataset = random_dataset(config.base.model_config, config.base.world.completion_length)
    labels = dataset.tokens[0].clone()
    labels[:, : -dataset.weights.shape[-1]] = -100
    rows = [
        {"input_ids": ids[:-1], "labels": label[:-1]}  # which it shifts itself
        for ids, label in zip(dataset.tokens[0], labels, strict=True)
    ]

    def steps(count: int) -> float:
        options = transformers.TrainingArguments(
            output_dir=tempfile.gettempdir(),
            max_steps=count,
            per_device_train_batch_size=config.student.batch_size,
            learning_rate=config.student.lr,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        )
        made = transformers.Trainer(model=model, args=options, train_dataset=rows)
        begun = time.perf_counter()
        made.train()
        return (time.perf_counter() - begun) / count

    return steps


def lens() -> Steps:
    """Return TransformerLens's HookedTransformer in a plain loop."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    c = Config().base.model_config
    model = HookedTransformer(
        HookedTransformerConfig(
            n_layers=c.n_layers,
            d_model=c.d_model,
            n_ctx=c.n_ctx,
            d_head=c.d_model // c.n_heads,
            n_heads=c.n_heads,
            d_mlp=c.d_mlp,
            d_vocab=c.d_vocab,
            act_fn="relu",
            normalization_type="LN",
            device="cpu",
        )
    )
    return plain_loop(model, lambda ids: model(ids), "blocks.")


ONE = "minisub, one student"
MANY = f"minisub, a stack of {N_STACKED}"
MANY_TORCH, ONE_TORCH = f"{MANY}, without the kernel", f"{ONE}, without the kernel"
AUTO = f"{MANY}, by autograd"
PLAIN, GPT2 = "torch.nn.TransformerEncoderLayer", "transformers GPT-2"
TRAINER, LENS = "transformers Trainer", "TransformerLens"
# The modules that a contender needs, how it is made, and its steps in a round.
CONTENDERS: dict[str, tuple[tuple[str, ...], Callable[[], Steps], int]] = {
    MANY: (("torch",), lambda: ours(N_STACKED), 8),
    ONE: (("torch",), lambda: ours(1), 60),
    MANY_TORCH: (("torch",), lambda: ours(N_STACKED, gradient_fn=ManualGradient), 8),
    ONE_TORCH: (("torch",), lambda: ours(1, gradient_fn=ManualGradient), 60),
    AUTO: (("torch",), lambda: ours(N_STACKED, gradient_fn=autograd_gradient), 8),
    PLAIN: (("torch",), plain, 60),
    GPT2: (("transformers",), gpt2, 60),
    TRAINER: (("transformers", "accelerate"), trainer, 60),
    LENS: (("transformer_lens",), lens, 60),
}
# What the stack, and a single student, must reach: times a contender's student-steps a second.
BARS = {MANY: {PLAIN: 4.0, GPT2: 4.0, TRAINER: 6.0, LENS: 6.0}, ONE: {PLAIN: 1.5, GPT2: 1.5}}
