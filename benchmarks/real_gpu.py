"""Tries Wattlas on a real NVIDIA GPU and writes down what it found; docs/real-gpu.md says more.

In 8 minutes: what the collector costs and whether it raises an idle card's power; a load whose
operations are known, against the activity that GPM shows; the energy counter against power; the
bench; and a trace of all NVML answers that can become a test.
"""

import argparse
import asyncio
import importlib
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for the parts in gpu/

try:
    from gpu import here, idle
    from gpu.known import Known
    from gpu.report import markdown

    from agent import host, logs
    from agent.bench.child import BenchError
    from agent.bench.plan import TICK_SECONDS, times
    from agent.cli.bench import Job
    from agent.samples import Sample
    from agent.trace.recorder import Recorder
except ModuleNotFoundError as error:
    sys.exit(
        f"real_gpu.py: {error.name} is missing: run it with the Python of .venv (scripts/setup), or"
        " as docs/real-gpu.md describes for a machine without network"
    )

PHASES, PHASE_SECONDS = 8, 12.0
LEVEL_SECONDS = 6.0
PRECISIONS = ("fp32", "fp64", "fp16_tensor", "fp64_tensor")
BENCH_PRECISIONS = ("fp32", "fp16")


class Run:
    """One run: what is found, and what could not be done."""

    def __init__(self, output: Path, seconds: float, *, quick: bool) -> None:
        self.output = output
        self.budget = here.Budget(seconds)
        self.quick = quick
        self.found = here.collectors()
        self.samples: list[Sample] = []
        self.result: dict[str, Any] = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "wattlas": host.build_info().version,
            "notes": [],
        }

    def note(self, sentence: str) -> None:
        """Keep what a reader must know."""
        self.result["notes"].append(sentence)
        print(f"note: {sentence}", file=sys.stderr, flush=True)

    def tell(self, what: str) -> None:
        """Say what is being done."""
        print(f"[{self.budget.left:4.0f} s left] {what}", file=sys.stderr, flush=True)

    def has_time(self, what: str, seconds: float) -> bool:
        """Tell whether there is time for a part; note it if there is not."""
        if self.budget.left >= seconds:
            return True
        self.note(f"{what}: left out, the time was up")
        return False

    # -- parts --------------------------------------------------------------------------------

    def idle(self, api: Any) -> None:
        """Alternate with and without the collector."""
        cls = self.found.classes["nvml"]
        settings = cls.Settings()
        phases, seconds = (4, 3.0) if self.quick else (PHASES, PHASE_SECONDS)
        if not self.has_time("idle card", phases * (seconds + 2)):
            return
        with idle.Timed(api) as timed:
            found, ticks = idle.alternate(
                api,
                0,
                lambda: idle.Ticks(cls, settings, self.samples.append, timed),
                phases,
                seconds,
                self.tell,
            )
        self.result["idle"] = {**found, "cost": idle.cost(ticks), "ticks": ticks}

    async def known(self, api: Any) -> None:
        """Run the known loads and compare."""
        nvml = here.only(self.found, "nvml")
        seconds = 2.0 if self.quick else LEVEL_SECONDS
        precisions = PRECISIONS[:1] if self.quick else PRECISIONS
        one = 5 * (seconds * 1.3 + 1) + 6
        while precisions and self.budget.left < len(precisions) * one:
            self.note(f"known load in {precisions[-1]}: left out, the time was up")
            precisions = precisions[:-1]
        if not precisions:
            return
        api.nvmlInit()
        try:
            handle = api.nvmlDeviceGetHandleByIndex(0)
            run = Known(here.settings(nvml, 0.5), nvml, seconds, self.tell)
            try:
                self.result["known"] = await run.run(api, handle, precisions)
            except BenchError as error:
                self.note(f"known load: {error}")
            self.samples += run.samples
        finally:
            api.nvmlShutdown()

    async def bench(self) -> None:
        """Run `wattlas bench` on the GPU, through CuPy or PyTorch."""
        seconds = 2.0 if self.quick else LEVEL_SECONDS
        needs = len(BENCH_PRECISIONS) * 6 * (seconds * 1.3 + 1) + 20
        if not self.has_time("wattlas bench", needs):
            return
        self.tell("wattlas bench --device gpu")
        job = Job(here.settings(self.found, TICK_SECONDS), self.found, times(seconds))
        await job.run(("gpu",), BENCH_PRECISIONS, None)
        if job.failure is not None:
            self.note(f"wattlas bench: {job.failure}")
        if job.series:
            self.result["bench"] = job.document()

    def write(self) -> None:
        """Write the report, its figures and the trace."""
        self.output.mkdir(parents=True, exist_ok=True)
        if self.samples:
            path = self.output / "nvml-trace.jsonl"
            with path.open("wb") as file:
                recorder = Recorder(file)
                for sample in self.samples:
                    recorder.record(sample)
                recorder.close()
        (self.output / "real-gpu.json").write_text(json.dumps(self.result, indent=1))
        (self.output / "real-gpu.md").write_text(markdown(self.result), encoding="utf-8")
        print(f"written: {self.output}/real-gpu.md, real-gpu.json, nvml-trace.jsonl")


def opened() -> Any:
    """Return pynvml with NVML open. Ends the program with a sentence if it cannot."""
    try:
        api: Any = importlib.import_module("pynvml")
    except ModuleNotFoundError:
        sys.exit("real_gpu.py: nvidia-ml-py is not installed; docs/real-gpu.md says what is needed")
    try:
        api.nvmlInit()
        count = api.nvmlDeviceGetCount()
    except api.NVMLError as error:
        sys.exit(
            f"real_gpu.py: NVML cannot be opened ({error}): run this on a machine with an NVIDIA"
            " GPU and its driver; in a container, start it with --gpus all"
        )
    if not count:
        sys.exit("real_gpu.py: the driver has no GPU")
    return api


def main(arguments: Sequence[str] | None = None) -> None:
    """Do everything."""
    parser = argparse.ArgumentParser(
        prog="real_gpu.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(os.environ.get("OUT") or "real-gpu"),
        help="folder for the report; default $OUT, else ./real-gpu",
    )
    parser.add_argument("--seconds", type=float, default=470.0, help="time for everything")
    parser.add_argument("--quick", action="store_true", help="short phases: does it run")
    options = parser.parse_args(arguments)
    logs.configure("error")
    here.children_find_us()
    api = opened()
    run = Run(options.output, options.seconds, quick=options.quick)
    try:
        run.result["machine"] = here.versions(api)
        api.nvmlShutdown()
        run.idle(api)
        asyncio.run(run.known(api))
        asyncio.run(run.bench())
    finally:
        if "machine" in run.result:
            run.write()


if __name__ == "__main__":
    main()
