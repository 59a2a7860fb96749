"""A whole training step on the device: views, looks, forward, backward, optimiser, averaging, as one CUDA graph.

Nothing in a step waits for the host; the host launches steps, sets the learning rate and reads sums once an epoch.
Without CUDA, or where a capture fails, the same step runs as plain code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from train.distil import both_looks
from train.losses import supervised
from train.precision import autocast
from train.students.blocks import Student
from train.views import DRAWS, ViewRanges, batch_of, placed

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
WARM_STEPS = 3  # before a capture: libraries choose their kernels and allocate
SIDE_STEP = 2
KNOWN, UNKNOWN = (
    1.5,
    1.8,
)  # reach of a view, in frames: up to where a teacher's map counts in full, from where not at all


@dataclass
class Learner:
    """A network in training: its optimiser, its averaged copy, and the loss summed over the steps of an epoch."""

    net: Student
    optimiser: torch.optim.Optimizer
    average: Student
    rate: torch.Tensor
    loss_sum: torch.Tensor
    pairs: tuple[list[torch.Tensor], list[torch.Tensor]]

    def changed(self) -> list[torch.Tensor]:
        """Every tensor that a step changes in place."""
        state = [value for kept in self.optimiser.state.values() for value in kept.values()]
        both = [*self.net.parameters(), *self.net.buffers(), *self.average.parameters(), *self.average.buffers()]
        return [value.detach() for value in (*both, *state)]


def learner(net: Student, average: Student, weight_decay: float, device: torch.device) -> Learner:
    """`net` and a copy of it, both on `device`, ready for `Steps`; only kernels decay, not biases or scales."""
    net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average.load_state_dict(net.state_dict())
    average.eval().requires_grad_(False)
    rate = torch.zeros((), device=device)
    kernels = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": kernels, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    cuda = device.type == "cuda"
    optimiser = torch.optim.AdamW(groups, lr=rate, fused=cuda, capturable=cuda)
    current, kept = net.state_dict(), average.state_dict()
    floating = [name for name, value in current.items() if value.is_floating_point()]
    return Learner(
        net, optimiser, average, rate, torch.zeros((), device=device),
        ([kept[name] for name in floating], [current[name] for name in floating]),
    )  # fmt: skip


class Steps:
    """Training steps of several learners over the same views, at one size of view.

    `frames` uint8 `[N, S, S, 4]`: pictures and masks. `order` int64 `[M]` is what an epoch goes through; `start_epoch`
    shuffles it. `teacher_weight` of a teacher's map joins every target: of the `teacher`'s own look at each view, or of
    `maps` uint8 `[N, S, S, 1]`, its looks at whole frames. Where `labelled` bool `[N]` denies a mask, it is all of it.
    Steps that run `calm` take their views from the `calm` ranges.
    """

    def __init__(
        self, frames: torch.Tensor, order: torch.Tensor, learners: Sequence[Learner], loss_of: Loss, ranges: ViewRanges,
        batch: int, side_weight: float, teacher: Student | None = None, teacher_weight: float = 0.0,
        streams: bool = True, maps: torch.Tensor | None = None, labelled: torch.Tensor | None = None,
        calm: ViewRanges | None = None,
    ) -> None:  # fmt: skip
        self.frames, self.order, self.learners, self.loss_of = frames, order, learners, loss_of
        self.ranges = (ranges, calm or ranges)
        self.batch, self.side_weight, self.teacher, self.teacher_weight = batch, side_weight, teacher, teacher_weight
        self.chosen, self.maps, self.labelled = order.clone(), maps, labelled
        self.device = frames.device
        self.cuda = self.device.type == "cuda"
        self.cursor = torch.zeros(1, dtype=torch.int64, device=self.device)
        self.along = torch.arange(batch, device=self.device)
        self.forget = torch.ones((), device=self.device)
        self.per_epoch = len(order) // batch
        self.streams = [torch.cuda.Stream() for _ in learners] if self.cuda and streams and len(learners) > 1 else []
        self.graphs: dict[tuple[int, bool], torch.cuda.CUDAGraph | None] = {}

    def start_epoch(self, generator: torch.Generator | None = None) -> None:
        """Shuffle, and begin at the first batch."""
        shuffled = torch.randperm(len(self.order), device=self.device, generator=generator)
        self.order.copy_(self.chosen[shuffled])
        self.cursor.zero_()
        for one in self.learners:
            one.loss_sum.zero_()

    def remembered(self) -> dict[int, torch.Tensor]:
        """Copies of all that a step changes, by where it lies in memory."""
        return {tensor.data_ptr(): tensor.clone() for one in self.learners for tensor in one.changed()}

    def put_back(self, before: dict[int, torch.Tensor]) -> None:
        """Undo steps, in place, since a captured graph knows its tensors by their memory."""
        for one in self.learners:
            for tensor in one.changed():
                if tensor.data_ptr() in before:
                    tensor.copy_(before[tensor.data_ptr()])
                else:
                    tensor.zero_()  # the optimiser's state, which began at 0 in the first step

    def run(self, size: int, rate: float, decay: float, calm: bool = False) -> None:
        """One step on views of `size` at learning rate `rate`, averages forgetting 1 - `decay` of themselves."""
        for one in self.learners:
            one.rate.fill_(rate)
        self.forget.fill_(1 - decay)
        graph = self.graphs.get((size, calm))
        if graph:
            graph.replay()
        else:
            self._step(size, calm)

    def capture(self, size: int, calm: bool = False) -> str:
        """Record the step for views of `size`; returns what was recorded. Trains `WARM_STEPS` steps on the way."""
        if not self.cuda:
            return "plain"
        while True:
            try:
                side = torch.cuda.Stream()
                side.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(side):
                    for _ in range(WARM_STEPS):
                        self._step(size, calm)
                torch.cuda.current_stream().wait_stream(side)
                torch.cuda.synchronize()
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):
                    self._step(size, calm)
                torch.cuda.synchronize()
                self.graphs[size, calm] = graph
                return f"graph, {len(self.streams) or 1} streams"
            except RuntimeError as error:
                torch.cuda.synchronize()
                if not self.streams:
                    self.graphs[size, calm] = None
                    return f"plain, after {error}"
                self.streams = []

    def _step(self, size: int, calm: bool) -> None:
        ranges = self.ranges[calm]
        index = self.order.index_select(0, self.cursor * self.batch + self.along)
        self.cursor.add_(1).remainder_(self.per_epoch)
        with torch.no_grad():
            draws = torch.rand(self.batch, DRAWS, device=self.device)
            images, layers = batch_of(self.frames, index, size, ranges, draws, self.maps, self.labelled)
            truth = layers[:, :1]
            if self.teacher or self.maps is not None:
                truth = self._taught(images, layers, ranges, draws)
        if not self.streams:
            for one in self.learners:
                self._learn(one, images, truth)
            return
        here = torch.cuda.current_stream()
        for one, stream in zip(self.learners, self.streams, strict=True):
            stream.wait_stream(here)
            with torch.cuda.stream(stream):
                self._learn(one, images, truth)
        for stream in self.streams:
            here.wait_stream(stream)

    def _learn(self, one: Learner, images: torch.Tensor, truth: torch.Tensor) -> None:
        one.optimiser.zero_grad(set_to_none=True)
        with autocast(self.device, cache_enabled=False):
            outputs = one.net.outputs(images)
        loss = supervised(self.loss_of, outputs, truth, self.side_weight, SIDE_STEP)
        loss.backward()
        one.optimiser.step()
        with torch.no_grad():
            one.loss_sum.add_(loss.detach())
            kept, current = one.pairs
            change = torch._foreach_sub(current, kept)
            torch._foreach_mul_(change, self.forget)
            torch._foreach_add_(kept, change)

    def _taught(
        self, images: torch.Tensor, layers: torch.Tensor, ranges: ViewRanges, draws: torch.Tensor
    ) -> torch.Tensor:
        """The target with the teacher's share in it, `[B, 1, size, size]`."""
        if self.teacher:
            with autocast(self.device, cache_enabled=False):
                looks = both_looks(self.teacher, images)
            # A teacher knows less of views that are much wider than its own were.
            known = ((UNKNOWN - placed(ranges, draws)[1]) / (UNKNOWN - KNOWN)).clamp(0, 1)
            share = self.teacher_weight * known[:, None, None, None]
        else:
            looks, share = layers[:, 1:2], torch.full_like(layers[:, :1], self.teacher_weight)
        if self.labelled is not None:
            share = torch.where(layers[:, -1:] > 0, share, 1.0)
        return torch.lerp(layers[:, :1], looks, share.expand_as(looks))
