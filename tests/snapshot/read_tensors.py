#!/usr/bin/env python3
"""Reads an exported snapshot by the rules of safetensors, and compares it with the test's values."""

import array
import json
import struct
import sys

MASK = (1 << 64) - 1


def mix(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def single(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def value_at(slot, i):
    return single(single(mix((i * 8 + slot) & MASK) % 1000) / single(7))


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    data = data[8 + size:]
    tensors, covered = {}, 0
    assert all(isinstance(text, str) for text in header.pop("__metadata__").values())
    for name, tensor in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = tensor["data_offsets"]
        assert begin == covered, f"{name} leaves a hole"
        covered = end
        kind = {"F32": "f", "U64": "Q"}[tensor["dtype"]]
        values = array.array(kind, data[begin:end])
        count = 1
        for length in tensor["shape"]:
            count *= length
        assert len(values) == count, f"{name} is not of its shape"
        tensors[name] = (tensor["shape"], values)
    assert covered == len(data), "bytes are left over"
    return tensors


def main():
    tensors = read(sys.argv[1])
    assert set(tensors) == {"w", "w.slot.1", "w.slot.2", "emb.keys", "emb.rows", "emb.state"}
    for slot, name in enumerate(("w", "w.slot.1", "w.slot.2")):
        shape, values = tensors[name]
        assert shape == [1001]
        assert all(value == value_at(slot, i) for i, value in enumerate(values)), name
    keys = tensors["emb.keys"][1]
    assert sorted(keys) == sorted(mix(i ^ 0x77) for i in range(300))
    for name, width, first in (("emb.rows", 3, 0), ("emb.state", 7, 3)):
        shape, values = tensors[name]
        assert shape == [300, width]
        assert all(values[i * width + k] == value_at(first + k, key)
                   for i, key in enumerate(keys) for k in range(width)), name


if __name__ == "__main__":
    main()
