"""The modules of layers.h under PyTorch's own names: with the weights that Retrace wrote, and fresh."""

import numpy
import torch
from torch import nn

try:
    from safetensors.torch import load_file, save_file
except ImportError:  # Debian has no such package
    from safetensors_file import load_file, save_file

LAYERS = {
    "Linear": lambda: nn.Linear(4, 6),
    "Bilinear": lambda: nn.Bilinear(4, 4, 3),
    "Embedding": lambda: nn.Embedding(7, 4, padding_idx=-1),
    "Conv1d": lambda: nn.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2),
    "Conv2d": lambda: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=2),
    "BatchNorm1d": lambda: nn.BatchNorm1d(4),
    "BatchNorm2d": lambda: nn.BatchNorm2d(4).eval(),
    "LayerNorm": lambda: nn.LayerNorm((4, 5)),
    "GroupNorm": lambda: nn.GroupNorm(2, 4),
    "InstanceNorm1d": lambda: nn.InstanceNorm1d(4, affine=True),
    "InstanceNorm2d": lambda: nn.InstanceNorm2d(4, affine=True),
    "PReLU": lambda: nn.PReLU(4),
    "MultiheadAttention": lambda: nn.MultiheadAttention(8, 2),
    "RNN": lambda: nn.RNN(4, 6, num_layers=2, nonlinearity="relu"),
    "GRU": lambda: nn.GRU(4, 6, num_layers=2, batch_first=True),
    "LSTM": lambda: nn.LSTM(4, 6, num_layers=2),
    "RNNCell": lambda: nn.RNNCell(4, 6),
    "GRUCell": lambda: nn.GRUCell(4, 6),
    "LSTMCell": lambda: nn.LSTMCell(4, 6),
    "TransformerEncoderLayer": lambda: nn.TransformerEncoderLayer(
        8, 2, dim_feedforward=16, dropout=0.0, activation="gelu", batch_first=True, norm_first=True),
}

# Large enough for the deviations of their first weights to be compared.
FRESH = {
    "Linear": lambda: nn.Linear(300, 400),
    "Bilinear": lambda: nn.Bilinear(20, 30, 200),
    "Embedding": lambda: nn.Embedding(500, 40, padding_idx=0),
    "Conv1d": lambda: nn.Conv1d(32, 200, 5),
    "Conv2d": lambda: nn.Conv2d(32, 200, (3, 5), groups=2),
    "BatchNorm2d": lambda: nn.BatchNorm2d(200),
    "LayerNorm": lambda: nn.LayerNorm(200),
    "GroupNorm": lambda: nn.GroupNorm(2, 200),
    "InstanceNorm1d": lambda: nn.InstanceNorm1d(200, affine=True),
    "PReLU": lambda: nn.PReLU(200),
    "MultiheadAttention": lambda: nn.MultiheadAttention(200, 2),
    "RNN": lambda: nn.RNN(50, 200),
    "GRU": lambda: nn.GRU(50, 100),
    "LSTM": lambda: nn.LSTM(50, 100, num_layers=2),
    "LSTMCell": lambda: nn.LSTMCell(50, 100),
}


def flat(output):
    """Output and states of a recurrent module in one row."""
    if isinstance(output, torch.Tensor):
        return output
    return torch.cat([flat(part).flatten() for part in output])


def call(name, layer, x):
    if name == "Bilinear":
        return layer(x, x.flip(0))
    if name == "MultiheadAttention":
        behind = torch.ones(len(x), len(x), dtype=torch.bool).triu(1)
        return layer(x, x, x, attn_mask=behind)[0]
    return flat(layer(x))


def run_all():
    for name, make in LAYERS.items():
        layer = make().double()
        layer.load_state_dict(load_file(name + ".safetensors"))
        x = torch.from_numpy(numpy.load(name + ".npy"))
        numpy.save(name + ".torch.npy", call(name, layer, x).detach().numpy())
    for name, make in FRESH.items():
        save_file(make().state_dict(), name + ".fresh.safetensors")
