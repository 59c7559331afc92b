"""Names of torch that minisub's tests use and minisub does not: a plugin for the stand-in."""

import numpy as np
import torch


class testing:
    @staticmethod
    def assert_close(a, b, rtol=1.3e-6, atol=1e-5, **_):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=atol)


def isin(x, values):
    return torch.from_numpy(np.isin(x.numpy(), np.asarray(values)))


def linspace(start, end, n):
    return torch.from_numpy(np.linspace(start, end, n, dtype=np.float32))


torch.testing = testing
torch.isin, torch.linspace = isin, linspace
torch.full_like = lambda x, value: torch.full(x.shape, value, dtype=x.dtype)
torch.is_tensor = lambda x: isinstance(x, torch.Tensor)
torch.manual_seed = lambda seed: None
torch.Tensor.unique = lambda self: torch.unique(self)
