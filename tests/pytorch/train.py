"""Does in PyTorch what pytorch_test.cpp does in Retrace, in the folders that it wrote.

Of each run, a model in a dtype, Retrace wrote the first weights and the batches. Written here are
the losses of each step, the weights afterwards and the logits of the trained model; and what in
docs/pytorch.md is not so.
"""

import os
import sys

import numpy
import torch

import exchange
import layers
import models
import names
import traps
from exchange import load_model, save_model

RUNS = {
    "mlp": (models.Mlp, models.train_mlp, ["inputs", "labels"]),
    "cnn": (models.Cnn, models.train_cnn, ["inputs", "labels"]),
    "gpt": (lambda: models.Gpt(tied_head=True), models.train_gpt, ["tokens"]),
    "dpo": (lambda: models.Gpt(tied_head=False), models.train_dpo, ["chosen", "rejected", "mask"]),
}


def run(name, dtype):
    make, train, batches = RUNS[name]
    model = make().to(getattr(torch, dtype))
    load_model(model, "start.safetensors")
    losses, logits = train(model, *(torch.from_numpy(numpy.load(b + ".npy")) for b in batches))
    save_model(model, "end.safetensors")
    numpy.save("losses.npy", numpy.array(losses))
    numpy.save("logits.npy", logits.numpy())


def main(root):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(torch.__version__)
    for name in RUNS:
        for dtype in ("float32", "float64"):
            os.chdir(os.path.join(root, name + "-" + dtype))
            run(name, dtype)
    os.chdir(os.path.join(root, "layers"))
    layers.run_all()
    os.chdir(os.path.join(root, "exchange"))
    exchange.exchange(models.Mlp())
    os.chdir(root)
    complaints, looked_at = names.check()
    complaints += traps.check()
    print(looked_at)
    with open("complaints.txt", "w") as file:
        file.writelines(complaint + "\n" for complaint in complaints)


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
