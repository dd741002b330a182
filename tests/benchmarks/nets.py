"""The networks of nets/ in PyTorch, written as its users write them. Their results are logits.

Each has its layers in the order of the spec, so that weights are copied one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Flat(nn.Linear):
    """A dense layer over a flattened picture. spatial: the picture's height and width, for the order of its weights."""

    def __init__(self, channels: int, height: int, width: int, features: int) -> None:
        super().__init__(channels * height * width, features)
        self.spatial = (height, width)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1))


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class Residual(nn.Module):
    def __init__(self, body: nn.Module, skip: nn.Module) -> None:
        super().__init__()
        self.body, self.skip = body, skip

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.skip(x))


class Side(nn.ModuleList):
    """Modules side by side, their results joined along the channels."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([module(x) for module in self], 1)


class Last(nn.Module):
    """The last hidden state of an LSTM. PyTorch has two biases where one is enough: the second stays 0."""

    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, units, batch_first=True)
        nn.init.zeros_(self.lstm.bias_hh_l0)
        self.lstm.bias_hh_l0.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x)[1][0][0]


class Author(nn.Module):
    def __init__(self, words: int = 50_000, groups: int = 10) -> None:
        super().__init__()
        self.words = nn.Embedding(words, 256)
        relu = nn.ReLU
        self.body = nn.Sequential(
            *(nn.Conv1d(256, 128, 5), relu(), nn.MaxPool1d(5)),
            *(nn.Conv1d(128, 256, 5), relu(), nn.Conv1d(256, 256, 5), relu(), nn.MaxPool1d(5)),
            *(nn.Conv1d(256, 256, 5), relu(), nn.Conv1d(256, 256, 5), relu()),
        )
        self.person = nn.Linear(256, 128)
        self.age, self.income, self.gender = nn.Linear(128, 1), nn.Linear(128, groups), nn.Linear(128, 1)

    def forward(self, posts: Tensor) -> tuple[Tensor, ...]:
        steps = self.body(self.words(posts).transpose(1, 2))
        person = F.relu(self.person(steps.amax(2)))
        return self.age(person), self.income(person), self.gender(person)


class Answering(nn.Module):
    def __init__(self, words: int = 10_000, answers: int = 500) -> None:
        super().__init__()
        self.text, self.read = nn.Embedding(words, 64), Last(64, 32)
        self.question, self.ask = nn.Embedding(words, 32), Last(32, 16)
        self.reply = nn.Linear(48, answers)

    def forward(self, text: Tensor, question: Tensor) -> Tensor:
        return self.reply(torch.cat([self.read(self.text(text)), self.ask(self.question(question))], 1))


# --- networks made of layers in a row ---------------------------------------------------------------------------------


def conv_relu(*arguments: Any, **settings: Any) -> list[nn.Module]:
    return [nn.Conv2d(*arguments, **settings), nn.ReLU()]


def conv_norm(inputs: int, outputs: int, size: int, stride: int = 1, pad: int = 0, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, size, stride, pad, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10))


def lenet() -> nn.Module:
    first, second = conv_relu(1, 20, 5), conv_relu(20, 50, 5)
    ending = [Flat(50, 4, 4, 500), nn.ReLU(), nn.Linear(500, 10)]
    return nn.Sequential(*first, nn.MaxPool2d(2), *second, nn.MaxPool2d(2), *ending)


def lenet5() -> nn.Module:
    first, second = conv_relu(1, 6, 5, padding=2), conv_relu(6, 16, 5)
    ending = [Flat(16, 5, 5, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
    return nn.Sequential(*first, nn.MaxPool2d(2), *second, nn.MaxPool2d(2), *ending)


def resnet20() -> nn.Module:
    layers, before = [conv_norm(3, 16, 3, 1, 1), nn.ReLU()], 16
    for channels in (16, 32, 64):
        for _ in range(3):
            stride = 1 if channels == before else 2
            body = nn.Sequential(
                conv_norm(before, channels, 3, stride, 1), nn.ReLU(), conv_norm(channels, channels, 3, 1, 1)
            )
            skip = nn.Identity() if stride == 1 else conv_norm(before, channels, 1, stride)
            layers.append(Residual(body, skip))
            before = channels
    return nn.Sequential(*layers, Mean(), nn.Linear(64, 10))


def inception() -> nn.Module:
    one = conv_relu(64, 128, 1, 2)
    two = [*conv_relu(64, 128, 1), *conv_relu(128, 128, 3, 2, 1)]
    pool = [nn.AvgPool2d(3, 2, 1, count_include_pad=False), *conv_relu(64, 128, 3, 1, 1)]
    four = [*conv_relu(64, 128, 1), *conv_relu(128, 128, 3, 1, 1), *conv_relu(128, 128, 3, 2, 1)]
    branches = Side(nn.Sequential(*branch) for branch in (one, two, pool, four))
    return nn.Sequential(branches, Mean(), nn.Linear(512, 10))


def separable_conv(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, inputs, 3, groups=inputs, bias=False), nn.Conv2d(inputs, outputs, 1), nn.ReLU()]


def separable() -> nn.Module:
    layers: list[nn.Module] = [*separable_conv(3, 32), *separable_conv(32, 64), nn.MaxPool2d(2)]
    layers += [*separable_conv(64, 64), *separable_conv(64, 128), nn.MaxPool2d(2)]
    layers += [*separable_conv(128, 64), *separable_conv(64, 128), Mean()]
    return nn.Sequential(*layers, nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 10))


def lstm() -> nn.Module:
    return nn.Sequential(Last(32, 32), nn.Linear(32, 10))


def vgg16() -> nn.Module:
    layers, before = [], 3
    for channels, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += conv_relu(before, channels, 3, padding=1)
            before = channels
        layers.append(nn.MaxPool2d(2))
    dense = [Flat(512, 7, 7, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)]
    return nn.Sequential(*layers, *dense)


def bottleneck(before: int, channels: int, stride: int) -> nn.Module:
    squeezed = [conv_norm(before, channels, 1), nn.ReLU(), conv_norm(channels, channels, 3, stride, 1), nn.ReLU()]
    body = nn.Sequential(*squeezed, conv_norm(channels, 4 * channels, 1))
    same = stride == 1 and before == 4 * channels
    return Residual(body, nn.Identity() if same else conv_norm(before, 4 * channels, 1, stride))


def resnet50() -> nn.Module:
    layers, before = [conv_norm(3, 64, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for channels, count in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for index in range(count):
            layers.append(bottleneck(before, channels, 2 if index == 0 and channels > 64 else 1))
            before = 4 * channels
    return nn.Sequential(*layers, Mean(), nn.Linear(2048, 1000))


def mobilenet() -> nn.Module:
    layers, before = [conv_norm(3, 32, 3, 2, 1), nn.ReLU()], 32
    units = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for channels, stride in units:
        layers += [conv_norm(before, before, 3, stride, 1, before), nn.ReLU()]
        layers += [conv_norm(before, channels, 1), nn.ReLU()]
        before = channels
    return nn.Sequential(*layers, Mean(), nn.Linear(1024, 1000))


def plain(width: int, depth: int) -> nn.Module:
    layers = conv_relu(3, width, 3, padding=1)
    for _ in range(depth - 1):
        layers += conv_relu(width, width, 3, padding=1)
    return nn.Sequential(*layers, Mean(), nn.Linear(width, 10))


NETWORKS: Mapping[str, Callable[..., nn.Module]] = {
    "mlp": mlp,
    "lenet": lenet,
    "lenet5": lenet5,
    "resnet20": resnet20,
    "inception": inception,
    "separable": separable,
    "lstm": lstm,
    "author": Author,
    "qa": Answering,
    "vgg16": vgg16,
    "resnet50": resnet50,
    "mobilenet": mobilenet,
    "plain": plain,
}
