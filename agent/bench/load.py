"""The load, as a process of its own: `python -m agent.bench.load`, started by `child.py`.

It takes orders as JSON lines on stdin and answers with JSON lines on what was its stdout. When
stdin ends, so does it: whatever happens to `wattlas bench`, no load is left behind.

Orders: `{"do": "open", device, index, cpus, precisions}`, `{"do": "prepare", precision, size}`,
`{"do": "work", "number", "flops", "start"}`; flops null: at full speed, 0: rest.
Answers: `{"event": "opened" | "prepared" | "slice" | "level" | "failed", …}`. `level` says that
everything before was told of the level whose number it has.
"""

import json
import os
import select
import sys
import time
from collections.abc import Callable
from typing import Any

from agent.bench.plan import Pace, product_flop, size_for
from agent.bench.products import ERRORS, Products, Unusable, open_products

WARM_PRODUCTS = 3


class Load:
    """One device's load."""

    def __init__(self, answers: int) -> None:
        self._answers = answers
        self._pending = b""
        self._ended = False
        self._products: Products | None = None
        self.product: Callable[[], None] | None = None
        self.flop = 0.0

    def run(self) -> None:
        """Obey until stdin ends."""
        while (order := self._next_order(None)) is not None:
            match order["do"]:
                case "open":
                    self.open(order)
                case "prepare":
                    self.prepare(order["precision"], order["size"])
                case "work":
                    self._work(order)
                case what:
                    raise ValueError(f"no such order: {what}")

    # -- orders -------------------------------------------------------------------------------

    def open(self, order: dict[str, Any]) -> None:
        """Load the library and tell what it is."""
        if order["cpus"]:
            _keep_to(order["cpus"])
        products = open_products(order["device"], order["index"], order["precisions"])
        self._products = products
        can = [precision for precision in order["precisions"] if products.can(precision)]
        self.say(event="opened", precisions=can, **products.describe())

    def prepare(self, precision: str, size: int | None) -> None:
        """Get ready to multiply, and check that it multiplies right."""
        products = self._products
        assert products is not None
        largest = products.largest(precision)
        if size is None:
            size = self._fitting(precision, largest)
        elif size > largest:
            raise Unusable(f"{size} x {size} matrices do not fit into the free memory")
        product = products.prepare(precision, size)
        error = products.error()
        if not error <= ERRORS[precision]:
            raise Unusable(
                f"the product in {precision} is wrong by {error:.1e} standard deviations,"
                f" more than the {ERRORS[precision]:.0e} that this precision allows"
            )
        self.product, self.flop = product, product_flop(size)
        self.say(event="prepared", size=size, error=error)

    def _fitting(self, precision: str, largest: int) -> int:
        """Find the size whose product takes as long as it should, from small to large."""
        products = self._products
        assert products is not None
        size = min(512, largest)
        while True:
            product = products.prepare(precision, size)
            product()
            begin = time.perf_counter()
            for _ in range(WARM_PRODUCTS):
                product()
            seconds = (time.perf_counter() - begin) / WARM_PRODUCTS
            # larger matrices are faster per operation, so go on from where this one leads
            better = size_for(product_flop(size) / seconds, largest)
            if better <= size:
                return better
            size = better

    def _work(self, order: dict[str, Any]) -> None:
        """Work in the asked rhythm until the next order waits."""
        flops, start = order["flops"], order["start"]
        if flops == 0:
            while not self._order_waits(None):
                pass
        elif not self._rest(start):
            self._periods(None if flops is None else Pace(flops, start), start)
        self.say(event="level", number=order["number"])

    def _periods(self, pace: Pace | None, start: float) -> None:
        product, flop = self.product, self.flop
        assert product is not None
        rhythm = pace or Pace(0.0, start)
        done = 0.0
        while True:
            begin = moment = now()
            ends = rhythm.ends(begin)
            due = float("inf")
            if pace is not None:
                due, done = pace.due(begin), pace.forgiven(done, begin, flop)
            cpu, before = time.process_time(), done
            while done + flop / 2 <= due and moment < ends and not self._order_waits(0.0):
                product()
                done += flop
                moment = now()
            if done > before:
                used = time.process_time() - cpu
                self.say(event="slice", begin=begin, end=moment, flop=done - before, cpu=used)
            if self._rest(ends if pace else begin):
                return

    # -- in and out ---------------------------------------------------------------------------

    def _rest(self, until: float) -> bool:
        """Sleep until a moment or an order; tell whether there is one."""
        while True:
            left = until - now()
            if self._order_waits(max(left, 0.0)):
                return True
            if left <= 0:
                return False

    def _order_waits(self, seconds: float | None) -> bool:
        """Wait so long for an order (None: for ever); tell whether there is one, or the end."""
        if b"\n" in self._pending or self._ended:
            return True
        if not select.select([0], [], [], seconds)[0]:
            return False
        data = os.read(0, 65536)
        self._pending += data
        self._ended = not data
        return self._ended or b"\n" in self._pending

    def _next_order(self, seconds: float | None) -> dict[str, Any] | None:
        while not self._order_waits(seconds):
            pass
        if b"\n" not in self._pending:
            return None
        line, self._pending = self._pending.split(b"\n", 1)
        order: dict[str, Any] = json.loads(line)
        return order

    def say(self, **answer: Any) -> None:
        """Answer."""
        os.write(self._answers, json.dumps(answer).encode() + b"\n")


def _keep_to(cpus: list[int]) -> None:
    """Use these CPUs, one thread of BLAS on each, whichever BLAS it is.

    OpenBLAS' threads would otherwise turn in a loop for 2^28 cycles after each product (a tenth of
    a second, the whole rest of a period) before they sleep (OpenBLAS, driver/others/blas_server.c;
    issue 5171); 2^20 cycles are under half a millisecond.
    """
    os.sched_setaffinity(0, cpus)
    for name in ("OPENBLAS", "MKL", "BLIS", "OMP"):
        os.environ[f"{name}_NUM_THREADS"] = str(len(cpus))
    os.environ["OPENBLAS_THREAD_TIMEOUT"] = "20"
    os.environ["OMP_WAIT_POLICY"] = "passive"


def now() -> float:
    """Return CLOCK_BOOTTIME, the clock of the meter's samples, s."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def serve(kind: type[Load]) -> None:
    """Serve; what stops it goes out as the last answer."""
    answers = os.dup(1)
    os.dup2(2, 1)  # libraries print to stdout now and then
    try:
        kind(answers).run()
    except Unusable as error:
        os.write(answers, json.dumps({"event": "failed", "why": str(error)}).encode() + b"\n")
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)  # nobody listens any more


if __name__ == "__main__":
    serve(Load)
