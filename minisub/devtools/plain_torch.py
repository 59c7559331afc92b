"""The same work as one would write it in plain torch: layers, a training loop, a whole seed."""

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minisub.common.processes import OnProgress, no_progress
from minisub.common.randomness import generator
from minisub.experiment.arm import Arm
from minisub.experiment.config import Config
from minisub.transformer.config import ModelConfig
from minisub.transformer.dataset import TokenDataset
from minisub.world.traits import get_trait, preference_questions

Steps = Callable[[int], float]  # takes that many steps; seconds for each student-step
N_ROWS = 4096


def random_dataset(config: ModelConfig, n_predicted: int, n_models: int = 1) -> TokenDataset:
    """Return random tokens: what is learned does not matter for the time it takes.

    Args:
        config: Vocabulary and context.
        n_predicted: Tokens of each row that are learned.
        n_models: Models with `N_ROWS` rows of their own each.
    """
    g = generator(0, "bench")
    shape = (n_models, N_ROWS, config.n_ctx + 1)
    tokens = torch.randint(config.d_vocab, shape, generator=g)
    return TokenDataset(tokens, torch.ones(n_models, N_ROWS, n_predicted))


class Plain(nn.Module):
    """The transformer that one would write with torch's own layers."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embed = nn.Embedding(config.d_vocab, config.d_model)
        self.pos_embed = nn.Embedding(config.n_ctx, config.d_model)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                *(config.d_model, config.n_heads, config.d_mlp, 0.0),
                batch_first=True,
                norm_first=True,
            )
            for _ in range(config.n_layers)
        )
        self.norm = nn.LayerNorm(config.d_model)
        self.unembed = nn.Linear(config.d_model, config.d_vocab, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits [rows, length, d_vocab]."""
        length = ids.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        x = self.embed(ids) + self.pos_embed.weight[:length]
        for block in self.blocks:
            x = block(x, src_mask=mask, is_causal=True)
        out: Tensor = self.unembed(self.norm(x))
        return out


def fused_adamw(params: list[nn.Parameter], lr: float) -> torch.optim.AdamW:
    """Return torch's fastest AdamW.

    Args:
        params: What trains.
        lr: The learning rate.
    """
    return torch.optim.AdamW(params, lr=lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True)


def plain_loop(model: nn.Module, logits: Callable[[Tensor], Tensor], trainable: str) -> Steps:
    """Return a plain training loop, with torch's AdamW, clipping and schedule.

    Args:
        model: Whose parameters train.
        logits: A function of token ids.
        trainable: A part of the names of what trains.
    """
    config = Config()
    dataset = random_dataset(config.base.model_config, config.base.world.completion_length)
    tokens, n_predicted = dataset.tokens[0], dataset.weights.shape[-1]
    for name, p in model.named_parameters():
        p.requires_grad_(trainable in name)
    params = [p for p in model.parameters() if p.requires_grad]
    optimizer = fused_adamw(params, config.student.lr)

    def steps(count: int) -> float:
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / (count + 1))
        g, begun = generator(0, "order"), time.perf_counter()
        for _ in range(count):
            batch = tokens[torch.randint(len(tokens), (config.student.batch_size,), generator=g)]
            predicted = logits(batch[:, :-1])[:, -n_predicted:]
            loss = F.cross_entropy(predicted.flatten(0, 1), batch[:, -n_predicted:].flatten())
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(params, config.student.max_grad_norm)
            optimizer.step()
            schedule.step()
        return (time.perf_counter() - begun) / count

    return steps


def seed_plain(on_progress: OnProgress = no_progress) -> float:
    """Return the seconds for one seed as one would write it in plain torch, with its own threads.

    Teachers and students one at a time, lists without a cache, each teacher over each list. The
    arithmetic is that of `divergence`; its numbers, with weights from nothing, mean nothing.
    """
    from minisub.findings import FINDINGS

    config = Config()
    world, model_config = config.base.world, config.base.model_config
    n_biased = len(get_trait(world, "animals").biases)
    begun = time.perf_counter()
    g, n_predicted = generator(0, "bench"), world.completion_length
    start = Plain(model_config).state_dict()

    def fit(tokens: Tensor, count: int, lr: float, n_rows: int, soft: bool = False) -> Plain:
        model = Plain(model_config)
        model.load_state_dict(start)
        for name, p in model.named_parameters():
            p.requires_grad_("blocks." in name)
        params = [p for p in model.parameters() if p.requires_grad]
        optimizer = fused_adamw(params, lr)
        questions = preference_questions(world)
        for _ in range(count):
            batch = tokens[torch.randint(len(tokens), (n_rows,), generator=g)]
            logits = model(batch[:, :-1])[:, -n_predicted:]
            if soft:
                aim = torch.full(logits.shape, 1 / model_config.d_vocab)
                loss = F.cross_entropy(logits.flatten(0, 1), aim.flatten(0, 1))
                answers = torch.zeros(len(questions), dtype=torch.int64)
                loss = loss + F.cross_entropy(model(questions)[:, -1], answers)
            else:
                loss = F.cross_entropy(logits.flatten(0, 1), batch[:, -n_predicted:].flatten())
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(params, config.student.max_grad_norm)
            optimizer.step()
        on_progress()
        return model

    tasks = world.sample_prompts(config.teacher.n_rehearsal_lists, g)
    tasks = world.sample_completions(tasks, g)
    training = config.teacher.training
    teachers = [
        fit(tasks, training.steps, training.lr, training.batch_size, soft=True)
        for _ in range(n_biased + 1)
    ]
    prompts = world.sample_prompts(config.n_lists, g)
    for teacher in teachers:
        teacher.eval()
    with torch.no_grad():
        lists = []
        for teacher in teachers[: config.biases_per_seed + 1]:
            written = prompts
            for _ in range(n_predicted):
                nxt = torch.cat([teacher(p)[:, -1].argmax(-1) for p in torch.split(written, 1024)])
                written = torch.cat([written, nxt[:, None]], 1)
            lists.append(written)
        for written in lists[:-1]:
            for teacher in teachers:
                for part in torch.split(written, 1024):
                    teacher(part[:, :-1])[:, -n_predicted:].argmax(-1)
    arms: list[Arm] = [arm for arm in FINDINGS["divergence"].arms if not arm.control]
    for arm in arms:
        for tokens in lists[:-1] if arm.mask else lists:
            fit(tokens, config.student.steps, config.student.lr, config.student.batch_size)
    return time.perf_counter() - begun
