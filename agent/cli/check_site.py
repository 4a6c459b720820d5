"""The site's part of `wattlas check`: which meter answers with what, and which does not and why."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from agent.cli.findings import Finding
from agent.collector import Problem
from agent.site.book import MeterView
from agent.site.settings import CsvMeter, Meter, SiteSettings, VirtualMeter
from agent.site.virtual import factors
from agent.site.words import Quantity, Role
from agent.snapshot import CollectorStatus, Snapshot

COLLECTORS: Final = frozenset(
    {"meter_csv", "meter_http", "meter_modbus", "meter_prometheus", "meter_snmp"}
)


def site_findings(
    site: SiteSettings, snapshot: Snapshot, problems: Mapping[str, Sequence[Problem]]
) -> Iterable[Finding]:
    """Yield one line for each meter; for a host that reads none, one line that says so."""
    if not site.meter:
        yield Finding(
            "site meters",
            "absent",
            "no meter of the facility is set; a server needs none",
            "on one agent of the site, describe its meters in [[site.meter]]",
        )
        return
    failed = {p.what: p for name in COLLECTORS for p in problems.get(name, ())}
    views = {v.name: v for v in snapshot.site.meters} if snapshot.site is not None else {}
    down = {s.name: s for s in snapshot.collectors if s.name in COLLECTORS and s.up is False}
    for meter in site.meter:
        yield _finding(meter, site, failed, views, down)
    roles = {meter.role for meter in site.meter}
    for role, lost in ((Role.TOTAL, "no PUE"), (Role.IT, "PUE only against the agents' sum")):
        if role not in roles and not (role is Role.IT and Role.UPS in roles):
            yield Finding("site meters", "note", f"no meter has the role {role.value}: {lost}")


def _finding(
    meter: Meter,
    site: SiteSettings,
    failed: Mapping[str, Problem],
    views: Mapping[str, MeterView],
    down: Mapping[str, CollectorStatus],
) -> Finding:
    what = f"meter {meter.name}"
    source = f"{meter.__struct_config__.tag}, {meter.role.value}"
    said = f"{source}{': ' + meter.note if meter.note else ''}"
    if isinstance(meter, VirtualMeter):
        parts = factors([meter.name], {m.name: m for m in site.meter})
        silent = [name for name in parts if name in failed]
        if silent:
            return Finding(what, "problem", f"{said}; {', '.join(silent)} does not answer", "")
        return Finding(what, "ok", f"{said}; {_formula(parts)}{_rate(views.get(meter.name))}")
    problem = failed.get(meter.name)
    if problem is not None:
        return Finding(what, "problem", f"{said}; {problem.why}", problem.remedy)
    if isinstance(meter, CsvMeter):
        return Finding(what, "ok", f"{said}; {meter.file}")
    view = views.get(meter.name)
    if view is not None:
        return Finding(what, "ok", f"{said}; answers{_rate(view)}")
    status = down.get(f"meter_{meter.__struct_config__.tag}")
    if status is not None:
        return Finding(what, "problem", f"{said}; {status.why}", status.remedy)
    return Finding(what, "problem", f"{said}; has not answered yet", "look again in a minute")


def _formula(parts: Mapping[str, float]) -> str:
    signs = (f"{'+' if factor > 0 else '−'} {name}" for name, factor in parts.items())
    return " ".join(signs).removeprefix("+ ")


def _rate(view: MeterView | None) -> str:
    if view is None:
        return ""
    if view.celsius is not None:
        return f", {view.celsius:.1f} °C"
    if view.rate is None:
        return ""
    if view.quantity is Quantity.WATER:
        return f", {view.rate:,.3f} l/s"
    return f", {view.rate / 1000:,.1f} kW"
