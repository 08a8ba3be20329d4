"""The reaction point of DCQCN as the specification words it, in floating point: one flow."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Parameters:
    """Rates in Mbit/s, times in microseconds; proposed defaults. A period of 0 is never over."""

    line: float = 100_000
    min_rate: float = 10
    min_factor: float = 0.5  # of the rate is kept by a cut, at least
    monitor: float = 50
    alpha_period: float = 55  # K
    gain: float = 1 / 256  # g
    time_period: float = 55  # T
    byte_period: int = 10_000_000  # B
    stages: int = 5  # F
    additive: float = 40  # R_AI
    hyper: float = 400  # R_HAI


@dataclass(slots=True)
class Flow:
    """RC, RT, alpha, BC, TC of one flow; it is told of CNPs, of time and of bytes."""

    parameters: Parameters = field(default_factory=Parameters)
    limited: bool = False
    rate: float = 0
    target: float = 0
    alpha: float = 1
    byte_stage: int = 0
    time_stage: int = 0
    _cut_at: float = 0
    _alpha_at: float = 0
    _time_at: float = 0
    _bytes_at: int = 0

    def cnp(self, now: float, sent: int) -> bool:
        """A CNP arrives when so many bytes were sent; False: it does not count."""
        p = self.parameters
        if not self.limited:
            self.rate = self.target = p.line
            self.alpha = 1
            self.limited = True
        elif now - self._cut_at < p.monitor:
            return False
        self.target = self.rate
        lowest = max(p.min_rate, self.rate * p.min_factor)
        self.rate = max(self.rate * (1 - self.alpha / 2), lowest)
        self.alpha = (1 - p.gain) * self.alpha + p.gain
        self.byte_stage = self.time_stage = 0
        self._cut_at = self._alpha_at = self._time_at = now
        self._bytes_at = sent
        return True

    def advance(self, now: float, sent: int) -> None:
        """Everything that is due by now."""
        p = self.parameters
        while self.limited and p.alpha_period and now - self._alpha_at >= p.alpha_period:
            self._alpha_at += p.alpha_period
            self.alpha *= 1 - p.gain
        while self.limited and p.byte_period and sent - self._bytes_at >= p.byte_period:
            self._bytes_at += p.byte_period
            self.byte_stage += 1
            self._increase()
        while self.limited and p.time_period and now - self._time_at >= p.time_period:
            self._time_at += p.time_period
            self.time_stage += 1
            self._increase()

    def _increase(self) -> None:
        p = self.parameters
        low, high = sorted((self.byte_stage, self.time_stage))
        if high > p.stages:
            step = p.additive if low <= p.stages else (low - p.stages) * p.hyper
            self.target = min(self.target + step, p.line)
        self.rate = (self.target + self.rate) / 2
        # As near as its 256ths of a Mbit/s can tell.
        self.limited = self.rate < p.line - 1 / 256

    def margin(self, now: float, sent: int) -> tuple[float, int]:
        """How far time and bytes are from the next or the last thing that is due."""
        p = self.parameters
        times = [
            min((now - start) % period, period - (now - start) % period)
            for start, period in ((self._alpha_at, p.alpha_period), (self._time_at, p.time_period))
            if period
        ]
        count = sent - self._bytes_at
        if not p.byte_period:
            return min(times, default=1e9), 1 << 60
        near = min(count % p.byte_period, p.byte_period - count % p.byte_period)
        return min(times, default=1e9), near
