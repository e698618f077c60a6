#!/usr/bin/python3
"""The baseline of the benchmarks nn.*: Debian's torch trains the same nets, on one thread.

  torch-nets.py blas                            the library that it multiplies with, and for which core
  torch-nets.py NET ROWS SECONDS                samples a second of processor time
  torch-nets.py NET ROWS SECONDS RANK MEETING   the same of one of two processes, of the wall clock
"""
import ctypes
import os
import sys
import time

# One thread of OpenBLAS's own as well, and the kernels that it finds best for this processor,
# whatever the environment says.
for key in [key for key in os.environ if key.startswith("OPENBLAS_")]:
    del os.environ[key]
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import torch  # OpenBLAS reads the settings above.
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)


class Block(nn.Module):
    """Two convolutions and what goes around them."""

    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)])
        self.around = nn.Identity() if stride == 1 else nn.Sequential(
            nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        y = F.relu(self.norms[0](self.first(x)))
        return F.relu(self.norms[1](self.second(y)) + self.around(x))


class Lstm(nn.Module):
    """Reads a picture row by row."""

    def __init__(self):
        super().__init__()
        self.cells = nn.LSTM(28, 128, batch_first=True)
        self.out = nn.Linear(128, 10)

    def forward(self, x):
        return self.out(self.cells(x.squeeze(1))[0][:, -1])


NETS = {
    "ff": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512),
                                nn.ReLU(), nn.Linear(512, 10)),
    "lenet": lambda: nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84),
        nn.ReLU(), nn.Linear(84, 10)),
    "residual": lambda: nn.Sequential(
        nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), Block(16, 16, 1),
        Block(16, 16, 1), Block(16, 32, 2), Block(32, 32, 1), Block(32, 64, 2), Block(64, 64, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
    "lstm": Lstm,
}


def blas():
    torch.rand(64, 64) @ torch.rand(64, 64)
    with open("/proc/self/maps", encoding="ascii") as maps:
        paths = {line.split()[-1] for line in maps}
    path = next((path for path in sorted(paths) if "blas" in path), "unknown")
    if "openblas" not in path:
        return path
    core = ctypes.CDLL(path).openblas_get_corename
    core.restype = ctypes.c_char_p
    return f"{path}({core().decode()})"


def train(net, rows, seconds, meeting=None):
    model = NETS[net]()
    clock = time.process_time
    if meeting:
        torch.distributed.init_process_group("gloo", init_method="file://" + meeting[1],
                                             rank=meeting[0], world_size=2)
        model = nn.parallel.DistributedDataParallel(model)
        clock = time.perf_counter
    pictures, labels = torch.rand(rows, 1, 28, 28), torch.arange(rows) % 10
    if net == "residual":  # A fifth faster than by rows of a channel; the others are slower so.
        model = model.to(memory_format=torch.channels_last)
        pictures = pictures.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)

    def steps(count):
        begin = clock()
        for _ in range(count):
            optimizer.zero_grad()
            F.cross_entropy(model(pictures), labels).backward()
            optimizer.step()
        return clock() - begin

    steps(5)
    # Both of two processes make as many steps: the first one's time says how many.
    count = torch.tensor([max(5.0, seconds / (steps(10) / 10))])
    if meeting:
        torch.distributed.broadcast(count, 0)
    return rows * int(count) / steps(int(count))


if sys.argv[1] == "blas":
    print("blas", blas())
else:
    pair = (int(sys.argv[4]), sys.argv[5]) if len(sys.argv) > 4 else None
    print("samples_per_second", train(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), pair))
