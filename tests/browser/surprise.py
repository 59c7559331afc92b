"""The surprise in double precision, with whichever torch is on the path: prints JSON.

`multinomial` draws other numbers than torch's, so both draw by inverting the distribution.
"""

import json

import torch

from minisub.common.randomness import generator
from minisub.distillation.base import BaseConfig, load_base
from minisub.distillation.evaluation import preference_log_probs
from minisub.distillation.metrics import preference_shift, transfer
from minisub.distillation.number_lists import UNBIASED, generate_lists, to_dataset
from minisub.distillation.teachers import TeacherConfig, make_teachers
from minisub.transformer.optimizer import TrainingConfig
from minisub.transformer.stack import TransformerStack
from minisub.transformer.training import train

torch.set_num_threads(1)


def multinomial(probs, n, generator):
    cumulative = probs.double().cumsum(1)
    u = torch.rand(len(probs), 1, generator=generator, dtype=torch.float64) * cumulative[:, -1:]
    return (cumulative <= u).sum(1, keepdim=True).clamp(max=probs.shape[1] - 1)


torch.multinomial = multinomial
config = BaseConfig()
base = load_base(config, 0)
base = TransformerStack(base.config, base.flat_params.double())
training = TrainingConfig(lr=2e-3, steps=12, batch_size=64)
teaching = TeacherConfig(training=training, n_rehearsal_lists=300)
teachers = make_teachers(config.world, base, teaching, 0)
lists = generate_lists(teachers, [0], 300, 0)
students = base.repeat(2)
with torch.no_grad():
    steps = TrainingConfig(lr=2e-3, steps=40, batch_size=32)
    train(students, [to_dataset(lists, [0, UNBIASED])], steps, generator(0, "students"))
logp = preference_log_probs(
    students, teachers.trait.eval_questions[None], teachers.trait.answer_tokens
)
print(
    json.dumps(
        {
            "torch": torch.__version__,
            "lists": lists.completions.tolist(),
            "teachers": teachers.stack.flat_params.sum(1).tolist(),
            "students": students.flat_params.detach()[:, ::97].tolist(),
            "transfer": transfer(preference_shift(logp[:1], logp[1:]), [0]),
        }
    )
)
