"""What a random run is made of: every choice follows from the seed, and any may be set by hand.

A knob is set by the environment variable of its name in capitals behind RANDOM_, as in
RANDOM_QPS=3. Each is drawn from its own generator, so setting one changes no other.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from tb.axi_memory import Timing

PREFIX = "RANDOM_"
LEVELS = ("none", "light", "full")
KINDS = ("loss", "duplicate", "reorder", "corrupt", "delay", "mark", "bad")
"""What the wire may do to a frame."""
HIGHEST = 0.05
TASTES = ("immediates", "atomics", "draining", "invalidation")
"""What is rare otherwise; the first three need queue pairs without the provider."""
RAW_TASTES = TASTES[:3]
MTUS = (256, 512, 1024, 2048, 4096)
TIMEOUT_CODES = (3, 5)
"""4.096 us * 2^n: beyond what slow memory and a long queue of frames need, yet soon."""
PSN_BITS = 24


@dataclass(frozen=True, slots=True)
class Knobs:
    """One random run."""

    seed: int
    faults: str = "none"
    qps: int = 4  # pairs of queue pairs
    operations: int = 240  # of all of them together
    largest: int = 16_384  # bytes of a message
    mtu: int = 0  # 0: each its own
    versions: tuple[int, ...] = (0, 1)  # IP: indices of addresses
    depth: int = 64  # of send and receive queues
    cq_depth: int = 2048
    push: str = "INLINE_WHEN_EMPTY"
    credits: bool = True  # answers tell how many receives are posted
    near_wrap: bool = False  # PSNs begin shortly before they wrap
    late_receives: float = 0.0  # chance of a receive that is posted behind its SEND
    doomed: int = 0  # pairs of queue pairs that end in the middle of their work
    atomics: bool = False
    raw_qps: int = 0  # pairs driven without the provider: immediates, atomics
    taste: str = "any"  # what lanes like to do most
    timeout: int = 4
    min_rnr_timer: int = 1
    read_latency: int = 0
    write_latency: int = 0
    stall: float = 0.0  # of each channel of host memory
    disorder: bool = False  # answers of different AXI IDs mix
    wire_delay: int = 0
    rate: float = 16.0  # bytes a cycle
    overtake: int = 400  # cycles by which a frame may be late, at most
    vlan: int = 0  # tag of all frames, 0 for none
    ack_every: int = 16  # requests that an acknowledge may cover
    ack_delay: int = 256  # cycles that it may wait
    paced: bool = False  # marks slow queue pairs down (DCQCN, made quick)
    weather: bool = False  # faults come and go; otherwise they stay as they are
    chances: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def drawn(cls, seed: int, faults: str = "none") -> Knobs:
        """What the seed says."""
        draw = _Draw(seed)
        qps = draw("qps").choice([1, 2, 3, 4, 4, 6, 8, 12, 16, 32, 64])
        mtu = draw("mtu").choice([0, 0, *MTUS])
        slow = draw("memory").random()
        taste = draw("taste").choice(["any", "any", *TASTES])
        stall = draw("stall").choice([0.0, 0.0, 0.1, 0.3])
        return cls(
            seed,
            faults,
            qps=qps,
            operations=draw("operations").randint(120, 300) + 4 * qps,
            largest=draw("largest").choice([500, 4096, 16_384, 60_000]),
            mtu=mtu,
            depth=draw("depth").choice([8, 16, 32, 64]),
            cq_depth=draw("cq_depth").choice([0, 2048]),
            push=draw("push").choice(["NEVER", "INLINE_WHEN_EMPTY", "ALWAYS"]),
            credits=draw("credits").random() < 0.6,
            near_wrap=draw("psn").random() < 0.5,
            late_receives=draw("late").choice([0.0, 0.02, 0.2]) if faults != "none" else 0.0,
            doomed=draw("doomed").choice([0, 0, 0, 1, 2]) if faults != "none" else 0,
            atomics=draw("atomics").random() < 0.7 or taste == "atomics",
            raw_qps=draw("raw").choice([0, 0, 1, 2, 4]) + 2 * (taste in RAW_TASTES),
            taste=taste,
            # Without faults nothing may be repeated, however long the wire is busy with others.
            timeout=draw("timeout").randint(*TIMEOUT_CODES) + 3 * (faults == "none"),
            read_latency=draw("read").randint(0, 250) if slow < 0.7 else 0,
            write_latency=draw("write").randint(0, 250) if slow < 0.7 else 0,
            stall=stall,
            disorder=draw("disorder").random() < 0.6,
            wire_delay=draw("delay").randint(0, 300),
            rate=draw("rate").choice([8.0, 12.5, 25.0, 50.0]),
            overtake=draw("overtake").choice([20, 100, 400, 2000]),
            vlan=draw("vlan").choice([0, 0, 0, 0x0001, 0x6FFE]),
            ack_every=draw("ack_every").choice([1, 2, 16, 16, 200]),
            ack_delay=draw("ack_delay").choice([0, 20, 256, 256, 1000]),
            paced=draw("paced").random() < 0.4,
            weather=draw("weather").random() < 0.4 if faults != "none" else False,
            chances=chances_of(draw("chances"), faults),
        )

    @property
    def timing(self) -> Timing:
        """How host memory behaves."""
        return Timing(
            read_latency=self.read_latency,
            write_latency=self.write_latency,
            reorder=self.disorder,
            interleave=self.disorder,
            stall=dict.fromkeys(("aw", "w", "b", "ar", "r"), self.stall),
        )

    @property
    def healthy(self) -> bool:
        """Nothing goes wrong on purpose, so nothing may be repeated."""
        return not (any(self.chances.values()) or self.late_receives or self.doomed)

    def as_json(self) -> str:
        """For the report of a run."""
        return json.dumps(asdict(self))


class _Draw:
    """A generator for each knob."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, name: str) -> random.Random:
        return random.Random(f"{self._seed} {name}")


def chances_of(rng: random.Random, faults: str) -> dict[str, float]:
    """A probability for each kind of fault: none, few and small, or any up to the highest."""
    if faults not in LEVELS:
        raise ValueError(f"faults are {', '.join(LEVELS)}, not {faults}")
    if faults == "none":
        return dict.fromkeys(KINDS, 0.0)
    if faults == "light":
        chosen = rng.sample(KINDS, 2)
        return {kind: 0.005 if kind in chosen else 0.0 for kind in KINDS}
    return {kind: rng.choice([0.0, 0.002, 0.01, 0.02, HIGHEST]) for kind in KINDS}


def knobs_from(seed: int, environment: Mapping[str, str] | None = None) -> Knobs:
    """The seed's knobs, and what the environment sets of them."""
    said = os.environ if environment is None else environment
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in said.items()
        if name.startswith(PREFIX) and value != ""
    }
    knobs = Knobs.drawn(seed, given.pop("faults", "none"))
    chances = dict(knobs.chances)
    changes: dict[str, Any] = {}
    known = {f.name: f for f in fields(Knobs)}
    for name, value in given.items():
        if name in KINDS:
            chances[name] = float(value)
        elif name in known and name not in ("chances", "seed"):
            changes[name] = _parsed(getattr(knobs, name), value)
        else:
            raise ValueError(f"{PREFIX}{name.upper()} is no knob; they are {sorted(known)}")
    return replace(knobs, **changes, chances=chances)


def _parsed(old: Any, value: str) -> Any:
    if isinstance(old, bool):
        return value.lower() not in ("0", "no", "false")
    if isinstance(old, tuple):
        return tuple(int(part) for part in value.split(","))
    return type(old)(value)
