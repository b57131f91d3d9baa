"""PyTorch's side of "What is different, and why" in docs/pytorch.md; that of Retrace:
tests/house/pytorch_traps_test.cpp."""

import warnings

import torch
from torch import nn
from torch.nn import functional as F

ONE = torch.ones(1)
WHOLE = torch.tensor([7, -7])


def rounds_when_loading():
    model = nn.Linear(2, 2)
    model.load_state_dict({name: value.double() for name, value in model.state_dict().items()})
    return model.weight.dtype == torch.float32


def broadcasts_in_a_loss():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        losses = F.mse_loss(torch.zeros(3, 1), torch.zeros(3), reduction="none")
    return losses.shape == (3, 3) and len(told) == 1


def shared_tie():
    x = torch.ones(2, requires_grad=True)
    x.amax().backward()
    return x.grad.tolist()


CLAIMS = {
    "float32 + float64 is float64": lambda: (ONE + ONE.double()).dtype == torch.float64,
    "int64 times 0.5 is float32": lambda: (WHOLE * 0.5).dtype == torch.float32,
    "where promotes": lambda: torch.where(ONE > 0, ONE, ONE.double()).dtype == torch.float64,
    "cat promotes": lambda: torch.cat([WHOLE, ONE]).dtype == torch.float32,
    "comparisons promote": lambda: bool((WHOLE == WHOLE.float()).all()),
    "a loss takes whole targets": lambda: F.mse_loss(ONE, torch.tensor([1])).item() == 0,
    "int64 / int64 is float32": lambda: (WHOLE / 2).tolist() == [3.5, -3.5],
    "full of a whole number is int64": lambda: torch.full((2,), 1).dtype == torch.int64,
    "true + true is true": lambda: (torch.tensor([True]) + torch.tensor([True])).dtype == torch.bool,
    "the sum of bool is int64": lambda: torch.tensor([True, True]).sum().dtype == torch.int64,
    "losses broadcast": broadcasts_in_a_loss,
    "targets are not checked": lambda: F.hinge_embedding_loss(ONE, torch.zeros(1)).item() == 1,
    "loading rounds": rounds_when_loading,
    "a row of softmax that keeps nothing is NaN": lambda: bool(
        (ONE * -torch.inf).softmax(0).isnan().all()),
    "ties in amax share the gradient": lambda: shared_tie() == [0.5, 0.5],
    "clip_grad_norm_ returns a tensor": lambda: isinstance(
        nn.utils.clip_grad_norm_([ONE.clone().requires_grad_()], 1.0), torch.Tensor),
}


def check():
    return [f"not so in PyTorch: {claim}" for claim, holds in CLAIMS.items() if not holds()]
