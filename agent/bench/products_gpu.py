"""Matrix products on a GPU through CuPy or PyTorch. Runs only in the child process."""

from collections.abc import Callable
from typing import Any, Final

from agent.bench.plan import SIZES
from agent.bench.products import Unusable, first_line, module, row_error

BYTES: Final = {"fp64": 8, "fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2}


class CupyProducts:
    """cuBLAS (or rocBLAS) through CuPy."""

    def __init__(self, index: int) -> None:
        self._cupy = module("cupy")
        self._matrices: tuple[Any, ...] = ()
        try:
            self.count = int(self._cupy.cuda.runtime.getDeviceCount())
            if index < self.count:
                self._device = self._cupy.cuda.Device(index)
                self._device.use()
                self._properties = self._cupy.cuda.runtime.getDeviceProperties(index)
                float(self._cupy.random.standard_normal(4).sum())  # does it work at all?
        except Exception as error:
            raise Unusable(f"CuPy cannot use a GPU ({first_line(error)})") from error
        if index >= self.count:
            raise Unusable("CuPy sees no GPU")

    def describe(self) -> dict[str, Any]:
        """Return versions, and which GPU it is."""
        name = self._properties["name"]
        described = {
            "library": "CuPy",
            "library_version": str(self._cupy.__version__),
            "blas": "cuBLAS" if not self._cupy.cuda.runtime.is_hip else "rocBLAS",
            "blas_version": _quietly(
                lambda: str(self._cupy.cuda.cublas.getVersion(self._device.cublas_handle))
            ),
            "name": name.decode() if isinstance(name, bytes) else str(name),
            "bus": _quietly(lambda: str(self._device.pci_bus_id)),
            "devices": self.count,
        }
        uuid = self._properties.get("uuid")
        if isinstance(uuid, bytes) and len(uuid) >= 16:
            text = uuid[:16].hex()
            parts = (text[:8], text[8:12], text[12:16], text[16:20], text[20:])
            described["uuid"] = "GPU-" + "-".join(parts)
        return described

    def can(self, precision: str) -> bool:
        """CuPy multiplies these; TF32 only by an environment variable, bfloat16 not everywhere."""
        return precision in {"fp64", "fp32", "fp16"}

    def largest(self, precision: str) -> int:
        """Return the size whose three matrices and the check take half of the free memory."""
        self._matrices = ()
        self._cupy.get_default_memory_pool().free_all_blocks()
        free, _ = self._cupy.cuda.runtime.memGetInfo()
        return _largest(free, precision)

    def prepare(self, precision: str, size: int) -> Callable[[], None]:
        """Fill two matrices on the GPU and multiply them once."""
        cupy = self._cupy
        kind = {"fp64": cupy.float64, "fp32": cupy.float32, "fp16": cupy.float16}[precision]
        self._matrices = ()
        cupy.random.seed(20111)
        half = cupy.float64 if precision == "fp64" else cupy.float32
        a, b = (
            cupy.random.standard_normal((size, size), dtype=half).astype(kind, copy=False)
            for _ in range(2)
        )
        c = cupy.empty((size, size), dtype=kind)
        self._matrices = (a, b, c)
        done = cupy.cuda.Event(block=True, disable_timing=True)  # wait asleep, not in a loop

        def product() -> None:
            cupy.matmul(a, b, out=c)
            done.record()
            done.synchronize()

        product()
        return product

    def error(self) -> float:
        """Compare with 64 bits on the GPU."""
        cupy = self._cupy
        a, b, c = self._matrices
        row, result = a[0].astype(cupy.float64), c[0].astype(cupy.float64)
        return row_error(cupy, row, b.astype(cupy.float64), result)


class TorchProducts:
    """cuBLAS (or rocBLAS) through PyTorch."""

    def __init__(self, index: int) -> None:
        self._torch = module("torch")
        self._matrices: tuple[Any, ...] = ()
        try:
            self.count = int(self._torch.cuda.device_count())
            if index < self.count:
                self._torch.cuda.set_device(index)
                self._properties = self._torch.cuda.get_device_properties(index)
                float(self._torch.ones(4, device="cuda").sum())
        except Exception as error:
            raise Unusable(f"PyTorch cannot use a GPU ({first_line(error)})") from error
        if index >= self.count:
            raise Unusable("PyTorch sees no GPU")

    def describe(self) -> dict[str, Any]:
        """Return versions, and which GPU it is."""
        version = self._torch.version
        hip = getattr(version, "hip", None)
        described: dict[str, Any] = {
            "library": "PyTorch",
            "library_version": str(self._torch.__version__),
            "blas": "rocBLAS" if hip else "cuBLAS",
            "blas_version": str(hip or version.cuda),
            "name": str(self._properties.name),
            "devices": self.count,
        }
        uuid = str(getattr(self._properties, "uuid", ""))
        if uuid:
            described["uuid"] = uuid if uuid.startswith("GPU-") else f"GPU-{uuid}"
        if hasattr(self._properties, "pci_bus_id"):
            p = self._properties
            described["bus"] = f"{p.pci_domain_id:04x}:{p.pci_bus_id:02x}:{p.pci_device_id:02x}.0"
        return described

    def can(self, precision: str) -> bool:
        """PyTorch has them all, on a GPU that has them."""
        if precision == "bf16":
            return bool(self._torch.cuda.is_bf16_supported())
        return True

    def largest(self, precision: str) -> int:
        """Return the size whose three matrices and the check take half of the free memory."""
        self._matrices = ()
        self._torch.cuda.empty_cache()
        free, _ = self._torch.cuda.mem_get_info()
        return _largest(free, precision)

    def prepare(self, precision: str, size: int) -> Callable[[], None]:
        """Fill two matrices on the GPU and multiply them once."""
        torch = self._torch
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
        kinds = {"fp64": torch.float64, "fp16": torch.float16, "bf16": torch.bfloat16}
        kind = kinds.get(precision, torch.float32)
        self._matrices = ()
        torch.manual_seed(20111)
        a, b = (torch.randn((size, size), dtype=kind, device="cuda") for _ in range(2))
        c = torch.empty((size, size), dtype=kind, device="cuda")
        self._matrices = (a, b, c)
        done = torch.cuda.Event(blocking=True)  # wait asleep, not in a loop

        def product() -> None:
            torch.mm(a, b, out=c)
            done.record()
            done.synchronize()

        product()
        return product

    def error(self) -> float:
        """Compare with 64 bits on the GPU."""
        a, b, c = self._matrices
        row, result = a[0].double(), c[0].double()
        return row_error(self._torch, row, b.double(), result)


def _largest(free_bytes: int, precision: str) -> int:
    needs = 3 * BYTES[precision] + 8  # two matrices, their product, and one in 64 bits to check
    fitting = [size for size in SIZES if needs * size**2 <= free_bytes / 2]
    if not fitting:
        raise Unusable("the GPU has too little free memory for the smallest matrix")
    return fitting[-1]


def _quietly(what: Callable[[], str]) -> str | None:
    try:
        return what()
    except Exception:  # noqa: BLE001 - only a name for the report; unknown is fine
        return None
