"""Weights and arrays, from Retrace and back to it: docs/pytorch.md shows these lines."""

import numpy
import torch

try:
    from safetensors.torch import load_model, save_model
except ImportError:  # Debian has no such package
    from safetensors_file import load_model, save_model


def exchange(model):
    load_model(model, "model.safetensors")
    inputs = torch.from_numpy(numpy.load("inputs.npy"))

    loss = model(inputs).square().mean()
    loss.backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    outputs = model(inputs)

    save_model(model, "trained.safetensors")
    numpy.save("outputs.npy", outputs.detach().numpy())
