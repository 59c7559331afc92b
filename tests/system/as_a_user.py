"""What a user writes, for mypy and pyright to read against the installed package (package.sh)."""

from functools import partial

from matplotlib.figure import Figure
from torch import Tensor

import minisub
from minisub import Arm, Config, Study, subliminal_learning
from minisub.distillation.number_lists import MarkedLists
from minisub.distillation.starts import between_bases
from minisub.experiment.presets import LIGHT_CONFIG


def odd(lists: MarkedLists) -> Tensor:
    return lists.position % 2 == 1


nats: float = subliminal_learning("owl", seed=0)
near = Arm("near", start=partial(between_bases, share=0.1))
study = Study([Arm("all"), Arm("odd", mask=odd, lr_factor=2.0), near], LIGHT_CONFIG)
result = study.run(seeds=range(8), workers=1)
values: list[float] = result.values("odd")
p: float = result.compare("odd", "all").p
figure: Figure = result.plot("retained")
n_lists: int = Config().n_lists
print(minisub.check(mask=odd))

# What is wrong is told: an unused "ignore" is an error too.
wrong: str = result.values("odd")  # type: ignore[assignment]
Arm(3)  # type: ignore[arg-type]
