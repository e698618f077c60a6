"""PyTorch's side of tools/gpu/run: gradients of the nets of bench/nets.cc on a card.

  torch_card.py NET ROWS SECONDS float|tf32|bf16 [steps]    prints "eager RATE", "compiled RATE"

Samples a second; with bf16, layers that torch's autocast thinks fit compute in it; with steps,
those of plain descent are made, too.

Batches come from the host's pinned memory, as a worker's do; parameters stay on the card.
"""
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """Two convolutions and what goes around them."""

    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.through = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels),
            nn.ReLU(), nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))
        self.around = nn.Identity() if stride == 1 else nn.Sequential(
            nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        return F.relu(self.through(x) + self.around(x))


class Lstm(nn.Module):
    """Reads a picture row by row."""

    def __init__(self):
        super().__init__()
        self.cells = nn.LSTM(28, 128, batch_first=True)
        self.out = nn.Linear(128, 10)

    def forward(self, x):
        return self.out(self.cells(x.squeeze(1))[0][:, -1])


def feed_forward():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512),
                         nn.ReLU(), nn.Linear(512, 10))


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84),
        nn.ReLU(), nn.Linear(84, 10))


def residual():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), Block(16, 16, 1),
        Block(16, 16, 1), Block(16, 32, 2), Block(32, 32, 1), Block(32, 64, 2), Block(64, 64, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def resnet50():
    from torchvision.models import resnet50 as made
    return made()


NETS = {"ff": feed_forward, "lenet": lenet, "residual": residual, "lstm": Lstm,
        "resnet50": resnet50}


def rate(net, rows, seconds, way, numbers, steps_too):
    torch.backends.cuda.matmul.allow_tf32 = numbers != "float"
    torch.backends.cudnn.allow_tf32 = numbers != "float"
    model = NETS[net]().cuda()
    shape = (3, 224, 224) if net == "resnet50" else (1, 28, 28)
    pictures, labels = torch.rand(rows, *shape), torch.arange(rows) % 10
    if net in ("residual", "resnet50"):
        model = model.to(memory_format=torch.channels_last)
        pictures = pictures.to(memory_format=torch.channels_last)
    pictures, labels = pictures.pin_memory(), labels.pin_memory()
    if way == "compiled":
        model = torch.compile(model, mode="reduce-overhead")

    optimizer = torch.optim.SGD(model.parameters(), lr=0.01) if steps_too else None

    def steps(count):
        begin = time.perf_counter()
        for _ in range(count):
            model.zero_grad()
            there = pictures.cuda(non_blocking=True), labels.cuda(non_blocking=True)
            with torch.autocast("cuda", torch.bfloat16, enabled=numbers == "bf16"):
                loss = F.cross_entropy(model(there[0]), there[1])
            loss.backward()
            if optimizer:
                optimizer.step()
        torch.cuda.synchronize()
        return time.perf_counter() - begin

    steps(10)
    count = max(5, int(seconds / (steps(10) / 10)))
    return rows * count / steps(count)


if __name__ == "__main__":
    NET, ROWS, SECONDS, NUMBERS, *STEPS = sys.argv[1:]
    for WAY in ("eager", "compiled"):
        print(WAY, rate(NET, int(ROWS), float(SECONDS), WAY, NUMBERS, bool(STEPS)), flush=True)
