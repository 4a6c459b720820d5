"""`python -m hardware.site`: the whole simulated site, with Prometheus, until Ctrl-C.

`scripts/demo` runs it and says more.
"""

import argparse
import signal
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from engines.layers import record_past

from agent.alerts import all_limits
from dashboards.rules import Group, groups, rules_file
from hardware.site.grafana import Grafana, grafana_command
from hardware.site.history import make_history
from hardware.site.past import SITE_DAYS
from hardware.site.plans import FEWEST_HOSTS
from hardware.site.processes import Failed
from hardware.site.servers import Alertmanager, Prometheus, alertmanager_program
from hardware.site.site import SimulatedSite

REPOSITORY = Path(__file__).parents[3]
ROUTING = "dashboards/alertmanager.yml"
DASHBOARDS = "dashboards/grafana"
LIMITS = {
    "pue_target_ratio": 1.3,
    "idle_waste_ratio": 0.1,
    "energy_budget_kwh_per_month": 7500.0,
    "carbon_budget_kilograms_per_month": 4000.0,
    "electricity_price_per_kwh": 0.68,
    "currency": "CNY",
}
"""[alerts] of this site: some of it is over them, so that there is something to see."""
RECORDED_SECONDS = 240.0
"""Between two samples of the past that the rules would have recorded."""
WHOLE_MINUTE = "wattlas_host_itue_ratio", "wattlas_flops_per_watt"
"""What comes with the first whole minute; the past has the names that the pages have."""
WHOLE_MINUTE_SECONDS = 150.0
DAY_SECONDS, HOUR_SECONDS = 86400.0, 3600.0
CHECKED = (
    ("agents that Prometheus scrapes", 'sum(up{job="wattlas"})', ""),
    ("power of all servers", "sum(wattlas_host_power_watts)", "W"),
    ("of it measured or integrated", 'sum(wattlas_host_power_watts{quality!="estimated"})', "W"),
    ("GPUs", "count(wattlas_gpu_info)", ""),
    ("IT by the racks' meters", 'sum(wattlas_site_power_watts{role="it"})', "W"),
    ("grid", 'avg(wattlas_grid_carbon_intensity_grams_per_kwh{basis="location"})', "g/kWh"),
    ("series", 'count({job="wattlas"})', ""),
)


def main() -> None:
    """Run it; exit status 1 with one plain message if something does not come up."""
    options = _options()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    try:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="wattlas-site-"))
            _run(options, Path(folder), stack)
    except KeyboardInterrupt:
        sys.exit(130)
    except (Failed, OSError, RuntimeError) as error:
        sys.stderr.write(f"demo: {error}\n")
        sys.exit(1)


def _interrupt(*_: object) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):  # once is enough: now everything is ended
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hardware.site", description=__doc__)
    parser.add_argument("--hosts", type=int, default=FEWEST_HOSTS, help="servers, from 6 to 40")
    parser.add_argument("--history", type=float, default=8.0, help="days of simulated past")
    parser.add_argument("--prometheus-port", type=int, default=0, help="0: a free one")
    parser.add_argument("--scrape", type=float, default=5.0, help="seconds between scrapes")
    parser.add_argument("--rules", type=Path, action="append", help="rule file for Prometheus")
    parser.add_argument("--alertmanager", type=Path, help="Alertmanager's settings")
    parser.add_argument("--check", action="store_true", help="start all, say how it is, stop")
    options = parser.parse_args()
    if not FEWEST_HOSTS <= options.hosts <= 40:
        parser.error("--hosts is from 6 to 40")
    if not 0 <= options.history <= 40:
        parser.error("--history is from 0 to 40 days")
    if options.scrape < 1:
        parser.error("--scrape is 1 or more")
    return options


def say(text: str) -> None:
    """Say how far it is."""
    sys.stdout.write(f"[{time.monotonic() - _BEGAN:4.0f} s] {text}\n")
    sys.stdout.flush()


def _run(options: argparse.Namespace, folder: Path, stack: ExitStack) -> None:
    days = 1.0 if options.check else SITE_DAYS
    site = stack.enter_context(
        SimulatedSite(folder / "s", hosts=options.hosts, site_days=days, say=say)
    )
    alertmanager = _alertmanager(options, folder, stack)
    every = list(groups(all_limits(LIMITS)))
    own_rules = folder / "wattlas.rules.yml"
    own_rules.write_text(rules_file(every))
    rules = options.rules or [own_rules]
    prometheus = stack.enter_context(
        Prometheus(
            folder / "prometheus",
            site.targets,
            port=options.prometheus_port,
            scrape_seconds=1.0 if options.check else options.scrape,
            rule_files=rules,
            external_labels={"prometheus": "demo"},
            alertmanagers=[alertmanager.address] if alertmanager else [],
        )
    )
    first_scrape = time.time() - options.scrape
    say(f"Prometheus: {prometheus.url}")
    site.wait_for_figures()
    prometheus.wait_for_targets(len(site.agents))
    if options.check:
        _check(site, prometheus)
        return
    _grafana(folder, prometheus, stack)
    _tell(site, prometheus, alertmanager)
    if options.history:
        _history(options, site, prometheus, first_scrape, every)
    say("all is there; Ctrl-C ends it and removes everything")
    threading.Event().wait()


def _alertmanager(
    options: argparse.Namespace, folder: Path, stack: ExitStack
) -> Alertmanager | None:
    config = options.alertmanager or REPOSITORY / ROUTING
    if not config.is_file():
        say("no Alertmanager: there are no settings for it here yet")
        return None
    if not alertmanager_program():
        say("no Alertmanager: it is not installed")
        return None
    found = stack.enter_context(Alertmanager(folder / "alertmanager", config))
    say(f"Alertmanager: {found.url}")
    return found


def _grafana(folder: Path, prometheus: Prometheus, stack: ExitStack) -> None:
    dashboards = REPOSITORY / DASHBOARDS
    if not grafana_command():
        say("Grafana is not installed here. With one of your own: add a data source of type")
        say(f"  Prometheus with the address {prometheus.url}, then import the files in")
        say(f"  {dashboards} (Dashboards > New > Import)")
    elif not any(dashboards.glob("*.json")):
        say(f"no Grafana: there are no dashboards in {dashboards}")
    else:
        grafana = Grafana(folder / "grafana", prometheus.url, dashboards)
        stack.callback(grafana.stop)
        say(f"Grafana: {grafana.url}/dashboards")


def _tell(site: SimulatedSite, prometheus: Prometheus, alertmanager: Alertmanager | None) -> None:
    say(f"{len(site.agents)} agents, {len(site.meters.flows)} meters, one carbon provider. Look at")
    graph = "graph?g0.expr=wattlas_host_power_watts&g0.tab=0"
    say(f"  {prometheus.url}/targets and {prometheus.url}/{graph}")
    if alertmanager:
        say(f"  {alertmanager.url}/#/alerts")
    for name, agent in site.agents.items():
        plan = site.hosts[name].plan
        job = f", works on {plan.job.workload}" if plan.job else ""
        gpus = f", {plan.gpus} x {plan.model.upper()}" if plan.gpus else ""
        say(f"  {name}: {agent.url} ({plan.preset}{gpus}{job})")


def _history(
    options: argparse.Namespace,
    site: SimulatedSite,
    prometheus: Prometheus,
    until: float,
    every: list[Group],
) -> None:
    say("a simulated past follows once the first whole minute is over")
    end = time.monotonic() + WHOLE_MINUTE_SECONDS
    gpu_hosts = [site.agents[name] for name, host in site.hosts.items() if host.plan.gpus]
    while time.monotonic() < end:
        pages = [agent.page() for agent in gpu_hosts]
        if all(f"\n{name}{{" in page for page in pages for name in WHOLE_MINUTE):
            break
        time.sleep(2.0)
    past = site.directory / "blocks"
    made = make_history(site, past, days=options.history, until=until)
    say(
        f"{options.history:g} days of simulated past: {made.samples / 1e6:.1f} million samples of"
        f" {made.series} series in {made.seconds:.0f} s"
    )
    say("what the rules would have recorded of it follows")
    start = until - options.history * DAY_SECONDS + HOUR_SECONDS
    scratch = site.directory / "recording"
    recorded = record_past(past, every, start, until, RECORDED_SECONDS, scratch)
    for block in past.glob("01*"):
        block.rename(prometheus.storage / block.name)
    say(f"{recorded / 1e6:.1f} million of them; Prometheus takes all in within a minute")


def _check(site: SimulatedSite, prometheus: Prometheus) -> None:
    """Print one summary. Raises `Failed` if something is missing."""
    prometheus.until(
        "has the servers' and the racks' power",
        lambda: all(prometheus.value(query) is not None for _, query, _ in CHECKED),
    )
    for what, query, unit in CHECKED:
        value = prometheus.value(query)
        say(f"{what}: {value:,.0f} {unit}".rstrip())
    say(f"what the servers truly draw: {site.wall_watts():,.0f} W")
    for target in prometheus.ask("targets")["activeTargets"]:
        if target["health"] != "up":
            raise Failed(f"{target['scrapeUrl']} is {target['health']}: {target['lastError']}")
    say("all agents have figures and are scraped")


_BEGAN = time.monotonic()

if __name__ == "__main__":
    main()
