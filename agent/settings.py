"""The settings file: TOML in, typed and checked values out, with the line of what is wrong."""

import re
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from agent.alerts import AlertSettings, AllLimits, all_limits, check_alerts
from agent.carbon.checks import check_carbon
from agent.carbon.settings import CarbonSettings
from agent.carbon.static import Refusal, either_static_intensity
from agent.carbon.words import Factor
from agent.collector import CollectorSettings, Paths, WorkSettings
from agent.lifecycle.settings import LifecycleSettings
from agent.remote_settings import RemoteWriteSettings, check_remote_write
from agent.settings_error import SettingsError, explain, line_of
from agent.site.checks import check_site
from agent.site.settings import SiteSettings

DEFAULT_FILE = Path("/etc/wattlas/wattlas.toml")
MIN_INTERVAL_SECONDS = 0.1
"""Below this the agent would cost more than it could tell: RAPL refreshes every 1 ms, NVML 100."""


class Agent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[agent]`: the process itself."""

    listen: str = "0.0.0.0:9760"
    """Address and port of /metrics, /healthz and /readyz; an IPv6 address in brackets."""
    state_dir: str = "/var/lib/wattlas"
    """Directory of ledger.db."""
    interval_seconds: float = 1.0
    """Seconds between ticks, and between readings of a collector that sets none; from 0.1."""
    web_config: str = ""
    """exporter-toolkit web.yml: TLS, client certificates, users, headers; "": plain HTTP."""
    work_socket: str = "/run/wattlas/work.sock"
    """Unix socket for reports of useful work (POST /v1/work); "": none."""


class PathSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[paths]`: roots of the kernel's trees, replaceable for containers and tests."""

    procfs: str = "/proc"
    """Where procfs is mounted."""
    sysfs: str = "/sys"
    """Where sysfs is mounted."""


class Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[host]`: what the host is called in wattlas_host_info."""

    site: str = ""
    """Site, e.g. "gz-1"."""
    rack: str = ""
    """Rack, e.g. "r12"."""
    grid_zone: str = ""
    """ISO 3166 country or subdivision, or a provider's zone: "CN-GD", "DE", "US-CAL-CISO"."""


class LedgerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[ledger]`: how long each level of detail is kept, and how often it is flushed."""

    minute_days: float = 7.0
    """Days for which energy per minute is kept."""
    hour_days: float = 400.0
    """Days for which energy per hour is kept; energy per day is kept for ever."""
    flush_seconds: float = 10.0
    """Least time between flushes to the disk (fsync): what a power cut can cost in detail."""
    sign: bool = True
    """Whether the records that seal each hour are signed with the host's key (Ed25519)."""
    signing_key_file: str = ""
    """Private key in PEM, e.g. a systemd credential; "": host.key in agent.state_dir, made once."""


class FlopsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[flops]`: what accelerators could do at best."""

    peak: dict[str, dict[str, float]] = {}
    """Dense peaks in TFLOP/s that our table does not have or has otherwise, by the device's exact
    name and precision: {"Maker Model X1" = {fp16_tensor = 100.0}}."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    agent: Agent = Agent()
    paths: PathSettings = PathSettings()
    host: Host = Host()
    ledger: LedgerSettings = LedgerSettings()
    work: WorkSettings = WorkSettings()
    flops: FlopsSettings = FlopsSettings()
    collectors: dict[str, Any] = {}
    site: SiteSettings = SiteSettings()
    carbon: CarbonSettings = CarbonSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    alerts: AlertSettings = AlertSettings()
    remote_write: RemoteWriteSettings = RemoteWriteSettings()


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked settings of one agent."""

    file: Path | None
    agent: Agent
    host: Host
    ledger: LedgerSettings
    work: WorkSettings
    flops: FlopsSettings
    site: SiteSettings
    carbon: CarbonSettings
    lifecycle: LifecycleSettings
    alerts: AllLimits
    remote_write: RemoteWriteSettings
    paths: Paths
    collectors: Mapping[str, CollectorSettings]

    @property
    def listen(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return parse_address(self.agent.listen)

    def interval_of(self, collector: str) -> float:
        """Return the seconds between readings of a collector."""
        own = self.collectors[collector].interval_seconds
        return self.agent.interval_seconds if own is None else own


def load(path: Path | None, collectors: Mapping[str, type[CollectorSettings]]) -> Settings:
    """Read the settings file.

    `path` None means the default file where there is one, else all defaults. `collectors` maps
    each installed collector to the type of its settings. Raises `SettingsError`.
    """
    if path is None:
        path = DEFAULT_FILE if DEFAULT_FILE.exists() else None
        if path is None:
            return parse("", None, collectors)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(
            f"{path}: there is no such settings file; check --config, or leave it out for defaults"
        ) from None
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{path}: not UTF-8 text at byte {error.start}; save it as UTF-8"
        ) from None
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read ({error.strerror}); make it readable for this user"
        ) from None
    return parse(text, path, collectors)


def parse(
    text: str, path: Path | None, collectors: Mapping[str, type[CollectorSettings]]
) -> Settings:
    """Check the text of a settings file. Raises `SettingsError`."""
    where = str(path or "settings")
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{where}: not TOML: {error}; mend that line") from None
    try:
        file = msgspec.convert(raw, _File)
    except msgspec.ValidationError as error:
        raise explain(where, text, str(error), _File, raw) from None
    chosen: dict[str, CollectorSettings] = {}
    for name, table in file.collectors.items():
        if name not in collectors:
            line = line_of(text, ("collectors", name))
            raise SettingsError(
                f"{where}:{line}: there is no collector named {name!r};"
                f" installed are {', '.join(sorted(collectors))}"
            )
        try:
            chosen[name] = msgspec.convert(table, collectors[name])
        except msgspec.ValidationError as error:
            prefix = ("collectors", name)
            raise explain(where, text, str(error), collectors[name], table, prefix) from None
    settings = Settings(
        file=path,
        agent=file.agent,
        host=file.host,
        ledger=file.ledger,
        work=file.work,
        flops=file.flops,
        site=file.site,
        carbon=_with_family(file.carbon, file.host.grid_zone, raw.get("carbon", {})),
        lifecycle=file.lifecycle,
        alerts=all_limits(raw.get("alerts", {})),
        remote_write=file.remote_write,
        paths=Paths(procfs=Path(file.paths.procfs), sysfs=Path(file.paths.sysfs)),
        collectors={name: chosen.get(name, cls()) for name, cls in collectors.items()},
    )
    _check_values(where, text, settings)
    return settings


def _with_family(carbon: CarbonSettings, zone: str, raw: Mapping[str, Any]) -> CarbonSettings:
    """Where nobody says which family of factors counts, take the one that the zone has."""
    if "factor" in raw:
        return carbon
    found = either_static_intensity(zone, time.time(), Factor.DIRECT, carbon.static)
    family = Factor.DIRECT if isinstance(found, Refusal) else found.factor
    return msgspec.structs.replace(carbon, factor=family)


def parse_address(text: str) -> tuple[str, int]:
    """Split "host:port"; an IPv6 host stands in brackets. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address needs brackets: [::1]:9760")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("write it as address:port with a port from 0 to 65535")
    return host or "0.0.0.0", int(port)  # noqa: S104 - ":9760" means every address


def _check_values(where: str, text: str, settings: Settings) -> None:
    def wrong(key: tuple[str, ...], why: str) -> SettingsError:
        return SettingsError(f"{where}:{line_of(text, key)}: {'.'.join(key)}: {why}")

    try:
        parse_address(settings.agent.listen)
    except ValueError as error:
        raise wrong(
            ("agent", "listen"), f"{settings.agent.listen!r} is no address; {error}"
        ) from None
    for key in ("minute_days", "hour_days", "flush_seconds"):
        if not 0 < getattr(settings.ledger, key) < 1e6:
            raise wrong(("ledger", key), "must be more than 0 and less than a million")
    _check_work(settings, wrong)
    of_sections = chain(
        ((("site", *k), why) for k, why in check_site(settings.site)),
        ((("carbon", *k), why) for k, why in check_carbon(settings.carbon, settings.site)),
        ((("alerts", *k), why) for k, why in check_alerts(settings.alerts)),
        ((("remote_write", *k), why) for k, why in check_remote_write(settings.remote_write)),
    )
    for section_key, why in of_sections:
        raise wrong(section_key, why)
    intervals: list[tuple[tuple[str, ...], float]] = [
        (("agent", "interval_seconds"), settings.agent.interval_seconds)
    ]
    for name, collector in settings.collectors.items():
        if collector.interval_seconds is not None:
            intervals.append((("collectors", name, "interval_seconds"), collector.interval_seconds))
        if not 0 < collector.timeout_seconds <= 600:
            raise wrong(
                ("collectors", name, "timeout_seconds"), "must be more than 0 and at most 600"
            )
    for interval_key, seconds in intervals:
        if not MIN_INTERVAL_SECONDS <= seconds <= 3600:
            raise wrong(interval_key, f"must be from {MIN_INTERVAL_SECONDS} to 3600 seconds")


def _check_work(settings: Settings, wrong: Callable[[tuple[str, ...], str], Exception]) -> None:
    work = settings.work
    if not re.fullmatch(r"0?[0-7]{3}", work.socket_mode):
        raise wrong(("work", "socket_mode"), 'write it as an octal mode, e.g. "0660"')
    for whom, who in (("allow_users", work.allow_users), ("allow_groups", work.allow_groups)):
        if any(one == "" or (isinstance(one, int) and not 0 <= one < 2**32 - 1) for one in who):
            raise wrong(("work", whom), "give names, or numbers from 0 on")
    if not 1 <= work.max_workloads <= 10_000:
        raise wrong(("work", "max_workloads"), "must be from 1 to 10000")
    for name, scrape in work.scrape.items():
        key = ("work", "scrape", name)
        if not scrape.url.startswith(("http://", "https://")):
            raise wrong((*key, "url"), f"{scrape.url!r} is no address; it begins with http://")
        if scrape.preset is None and not scrape.counters:
            raise wrong(key, "name a preset, or the metrics to read in counters")
        if scrape.flop_per_token is not None and not 0 < scrape.flop_per_token < 1e18:
            raise wrong((*key, "flop_per_token"), "must be more than 0 and less than 1e18")
    for name, peaks in settings.flops.peak.items():
        for precision, teraflops in peaks.items():
            if not 0 < teraflops < 1e9:
                raise wrong(
                    ("flops", "peak", name, precision),
                    "must be more than 0 TFLOP/s and less than 1e9",
                )
