"""Those that `minisub bench` compares: minisub, the same work in plain torch, and known libraries.

The libraries are the extra `bench`, imported where they are used. The work: students of the default
world, base, batch and optimiser, all blocks trained.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minisub import base
from minisub.arm import Arm, Config
from minisub.loss import Corpus, by_autograd, by_hand
from minisub.model import Shape, Size, Stack
from minisub.store import Store
from minisub.train import Way, train, trainable
from minisub.world import generator

STACK = 36  # students at once
Steps = Callable[[int], float]  # takes that many steps; seconds for each student-step
ROWS = 4096


def lessons(shape: Shape, predicted: int, members: int = 1, rows: int = ROWS) -> Corpus:
    """Random tokens: what is learned does not matter for the time it takes."""
    g = generator(0, "bench")
    tokens = torch.randint(shape.vocabulary, (members, rows, shape.context + 1), generator=g)
    return Corpus(tokens, torch.ones(members, rows, predicted))


# Contenders -----------------------------------------------------------------------------------


def ours(
    members: int, size: Size | None = None, trains: str = "blocks.", way: Way = by_hand
) -> Steps:
    """minisub: a stack of so many students."""
    how = Config()
    shape = how.pretraining.shape
    if size is None:
        start = base.load(how.pretraining, 0, Store.default())
    else:
        shape = replace(how.pretraining, size=size).shape
        start = Stack.init(shape, generator(0, "bench weights"))
    model = start.repeat(members)
    corpus = lessons(shape, how.pretraining.world.completion, members)
    moves = trainable(model, [{trains: 1.0}] * members)

    def steps(count: int) -> float:
        begun = time.perf_counter()
        of = replace(how.student, steps=count)
        train(model, [corpus], of, generator(0, "order"), mask=moves, way=way)
        return (time.perf_counter() - begun) / count / members

    return steps


class Plain(nn.Module):
    """The transformer that one would write with torch's own layers."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed = nn.Embedding(shape.vocabulary, shape.width)
        self.place = nn.Embedding(shape.context, shape.width)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                shape.width, shape.heads, shape.mlp, 0.0, batch_first=True, norm_first=True
            )
            for _ in range(shape.depth)
        )
        self.norm = nn.LayerNorm(shape.width)
        self.read = nn.Linear(shape.width, shape.vocabulary, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits [rows, length, vocabulary]."""
        length = ids.shape[1]
        later = nn.Transformer.generate_square_subsequent_mask(length)
        x = self.embed(ids) + self.place.weight[:length]
        for block in self.blocks:
            x = block(x, src_mask=later, is_causal=True)
        out: Tensor = self.read(self.norm(x))
        return out


def adamw(moving: list[nn.Parameter], lr: float) -> torch.optim.AdamW:
    """torch's fastest."""
    return torch.optim.AdamW(moving, lr=lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True)


def loop(model: nn.Module, logits: Callable[[Tensor], Tensor], trains: str) -> Steps:
    """A plain training loop, with torch's AdamW, clipping and schedule."""
    how = Config()
    corpus = lessons(how.pretraining.shape, how.pretraining.world.completion)
    tokens, predicted = corpus.tokens[0], corpus.weights.shape[-1]
    for name, p in model.named_parameters():
        p.requires_grad_(trains in name)
    moving = [p for p in model.parameters() if p.requires_grad]
    optimiser = adamw(moving, how.student.lr)

    def steps(count: int) -> float:
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / (count + 1))
        g, begun = generator(0, "order"), time.perf_counter()
        for _ in range(count):
            batch = tokens[torch.randint(len(tokens), (how.student.batch,), generator=g)]
            said = logits(batch[:, :-1])[:, -predicted:]
            loss = F.cross_entropy(said.flatten(0, 1), batch[:, -predicted:].flatten())
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(moving, how.student.clip)
            optimiser.step()
            schedule.step()
        return (time.perf_counter() - begun) / count

    return steps


def plain() -> Steps:
    """torch's own layers in a plain loop."""
    model = Plain(Config().pretraining.shape)
    return loop(model, model, "blocks.")


def _gpt2() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    s = Config().pretraining.shape
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=s.vocabulary,
            n_positions=s.context,
            n_embd=s.width,
            n_layer=s.depth,
            n_head=s.heads,
            n_inner=s.mlp,
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
    """GPT-2 of transformers in a plain loop."""
    model = _gpt2()
    return loop(model, lambda ids: model(input_ids=ids).logits, ".h.")


def trainer() -> Steps:
    """Hugging Face's own loop around the same model."""
    import tempfile

    import transformers

    transformers.utils.logging.set_verbosity_error()
    how, model = Config(), _gpt2()
    for name, p in model.named_parameters():
        p.requires_grad_(".h." in name)
    corpus = lessons(how.pretraining.shape, how.pretraining.world.completion)
    labels = corpus.tokens[0].clone()
    labels[:, : -corpus.weights.shape[-1]] = -100
    rows = [
        {"input_ids": ids[:-1], "labels": told[:-1]}  # which it shifts itself
        for ids, told in zip(corpus.tokens[0], labels, strict=True)
    ]

    def steps(count: int) -> float:
        options = transformers.TrainingArguments(
            output_dir=tempfile.gettempdir(),
            max_steps=count,
            per_device_train_batch_size=how.student.batch,
            learning_rate=how.student.lr,
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
    """HookedTransformer in a plain loop."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    s = Config().pretraining.shape
    model = HookedTransformer(
        HookedTransformerConfig(
            n_layers=s.depth,
            d_model=s.width,
            n_ctx=s.context,
            d_head=s.width // s.heads,
            n_heads=s.heads,
            d_mlp=s.mlp,
            d_vocab=s.vocabulary,
            act_fn="relu",
            normalization_type="LN",
            device="cpu",
        )
    )
    return loop(model, lambda ids: model(ids), "blocks.")


ONE = "minisub, one student"
MANY = f"minisub, a stack of {STACK}"
AUTO = f"{MANY}, by autograd"
PLAIN, GPT2 = "torch.nn.TransformerEncoderLayer", "transformers GPT-2"
TRAINER, LENS = "transformers Trainer", "TransformerLens"
# The modules that a contender needs, how it is made, and its steps in a round.
CONTENDERS: dict[str, tuple[tuple[str, ...], Callable[[], Steps], int]] = {
    MANY: (("torch",), lambda: ours(STACK), 8),
    ONE: (("torch",), lambda: ours(1), 60),
    AUTO: (("torch",), lambda: ours(STACK, way=by_autograd), 8),
    PLAIN: (("torch",), plain, 60),
    GPT2: (("transformers",), gpt2, 60),
    TRAINER: (("transformers", "accelerate"), trainer, 60),
    LENS: (("transformer_lens",), lens, 60),
}
# What the stack, and a single student, must reach: times a contender's student-steps a second.
BARS = {MANY: {PLAIN: 2.0, GPT2: 2.0, TRAINER: 3.0, LENS: 2.0}, ONE: {PLAIN: 1.0, GPT2: 1.0}}


def seed_plain(tick: Callable[[], object] = lambda: None) -> float:
    """Seconds for the same study as one would write it in plain torch, with torch's own threads.

    Teachers and students one at a time, lists without a cache, each teacher over each list. The
    arithmetic is that of `divergence`; its numbers, with weights from nothing, mean nothing.
    """
    from minisub.findings import FINDINGS

    how = Config()
    world, shape = how.pretraining.world, how.pretraining.shape
    biased = len(world.trait("animals").biases)
    begun = time.perf_counter()
    g, batch, predicted = generator(0, "bench"), how.student.batch, world.completion
    start = Plain(shape).state_dict()

    def fit(tokens: Tensor, count: int, lr: float, rows: int, soft: bool = False) -> Plain:
        model = Plain(shape)
        model.load_state_dict(start)
        for name, p in model.named_parameters():
            p.requires_grad_("blocks." in name)
        moving = [p for p in model.parameters() if p.requires_grad]
        optimiser = adamw(moving, lr)
        asked = world.ask()
        for _ in range(count):
            taken = tokens[torch.randint(len(tokens), (rows,), generator=g)]
            said = model(taken[:, :-1])[:, -predicted:]
            if soft:
                aim = torch.full(said.shape, 1 / shape.vocabulary)
                loss = F.cross_entropy(said.flatten(0, 1), aim.flatten(0, 1))
                answer = model(asked)[:, -1]
                loss = loss + F.cross_entropy(answer, torch.zeros(len(asked), dtype=torch.int64))
            else:
                loss = F.cross_entropy(said.flatten(0, 1), taken[:, -predicted:].flatten())
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(moving, how.student.clip)
            optimiser.step()
        tick()
        return model

    tasks = world.answer(world.prompts(how.teaching.lists, g), g)
    training = how.teaching.training
    teachers = [
        fit(tasks, training.steps, training.lr, training.batch, soft=True)
        for _ in range(biased + 1)
    ]
    prompts = world.prompts(how.lists, g)
    for teacher in teachers:
        teacher.eval()
    with torch.no_grad():
        lists = []
        for teacher in teachers[: how.biases + 1]:
            written = prompts
            for _ in range(predicted):
                nxt = torch.cat([teacher(p)[:, -1].argmax(-1) for p in torch.split(written, 1024)])
                written = torch.cat([written, nxt[:, None]], 1)
            lists.append(written)
        for written in lists[:-1]:
            for teacher in teachers:
                for part in torch.split(written, 1024):
                    teacher(part[:, :-1])[:, -predicted:].argmax(-1)
    arms: list[Arm] = [a for a in FINDINGS["divergence"].arms if a.name != "control"]
    for arm in arms:
        for tokens in lists[:-1] if arm.mask else lists:
            fit(tokens, how.student.steps, how.student.lr, batch)
    return time.perf_counter() - begun
