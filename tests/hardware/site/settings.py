"""What each agent of the simulated site is told beside its own paths."""

import json
from pathlib import Path

from hardware.redfish import Bmc
from hardware.site.bmc import PASSWORD
from hardware.site.grid import KEY, ZONE
from hardware.site.host import SimulatedHost
from hardware.site.plans import SITE

OFF = ("ascend", "dcgm", "ipmi", "perf")
"""What would look at the machine that the simulation runs on, and not at the simulated one."""
MARKET_GRAMS_PER_KWH = 438.0


def secrets(folder: Path) -> tuple[Path, Path]:
    """Write the files with the provider's key and the BMCs' password; return where."""
    key, password = folder / "carbon-key", folder / "bmc-password"
    for path, text in ((key, KEY), (password, PASSWORD)):
        path.touch(mode=0o600)
        path.write_text(f"{text}\n")
    return key, password


def settings_of(host: SimulatedHost, provider: str, key: Path, password: Path) -> str:
    """Return a host's settings. `provider`: address of the carbon API."""
    plan, said = host.plan, json.dumps
    parts = [
        f"[host]\nsite = {said(SITE)}\nrack = {said(plan.rack)}\ngrid_zone = {said(ZONE)}",
        f"""[carbon]
providers = ["electricitymaps", "static"]
losses_percent = 5.5
[carbon.electricitymaps]
url = {said(provider)}
token_file = {said(str(key))}
[carbon.static]
market_grams_per_kwh = {MARKET_GRAMS_PER_KWH}
market_source = "the supplier of the simulated site: an invented figure"
[lifecycle]
in_service = {plan.in_service}
lifetime_years = 5""",
        *(f"[collectors.{name}]\nenabled = false" for name in OFF),
    ]
    if plan.budget_kwh:
        parts.append(
            f'[[carbon.budget]]\nname = "{plan.name}-month"\nperiod = "month"\n'
            f"kwh = {plan.budget_kwh}\nkilograms = {plan.budget_kilograms}"
        )
    if plan.name.endswith("r01-n01"):
        parts.append(_FOOTPRINT)
    if host.bmc is not None:
        parts.append(_redfish(host.bmc, password))
    if plan.gpus:
        mig, links = "auto" if plan.slices else "off", said(plan.links)
        parts.append(f'[collectors.nvml]\nenabled = true\nmig = "{mig}"\nlinks = {links}')
    return "\n".join(parts) + "\n"


def _redfish(bmc: Bmc, password: Path) -> str:
    return (
        f'[collectors.redfish]\nurl = "{bmc.url}"\nuser = "{bmc.user}"\n'
        f'password_file = "{password}"\ntls_verify = true'
    )


_FOOTPRINT = """[[lifecycle.asset]]
name = "hgx-server"
kilograms = { procurement = 310.0, design = 45.0, manufacturing = 2950.0, \
packaging_transport = 120.0, recycling = 38.0 }
source = "invented for the simulated site, in the range of published figures"
"""
