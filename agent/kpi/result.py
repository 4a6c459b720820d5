"""What a KPI says, and with what it was worked out."""

from typing import Final

import msgspec

ENOUGH: Final = 0.95
"""A KPI whose inputs cover less of its period says so; a gauge of it is withheld."""


class Input(msgspec.Struct, frozen=True):
    """One energy, volume or time that went into a KPI."""

    name: str
    """E.g. "E_IT"."""
    amount: float
    """Over the time that all inputs of the KPI know, never scaled up."""
    unit: str
    """kWh, l, kg, server-hours …"""
    meters: tuple[str, ...] = ()
    """Those that measured it; virtual ones are taken apart; "agents": Wattlas on the servers."""


class Kpi(msgspec.Struct, frozen=True):
    """One indicator over one period."""

    name: str
    """PUE, DCiE, CUE, WUE, REF, ERF, CER, ITEEsv, ITEUsv, ITUE, TUE, DCeP, CE, work/E_IT."""
    value: float | None
    """None: withheld, `note` says why."""
    unit: str
    """"1" for a plain ratio; kg/kWh, l/kWh, GFLOPS/W, tokens/kWh …"""
    category: str
    """E.g. "PUE2", "iPUE2" (a period under 12 months), "pPUE hall-1"; "" where there is none."""
    coverage: float
    """Share of the period for which all of its inputs are known, 0 to 1."""
    definition: str = ""
    """Standard, version and status, and what is divided by what."""
    note: str = ""
    """What a reader must know of this figure; "" where there is nothing to say."""
    inputs: tuple[Input, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether there is a value and its inputs cover enough of the period."""
        return self.value is not None and self.coverage >= ENOUGH
