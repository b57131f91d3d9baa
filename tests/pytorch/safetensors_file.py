"""The functions of safetensors.torch that train.py calls, for systems without that package."""

import json
import math
import struct

import numpy
import torch

NAMES = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64", torch.bool: "BOOL"}
TYPES = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "BOOL": "?"}


def load_file(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(length)), file.read()
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        numbers = numpy.frombuffer(data[begin:end], TYPES[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = torch.from_numpy(numbers.copy())
    return tensors


def save_file(tensors, path, metadata=None):
    header, end = {"__metadata__": metadata} if metadata else {}, 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.element_size() * math.prod(tensor.shape)
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.contiguous().numpy().tobytes())


def load_model(model, path):
    state = load_file(path)
    present = {value.data_ptr() for name, value in model.state_dict().items() if name in state}
    missing, unexpected = model.load_state_dict(state, strict=False)
    # Of a tied tensor one name is enough.
    missing = [name for name in missing if model.state_dict()[name].data_ptr() not in present]
    if missing or unexpected:
        raise RuntimeError(f"{path}: missing {missing}, unexpected {unexpected}")


def save_model(model, path):
    kept, tied = {}, {"format": "pt"}
    first_name = {}
    for name, tensor in sorted(model.state_dict().items()):
        first = first_name.setdefault((tensor.data_ptr(), tensor.numel()), name)
        if first == name or tensor.numel() == 0:
            kept[name] = tensor
        else:
            tied[name] = first
    save_file(kept, path, tied)
