"""Dense peaks of accelerators by name: what the operator says, else our table."""

from agent.settings import FlopsSettings

TERA = 1e12


class Peaks:
    """Call it with a device's exact name; it returns FLOP/s by precision, empty if unknown."""

    def __init__(self, settings: FlopsSettings) -> None:
        self._said = settings.peak

    def __call__(self, name: str) -> dict[str, float]:
        """Return the peaks of a device."""
        said = self._said.get(name)
        if said is not None:
            return {precision: teraflops * TERA for precision, teraflops in said.items()}
        from agent.flops.catalog import peaks_of  # noqa: PLC0415 - only hosts with accelerators

        return peaks_of(name)
