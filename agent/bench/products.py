"""The matrix products that are the load. Runs only in the child process.

Libraries are imported by name when they are wanted: none is a dependency of Wattlas. Matrices are
filled with normally distributed numbers, since a GPU draws less for zeros. The result of a product
is checked against one in 64 bits, so that a library that does less than was asked for stops the
bench: the limits are far above rounding and below the next smaller format's error.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from agent.bench.plan import SIZES

ERRORS: Final = {"fp64": 1e-9, "fp32": 5e-5, "tf32": 5e-3, "fp16": 2e-2, "bf16": 1e-1}
"""Largest error of a row of a product, in standard deviations of its numbers. TF32 and FP16 keep
11 bits and are off by some 1e-3, FP32 keeps 24 (IEEE 754-2019, table 3.5; PTX ISA, tf32)."""


class Unusable(Exception):
    """A library that is not there or does not work; says why in one sentence."""


class Products(Protocol):
    """Matrix products on one device through one library."""

    def describe(self) -> dict[str, Any]:
        """Return names and versions of library and device."""
        ...

    def can(self, precision: str) -> bool:
        """Tell whether the library multiplies in this precision."""
        ...

    def largest(self, precision: str) -> int:
        """Return the largest matrix size that memory allows."""
        ...

    def prepare(self, precision: str, size: int) -> Callable[[], None]:
        """Return a function that does one product and returns when it is done."""
        ...

    def error(self) -> float:
        """Return the first row's largest error in standard deviations."""
        ...


def module(name: str) -> Any:
    """Import a library. Raises `Unusable` with the reason."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            raise Unusable(f"{name} is not installed") from error
        raise Unusable(f"{name} cannot be imported ({error})") from error
    except Exception as error:
        raise Unusable(f"{name} cannot be imported ({first_line(error)})") from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its kind."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class NumpyProducts:
    """BLAS on the CPU."""

    def __init__(self) -> None:
        self._numpy = module("numpy")
        self._matrices: tuple[Any, ...] = ()

    def describe(self) -> dict[str, Any]:
        """Return versions; BLAS as numpy was built with it (`numpy.show_config`)."""
        blas: Mapping[str, Any] = {}
        try:
            config = self._numpy.show_config(mode="dicts")
            blas = config["Build Dependencies"]["blas"]
        except Exception:  # noqa: BLE001, S110 - a distribution's numpy may not know; it stays unknown
            pass
        return {
            "library": "numpy",
            "library_version": str(self._numpy.__version__),
            "blas": str(blas.get("name", "")) or None,
            "blas_version": str(blas.get("version", "")) or None,
        }

    def can(self, precision: str) -> bool:
        """Tell whether BLAS has it."""
        return precision in {"fp64", "fp32"}

    def largest(self, precision: str) -> int:
        """Allow all sizes: the largest needs 6 GB, but only a CPU of 350 TFLOP/s gets there."""
        del precision
        return SIZES[-1]

    def prepare(self, precision: str, size: int) -> Callable[[], None]:
        """Fill two matrices and multiply them once."""
        numpy = self._numpy
        kind = numpy.float64 if precision == "fp64" else numpy.float32
        dice = numpy.random.default_rng(20111)
        a, b = (dice.standard_normal((size, size), dtype=kind) for _ in range(2))
        c = numpy.empty((size, size), dtype=kind)
        self._matrices = (a, b, c)
        multiply = numpy.matmul

        def product() -> None:
            multiply(a, b, out=c)

        product()
        return product

    def error(self) -> float:
        """Compare with 64 bits (or, of 64 bits, with a sum in another order)."""
        numpy = self._numpy
        a, b, c = (numpy.asarray(x, dtype=numpy.float64) for x in self._matrices)
        return row_error(numpy, a[0], b, c[0])


def row_error(library: Any, row: Any, matrix: Any, result: Any) -> float:
    """Return the largest error of `result` = `row` x `matrix`; all of them in 64 bits."""
    right = library.matmul(row, matrix)
    spread: float = float(row.shape[0]) ** 0.5
    return float(abs(result - right).max()) / spread


def open_products(device: str, index: int, wanted: list[str]) -> Products:
    """Return the first library that works and multiplies in all of the wanted precisions.

    Else the one that multiplies in most. Raises `Unusable` with what is wrong with each.
    """
    if device == "cpu":
        return NumpyProducts()
    from agent.bench.products_gpu import CupyProducts, TorchProducts  # noqa: PLC0415

    usable: list[Products] = []
    reasons: list[str] = []
    for make in (CupyProducts, TorchProducts):
        try:
            products: Products = make(index)
        except Unusable as error:
            reasons.append(str(error))
            continue
        if all(products.can(precision) for precision in wanted):
            return products
        usable.append(products)
    if not usable:
        raise Unusable("; ".join(reasons))
    return max(usable, key=lambda p: sum(p.can(precision) for precision in wanted))
