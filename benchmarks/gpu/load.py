"""The known load as a process: `python -m gpu.load`, in the form of `agent.bench.load`."""

import time
from typing import Any

from agent.bench.load import Load, serve
from agent.bench.products import Unusable
from gpu.cuda import Cuda, NoCuda
from gpu.kernels import KERNELS

LAUNCH_SECONDS = 0.01
TRIAL_ITERATIONS = 2000


class KnownLoad(Load):
    """Kernels whose operations are known by construction."""

    def open(self, order: dict[str, Any]) -> None:
        """Open the GPU."""
        try:
            self._cuda = Cuda(order["index"])
        except NoCuda as error:
            raise Unusable(str(error)) from error
        cuda = self._cuda
        self.say(
            event="opened",
            precisions=[
                name for name in order["precisions"] if cuda.capability >= KERNELS[name].capability
            ],
            library="CUDA driver",
            library_version=f"{cuda.driver_version // 1000}.{cuda.driver_version % 1000 // 10}",
            name=cuda.name,
            uuid=cuda.uuid,
            bus=cuda.bus,
            devices=cuda.count,
            sms=cuda.sms,
            capability=cuda.capability,
        )

    def prepare(self, precision: str, size: int | None) -> None:
        """Choose how long a launch is, and check its result: every operation must be in it."""
        kernel = KERNELS[precision]
        try:
            launch = self._cuda.load(kernel)
            launch(TRIAL_ITERATIONS)
            begin = time.perf_counter()
            launch(TRIAL_ITERATIONS)
            seconds = time.perf_counter() - begin
            fitting = int(TRIAL_ITERATIONS * LAUNCH_SECONDS / seconds)
            iterations = size or max(1, min(fitting, kernel.most_iterations))
            self._cuda.clear()
            flop = launch(iterations)
            found = self._cuda.results(kernel)
        except NoCuda as error:
            raise Unusable(str(error)) from error
        if found != {kernel.result(iterations)}:
            some = sorted(found)[:3]
            raise Unusable(
                f"{kernel.name}: the threads wrote {some}, not {kernel.result(iterations)}:"
                " operations were left out or done twice"
            )
        self.product, self.flop = lambda: launch(iterations), flop
        self.say(event="prepared", size=iterations, error=0.0)


if __name__ == "__main__":
    serve(KnownLoad)
