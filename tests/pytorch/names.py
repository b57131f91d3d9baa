"""Holds docs/pytorch.md and the defaults in Retrace's headers against PyTorch."""

import copy
import inspect
import os
import re
from pathlib import Path

import torch
from torch import nn, optim
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[2]
PLACES = {"torch": torch, "Tensor": torch.Tensor, "F": F, "nn": nn, "optim": optim, "copy": copy}
VERSION = tuple(int(part) for part in re.match(r"(\d+)\.(\d+)", torch.__version__).groups())

# Options whose counterpart has another name.
COUNTERPARTS = {
    "BatchNorm": nn.BatchNorm2d, "InstanceNorm": nn.InstanceNorm2d, "Recurrent": nn.RNNBase,
    "RNN": nn.RNNBase, "BceLoss": F.binary_cross_entropy, "Reduction": F.mse_loss,
    "BceWithLogits": F.binary_cross_entropy_with_logits, "Kaiming": nn.init.kaiming_uniform_,
    "Transformer": None,  # that of another model
}
# What PyTorch's signatures have for other devices, old programs and speed.
NOT_OPTIONS = {"device", "dtype", "inplace", "size_average", "reduce", "last_epoch", "verbose",
               "foreach", "capturable", "fused", "differentiable", "_weight", "min_value", "max_value"}
# Defaults that differ; the page has a row for each.
DIFFERENT = {"alpha_dropout": "training", "TripletMarginWithDistanceLoss": "distance_function"}


def rows(text):
    """Cells of the tables in the section about names."""
    section = text[text.index("## Names"):text.index("## Where defaults differ")]
    for line in section.splitlines():
        if line.startswith("| `"):
            yield re.split(r"(?<!\\)\|", line)[1:-1]


def names_in(cell):
    """(name, version) of each."""
    for name, version in re.findall(r"`([^`]+)`(?: \((\d+\.\d+)\))?", cell):
        yield name, tuple(int(part) for part in version.split(".")) if version else (0, 0)


def exists(name):
    place, *parts = name.split(".")
    here = PLACES[place]
    for part in parts:
        if not hasattr(here, part):
            return False
        here = getattr(here, part)
    return True


def check_names(text):
    checked, missing = 0, []
    for cells in rows(text):
        prefix = next(names_in(cells[0]))[0]
        is_list = prefix.endswith(".")
        for name, version in names_in(cells[2 if is_list else 0]):
            name = prefix + name if is_list else name
            if version > VERSION:
                continue
            checked += 1
            if not exists(name):
                missing.append(f"PyTorch has no {name}")
    return checked, missing


def headers():
    for room in ("nn", "losses", "optim", "autograd/ops"):
        for header in sorted((ROOT / room).glob("*.h")):
            yield re.sub(r"//[^\n]*", "", header.read_text())


def number(text):
    """A default as Python has it: true, 1e-3, FanMode::fan_in, {0.9, 0.999}, {}."""
    text = text.strip()
    if text in ("true", "false"):
        return text == "true"
    if text in ("{}", "nullptr"):
        return None
    if "::" in text:
        return text.split("::")[1]
    try:
        return eval(text.replace("{", "(").replace("}", ")").replace("'", ""), {})
    except (NameError, SyntaxError):
        return text


def options():
    """{name of the struct without Options: {member: default}}."""
    found = {}
    for text in headers():
        for name, body in re.findall(r"struct (\w+)Options \{(.*?)\n\};", text, re.S):
            members = found.setdefault(name, {})
            for line in body.split(";"):
                for member, default in re.findall(r"(\w+) = (\{[^}]*\}|[^,{]+)", line):
                    members[member] = number(default)
    return found


def functions():
    """The same of functions that take their options one by one."""
    found = {}
    for text in headers():
        for name, arguments in re.findall(r"^Tensor (\w+)\(([^;]*)\);", text, re.M):
            members = re.findall(r"(\w+) = (\{[^}]*\}|[^,{]+)", arguments.replace("\n", " "))
            found.setdefault(name, {}).update({m: number(d) for m, d in members if m != "options"})
    return found


def counterpart(name):
    if name in COUNTERPARTS:
        return COUNTERPARTS[name]
    snake = re.sub(r"(?<!^)(?<![A-Z])(?=[A-Z])", "_", name).lower()
    for place, key in ((nn, name), (optim, name), (optim.lr_scheduler, name), (F, snake)):
        if hasattr(place, key):
            return getattr(place, key)
    return None


def signature(called):
    try:
        return inspect.signature(called).parameters
    except (TypeError, ValueError):  # compiled, and does not say
        return {}


def check_defaults(text):
    compared, complaints = 0, []
    pairs = [(name, counterpart(name), members) for name, members in options().items()]
    pairs += [(name, getattr(F, name, None), members) for name, members in functions().items()]
    for name, called, members in pairs:
        if called is None:
            continue
        theirs = signature(called)
        order = [key for key in theirs if key in members]
        if [member for member in members if member in theirs] != order:
            complaints.append(f"{name}: options are {list(members)}, in PyTorch their order is {order}")
        for member, default in members.items():
            if member == "dtype" or member not in theirs:
                continue
            expected = theirs[member].default
            if not isinstance(expected, (bool, int, float, str, tuple, type(None))):
                continue  # none, or not a plain value
            compared += 1
            # The optional 0 of a whole number that has to be given.
            is_same = default == expected or (expected is None and default == 0)
            if is_same == (DIFFERENT.get(name) == member):
                complaints.append(f"{name}: {member} is {default}, in PyTorch {expected}")
        if VERSION == (1, 13) and inspect.isclass(called) and called is not nn.RNNBase:
            left_out = [key for key, p in theirs.items() if p.default is not p.empty
                        and key not in members and key not in NOT_OPTIONS]
            said = next((line for line in text.splitlines()
                         if line.startswith("| `") and f".{called.__name__}`" in line), "")
            complaints += [f"{called.__name__}: PyTorch has {key}, and the page does not say so"
                           for key in left_out if f"`{key}`" not in said]
    return compared, complaints


def check():
    """What is wrong, a line each, and a last line of what was looked at."""
    text = (ROOT / "docs" / "pytorch.md").read_text()
    names, missing = check_names(text)
    missing += [f"the page says nothing of {key}" for key in DIFFERENT.values() if key not in text]
    defaults, complaints = check_defaults(text)
    return missing + complaints, f"{names} names and {defaults} defaults"
