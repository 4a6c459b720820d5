"""A simulated server's BMC: a vendor's recorded Redfish tree that shows the server's true power."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hardware
from hardware.power import Power
from hardware.redfish import Bmc, tree_of

TREES = Path(hardware.__file__).parents[1] / "fixtures" / "redfish"
PASSWORD = "right horse"
_SHOWN = ("PowerInputWatts", "PowerOutputWatts", "PowerConsumedWatts", "InputPowerWatts",
          "OutputPowerWatts", "PowerWatts")  # fmt: skip
"""Properties (DMTF Power, PowerSupplyMetrics, EnvironmentMetrics) that move with the load."""


def make_bmc(vendor: str, power: Power, now: Callable[[], float]) -> Bmc:
    """Return a vendor's BMC: all power figures of its tree keep their ratios to each other.

    The tree was recorded at one load (`expected.json` says which); here all of it is scaled.
    """
    folder = TREES / vendor
    tree = tree_of(folder)
    recorded = float(json.loads((folder / "expected.json").read_text())["watts"])
    bmc = Bmc(tree, password=PASSWORD)
    for path, document in tree.items():
        if _moves(document):
            bmc.script(path, lambda found, watts: _scale(found, watts / recorded), power, now)
    return bmc


def _moves(found: Any) -> bool:
    if isinstance(found, dict):
        return any(key in _SHOWN or _moves(value) for key, value in found.items())
    return isinstance(found, list) and any(_moves(each) for each in found)


def _scale(found: Any, factor: float) -> None:
    """Scale the figures within a document, to whole watts as BMCs give them."""
    if isinstance(found, list):
        for each in found:
            _scale(each, factor)
    elif isinstance(found, dict):
        for key, value in found.items():
            if key in _SHOWN and isinstance(value, int | float):
                found[key] = round(value * factor)
            elif key in _SHOWN and isinstance(value, dict) and value.get("Reading") is not None:
                value["Reading"] = round(value["Reading"] * factor)
            else:
                _scale(value, factor)
