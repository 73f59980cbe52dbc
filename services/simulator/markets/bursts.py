"""When things happen: a self-exciting (Hawkes) process with exponential kernels, drawn exactly. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf, log
from random import Random

from .shape import Kernel


class Bursts:
    """Times of events that call others, so that quiet and crowded moments alternate.

    Each kernel's part of the intensity only falls between events, so the waiting time under it can be drawn
    directly; the next event is the earliest of these and of the background.
    """

    def __init__(self, random: Random, background: float, kernels: Sequence[Kernel]) -> None:
        self._random = random
        self._background = background
        self._decays = [kernel.decay for kernel in kernels]
        self._jumps = [kernel.children * kernel.decay for kernel in kernels]
        self._intensities = [0.0 for _ in kernels]
        self.time = 0.0

    def next(self) -> float:
        """Time of the next event, in seconds from the start; the events before have called what they call."""
        draw = self._random.random
        wait = -log(1.0 - draw()) / self._background
        for intensity, decay in zip(self._intensities, self._decays, strict=True):
            wait = min(wait, self._under(intensity, decay, draw()))
        self._intensities = [
            intensity * exp(-decay * wait) + jump
            for intensity, decay, jump in zip(self._intensities, self._decays, self._jumps, strict=True)
        ]
        self.time += wait
        return self.time

    @staticmethod
    def _under(intensity: float, decay: float, uniform: float) -> float:
        """Waiting time under a falling intensity; infinite if it dies out before an event."""
        if intensity <= 0.0:
            return inf
        left = 1.0 + decay * log(1.0 - uniform) / intensity
        return -log(left) / decay if left > 0.0 else inf
