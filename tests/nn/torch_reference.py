"""What torch makes of the layers that torch_test writes to standard input.

A case is a line "case TYPE KEY=VALUE ...", then lines "tensor DIM ... : NUMBER ..." of the inputs,
the parameters and the gradient by the output, each group after a line with its count. Printed for
each case, a line a tensor: the output and the gradients by all inputs and parameters.
"""

import sys

import torch
import torch.nn.functional as F

ELEMENTWISE = {
    "relu": lambda x, k: F.relu(x),
    "leaky_relu": lambda x, k: F.leaky_relu(x, k.get("slope", 0.01)),
    "elu": lambda x, k: F.elu(x, k.get("slope", 1.0)),
    "selu": lambda x, k: F.selu(x),
    "gelu": lambda x, k: F.gelu(x),
    "silu": lambda x, k: F.silu(x),
    "sigmoid": lambda x, k: torch.sigmoid(x),
    "tanh": lambda x, k: torch.tanh(x),
    "softmax": lambda x, k: torch.softmax(x, -1),
}


def channels_first(x):
    x = x if x.dim() == 4 else x.unsqueeze(-1)
    return x.permute(0, 3, 1, 2)


def channels_last(x):
    return x.permute(0, 2, 3, 1)


def convolve(inputs, parameters, keys):
    bias = parameters[1] if len(parameters) > 1 else None
    return channels_last(F.conv2d(channels_first(inputs[0]), parameters[0].permute(3, 2, 0, 1),
                                  bias, stride=int(keys.get("stride", 1)),
                                  padding=int(keys.get("padding", 0)),
                                  groups=int(keys.get("groups", 1))))


def pool(kind, inputs, keys):
    kernel = int(keys["kernel"])
    stride, padding = int(keys.get("stride", kernel)), int(keys.get("padding", 0))
    x = channels_first(inputs[0])
    if kind == "max_pool":
        return channels_last(F.max_pool2d(x, kernel, stride, padding))
    return channels_last(F.avg_pool2d(x, kernel, stride, padding, count_include_pad=False))


def recur(kind, inputs, parameters, keys):
    """Torch has a second bias, and its weights the other way round."""
    weight, recurrent, bias = parameters
    weights = [weight.t(), recurrent.t(), bias, torch.zeros(bias.shape)]
    state = torch.zeros(1, inputs[0].shape[0], recurrent.shape[0])
    if kind == "lstm":
        outputs = torch._VF.lstm(inputs[0], (state, state), weights, True, 1, 0.0, True, False,
                                 True)[0]
    else:
        outputs = torch._VF.rnn_tanh(inputs[0], state, weights, True, 1, 0.0, True, False, True)[0]
    return outputs if keys.get("cell_output") == "all" else outputs[:, -1]


def normalize(inputs, parameters, keys):
    x = inputs[0]
    flat = x.reshape(-1, x.shape[-1])
    running = [statistic.detach().clone() for statistic in parameters[2:]]
    y = F.batch_norm(flat, *running, parameters[0], parameters[1], training=True,
                     momentum=0.1, eps=keys.get("epsilon", 1e-5))
    # What plain descent by 0.1 would have made of the statistics.
    change = [(before.detach() - after) / 0.1 for before, after in zip(parameters[2:], running)]
    return y.reshape(x.shape), change


def forward(kind, inputs, parameters, keys):
    if kind in ELEMENTWISE:
        return ELEMENTWISE[kind](inputs[0], keys)
    if "sparse" in keys:
        product = torch.sparse.mm(inputs[0].detach().to_sparse(), parameters[0])
        return product + parameters[1] if len(parameters) > 1 else product
    if kind == "affine":
        return torch.addmm(parameters[1], inputs[0], parameters[0])
    if kind == "conv2d":
        return convolve(inputs, parameters, keys)
    if kind in ("max_pool", "average_pool"):
        return pool(kind, inputs, keys)
    if kind == "global_max_pool":
        return torch.amax(inputs[0], (1, 2))
    if kind == "global_average_pool":
        return torch.mean(inputs[0], (1, 2))
    if kind == "layer_norm":
        return F.layer_norm(inputs[0], inputs[0].shape[-1:], *parameters)
    if kind in ("rnn", "lstm"):
        return recur(kind, inputs, parameters, keys)
    if kind == "add":
        return sum(inputs)
    if kind == "multiply":
        return inputs[0] * inputs[1]
    if kind == "concat":
        return torch.cat(inputs, -1)
    if kind == "embedding":
        return F.embedding(inputs[0].long(), parameters[0])
    if kind == "embedding_bag":
        return F.embedding_bag(inputs[0].long(), parameters[0], mode="sum")
    if kind == "fm":
        total = inputs[0].sum(1) ** 2 - (inputs[0] ** 2).sum(1)
        return 0.5 * total.sum(1, keepdim=True)
    raise ValueError(kind)


def read_tensors(lines):
    tensors = []
    for _ in range(int(next(lines))):
        dims, numbers = next(lines).split(":")
        shape = [int(dim) for dim in dims.split()[1:]]
        values = torch.tensor([float(number) for number in numbers.split()])
        tensors.append(values.reshape(shape).requires_grad_())
    return tensors


def run_case(lines, words):
    keys = {}
    for word in words[1:]:
        key, value = word.split("=")
        keys[key] = value if value.isalpha() else float(value)
    inputs, parameters, back = read_tensors(lines), read_tensors(lines), read_tensors(lines)
    statistics = []
    if words[0].startswith("batch_norm"):
        output, statistics = normalize(inputs, parameters, keys)
    else:
        output = forward(words[0], inputs, parameters, keys)
    output.backward(back[0].detach())
    trained = parameters[:len(parameters) - len(statistics)]
    read = [] if words[0].startswith("embedding") or "sparse" in keys else inputs
    # What had no part in the output has none: the recurrent weight of a single moment.
    gradients = [torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
                 for tensor in read + trained]
    for tensor in [output] + gradients + statistics:
        print(" ".join(f"{number:.9g}" for number in tensor.detach().flatten().tolist()))


def main():
    torch.set_num_threads(1)
    lines = iter(sys.stdin.read().splitlines())
    for line in lines:
        run_case(lines, line.split()[1:])


main()
