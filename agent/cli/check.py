"""`wattlas check`."""

import asyncio
import errno
import os
import socket
from pathlib import Path

import click
import msgspec

from agent.cli.check_site import COLLECTORS, site_findings
from agent.cli.common import (
    Failure,
    config_option,
    json_option,
    load_settings,
    print_json,
    print_table,
)
from agent.cli.findings import Finding
from agent.collector import Found
from agent.quantities import Component
from agent.samples import Figures, FlopCount, GridValues, Sample, WorkCounter, WorkDone
from agent.settings import Settings
from agent.snapshot import Snapshot

SAMPLING_SECONDS = 0.6


@click.command()
@config_option
@json_option
def check(config: Path | None, as_json: bool) -> int:
    """Say what can be measured on this host, what cannot, why, and what would fix it.

    Also checks the settings, the state directory and the address. Exit status 1 if something
    that the settings demand does not work.

    \b
    Examples:
      wattlas check
      wattlas check --config ./wattlas.toml --json
    """
    from agent import logs  # noqa: PLC0415

    logs.configure("critical")
    settings, found = load_settings(config)
    findings = [
        Finding("settings", "ok", str(settings.file or "none; every value is the default")),
        *asyncio.run(_collectors(settings, found)),
        _state_dir(Path(settings.agent.state_dir)),
        _address(*settings.listen),
        *_web_config(settings.agent.web_config),
    ]
    if as_json:
        print_json({"findings": [msgspec.to_builtins(f) for f in findings]})
    else:
        rows: list[list[str]] = []
        for f in findings:
            rows.append([f.what, f.state, f.detail])
            if f.remedy:
                rows.append(["", "fix:", f.remedy])
        print_table("", ["what", "state", "detail"], rows)
    demanded = {name for name, s in settings.collectors.items() if s.enabled is True}
    demanded.add("web_config")
    broken = [f.what for f in findings if f.state == "problem" and f.what in demanded]
    if broken:
        raise Failure(f"the settings demand {', '.join(broken)}, which cannot be read; see above")
    return 0


async def _collectors(settings: Settings, found: Found) -> list[Finding]:
    from agent.session import Session  # noqa: PLC0415

    async with Session(settings, found) as session:
        await session.sample(SAMPLING_SECONDS, 3)
        snapshot = session.app.snapshot()
        problems = session.app.problems()
        gave = session.app.gave()
    findings: list[Finding] = []
    for status in snapshot.collectors:
        if status.name in COLLECTORS:
            continue  # each meter has a line of its own
        if status.up:
            gives = _gives(status.name, snapshot, gave.get(status.name, set()))
            findings.append(Finding(status.name, "ok", gives))
            findings += [
                Finding(f"  {p.what}", "problem", p.why, p.remedy) for p in problems[status.name]
            ]
        elif status.up is None:
            findings.append(Finding(status.name, "absent", status.why, status.remedy))
        else:
            findings.append(Finding(status.name, "problem", status.why, status.remedy))
    findings += site_findings(settings.site, snapshot, problems)
    running = {status.name for status in snapshot.collectors}
    findings += [
        Finding(name, "off", "enabled = false in the settings")
        for name in found.classes
        if name not in running
    ]
    findings += [
        Finding(name, "problem", why, "update or uninstall that package")
        for name, why in found.broken.items()
    ]
    shares = snapshot.host_power.shares
    if shares:
        total = sum(shares.values())
        how = ", ".join(f"{p:.1f} W {q.value} by {s}" for (q, s), p in shares.items())
        walled = any(
            s.identity.component == Component.HOST and s.counts_now for s in snapshot.streams
        )
        where = " at the wall" if walled else ""
        findings.append(Finding("host power", "ok", f"{total:.1f} W{where}: {how}"))
    else:
        findings.append(Finding("host power", "problem", "no complete figure; see above"))
    return findings


def _gives(name: str, snapshot: Snapshot, kinds: set[type[Sample]]) -> str:
    """Return in words what a collector gives."""
    streams = [s.identity for s in snapshot.streams if s.identity.source == name]
    gives = [
        f"{'the whole server' if i.component == Component.HOST else i.component.value}"
        f" {i.device} ({i.quality.value})"
        for i in streams
    ]
    seen = dict.fromkeys(u.component.value for u in snapshot.utilization if u.collector == name)
    if seen:
        gives.append("utilisation of " + ", ".join(seen))
    if Figures in kinds and not streams:
        gives.append("clocks, temperatures or throttling")
    if FlopCount in kinds:
        gives.append("floating-point operations")
    if kinds & {WorkDone, WorkCounter}:
        gives.append("work")
    if GridValues in kinds and snapshot.carbon is not None:
        gives += [
            f"{now.basis} {now.grams_per_kwh:g} g/kWh ({now.standing}: {now.source})"
            for now in snapshot.carbon.now
        ]
    return ", ".join(gives) or "answers; nothing to tell yet"


def _state_dir(path: Path) -> Finding:
    nearest = path
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if os.access(nearest, os.W_OK | os.X_OK) and nearest.is_dir():
        detail = f"{path}" if nearest == path else f"{path} (will be made)"
        return Finding("state directory", "ok", detail)
    return Finding(
        "state directory",
        "problem",
        f"{path} is not writable for this user",
        "run as the service does, or set agent.state_dir to a directory you can write",
    )


def _web_config(path: str) -> list[Finding]:
    """Say whether web.yml can be used, and what of it is doubtful."""
    if not path:
        return []
    from agent.settings_error import SettingsError  # noqa: PLC0415
    from exporters.web_access import read  # noqa: PLC0415 - only here is HTTP looked at

    try:
        found, context, doubts = read(Path(path))
    except SettingsError as error:
        return [Finding("web_config", "problem", str(error))]
    what = [
        f"TLS from {found.tls.min_version}" if found.tls and context else "plain HTTP",
        f"{len(found.users)} users" if found.users else "no passwords",
    ]
    return [
        Finding("web_config", "ok", ", ".join(what)),
        *(Finding("  web_config", "note", doubt) for doubt in doubts),
    ]


def _address(host: str, port: int) -> Finding:
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return Finding(
                "address",
                "note",
                f"{shown}: {error.strerror}; fine if it is the running agent that holds it",
                "else stop the other program or set agent.listen",
            )
        return Finding(
            "address",
            "problem",
            f"{shown}: cannot listen ({error.strerror})",
            "set agent.listen to an address of this host",
        )
    return Finding("address", "ok", f"{shown} is free")
