"""The agents themselves: who answers, collectors, ledger, restarts."""

from typing import Final

from agent.alerts import Limits
from dashboards.rules.model import Alert, Group
from dashboards.rules.record_quality import FAILURES, LAST_SEEN
from dashboards.rules.words import HOSTS, located, matching, number

_WHO: Final = "{{ $labels.host }} ({{ $labels.instance }})"
_REMOTE: Final = "redfish|ipmi|ascend|dcgm|prometheus|work_scrape|meter_.*"
"""Collectors that ask another device or run a tool."""
_SITE: Final = '{{ or $labels.site "the site" }}'
"""Not every host has a site in its settings."""
_RACK: Final = "{{ if $labels.rack }} in rack {{ $labels.rack }}{{ end }}"
_GRID: Final = "grid"
"""A provider that is silent is silent for every host: `WattlasGridIntensityStale` tells once."""


def agent_alerts(limits: Limits, where: str) -> Group:
    """Return them."""
    return Group(
        "wattlas_alerts_agent",
        "1m",
        (
            *_answering(limits, where),
            *_collectors(limits, where),
            *_ledger(limits, where),
            *_running(limits, where),
        ),
    )


def _answering(limits: Limits, where: str) -> tuple[Alert, ...]:
    here = matching(where)
    down = f"{LAST_SEEN}{here} unless on (job, instance) {HOSTS}"
    return (
        Alert(
            name="WattlasAgentDown",
            expression=f"time() - ({down})",
            for_="15m",
            severity="warning",
            summary="An agent does not answer",
            description=(
                f"{_WHO}{_RACK} has not answered for"
                " {{ $value | humanizeDuration }}. Is the host up? Then `systemctl status wattlas`"
                " and `journalctl -u wattlas` there. Planned work: silence this instance. A"
                " counter that runs on, such as RAPL's or a GPU's, loses nothing meanwhile."
            ),
            runbook="agent-down",
        ),
        Alert(
            name="WattlasSiteAgentsDown",
            expression=(
                f"count by (site) ({down})\n"
                f"/ on (site) count by (site) ({LAST_SEEN}{here})\n"
                f"> {number(limits.agents_down_ratio)}\n"
                "and on (site)\n"
                f"count by (site) ({down}) > 1"
            ),
            for_="10m",
            severity="critical",
            summary="Many agents of a site do not answer",
            description=(
                f"{{{{ $value | humanizePercentage }}}} of the agents of {_SITE} do not"
                " answer. Look at the network and power of the site first, then at what was rolled"
                " out last. Single agents are not told of meanwhile."
            ),
            runbook="agent-down",
        ),
        Alert(
            name="WattlasAgentGone",
            expression=(
                f"time() - (\n  last_over_time({LAST_SEEN}{here}[1h])\n"
                f"  unless on (job, instance) {LAST_SEEN}\n)"
            ),
            for_="10m",
            severity="info",
            summary="An agent is no longer a target",
            description=(
                f"{_WHO} was a target within the last hour and is none any more; it was last seen"
                " {{ $value | humanizeDuration }} ago. If it was not taken out on purpose, look at"
                " the service discovery of job {{ $labels.job }}. This ends by itself."
            ),
            runbook="agent-down",
        ),
        Alert(
            name="WattlasTargetDown",
            expression=(
                f"up == 0 and on (job) {HOSTS}{here}\nunless on (job, instance) {LAST_SEEN}"
            ),
            for_="30m",
            severity="info",
            summary="A target in a job of agents has never answered",
            description=(
                "{{ $labels.instance }} of job {{ $labels.job }} does not answer (up:"
                " {{ $value }}) and no agent was seen there. Check its name, port and firewall,"
                " TLS and password, and that the agent runs; or take the target out."
            ),
            runbook="agent-down",
        ),
    )


def _collectors(limits: Limits, where: str) -> tuple[Alert, ...]:
    duration = "wattlas_collector_duration_seconds"
    here, remote = limits.collector_slow_seconds, limits.collector_slow_remote_seconds
    others = matching(where, f'collector!="{_GRID}"')
    return (
        Alert(
            name="WattlasCollectorDown",
            expression=located(f'(wattlas_collector_up{{collector!="{_GRID}"}} == 0)', where),
            for_="15m",
            severity="warning",
            summary="A collector reads nothing",
            description=(
                f"{{{{ $labels.collector }}}} on {_WHO} has failed at every look for a quarter of"
                " an hour (up: {{ $value }}). Run `wattlas check` there: it says why, and the"
                " command that mends it. A source of less quality stands in, or there is a gap."
            ),
            runbook="collectors",
        ),
        Alert(
            name="WattlasCollectorSlow",
            expression=located(
                f'({duration}{{collector!~"{_GRID}|{_REMOTE}"}} > {number(here)}\n'
                f'or {duration}{{collector=~"{_REMOTE}"}} > {number(remote)})',
                where,
            ),
            for_="15m",
            severity="info",
            summary="A collector is slow",
            description=(
                f"A reading of {{{{ $labels.collector }}}} on {_WHO} takes"
                " {{ $value | humanizeDuration }}. Others are not held up, but its figures get"
                " coarse and it will time out next. Look at the device's own load, the network to"
                " it, or ask it less often (`interval_seconds`)."
            ),
            runbook="collectors",
        ),
        Alert(
            name="WattlasCollectorFailing",
            expression=(
                f"3600 * {FAILURES}{others}"
                f" > {number(limits.collector_failures_per_hour)}\n"
                "unless on (job, instance, collector)\n"
                "wattlas_collector_up == 0"
            ),
            for_="30m",
            severity="warning",
            summary="A collector, or one of its sources, fails again and again",
            description=(
                f"{{{{ $labels.collector }}}} on {_WHO} fails"
                ' {{ $value | printf "%.0f" }} times an hour, while it works otherwise: one of'
                " several devices is broken, or it drops out. `wattlas check` there names it."
            ),
            runbook="collectors",
        ),
    )


def _ledger(limits: Limits, where: str) -> tuple[Alert, ...]:
    not_up = "unless on (job, instance) wattlas_ledger_up == 0"
    return (
        Alert(
            name="WattlasLedgerDown",
            expression=located("(wattlas_ledger_up == 0)", where),
            for_="10m",
            severity="warning",
            summary="An agent cannot write its ledger",
            description=(
                f"The ledger of {_WHO} cannot be written (up: {{{{ $value }}}}). Look at the disk"
                " of its state directory: full (`df -h /var/lib/wattlas`), read-only, failing."
                " Measuring goes on; what waits in memory is lost if the agent ends before it is"
                " mended, so do not restart it."
            ),
            runbook="ledger",
        ),
        Alert(
            name="WattlasLedgerFailing",
            expression=(
                located("(3600 * rate(wattlas_ledger_failures_total[15m]))", where)
                + f" > {number(limits.ledger_failures_per_hour)}\n{not_up}"
            ),
            for_="15m",
            severity="warning",
            summary="Writes of a ledger fail again and again",
            description=(
                f'Writes of the ledger of {_WHO} fail {{{{ $value | printf "%.0f" }}}} times an'
                " hour, and succeed in between. `journalctl -u wattlas` there says why; look at"
                " the disk (`dmesg`, `smartctl`) and how full it is."
            ),
            runbook="ledger",
        ),
        Alert(
            name="WattlasLedgerBehind",
            expression=(
                located("min_over_time(wattlas_ledger_unsaved_postings[15m])", where)
                + f" > {number(limits.ledger_unsaved_postings)}\n{not_up}"
            ),
            for_="5m",
            severity="warning",
            summary="A disk does not keep up with an agent's ledger",
            description=(
                "{{ $value }} rows of detail wait for the disk of"
                f" {_WHO}, and have not been written for a quarter of an hour, though no write has"
                " failed: the disk hangs. Look at `iostat -x 1` and `dmesg` there."
            ),
            runbook="ledger",
        ),
    )


def _running(limits: Limits, where: str) -> tuple[Alert, ...]:
    return (
        Alert(
            name="WattlasAgentRestarting",
            expression=(
                located(
                    "(changes(wattlas_agent_start_time_seconds[1h])\n"
                    "or on (job, instance) resets(wattlas_agent_cpu_seconds_total[1h]))",
                    where,
                )
                + f" >= {number(limits.restarts_per_hour)}"
            ),
            severity="warning",
            summary="An agent starts again and again",
            description=(
                f"The agent of {_WHO} has started {{{{ $value }}}} times in the last hour."
                " `journalctl -u wattlas` there says what ended it: memory limit, watchdog (a"
                " hang), an error. Counters go on over a restart; power between is integrated"
                " only over short ones."
            ),
            runbook="agent-restarting",
        ),
        Alert(
            name="WattlasTicksSkipped",
            expression=(
                located("(60 * rate(wattlas_ticks_skipped_total[15m]))", where)
                + f" > {number(limits.ticks_skipped_per_minute)}"
            ),
            for_="15m",
            severity="info",
            summary="An agent does not keep up with its interval",
            description=(
                f'The agent of {_WHO} leaves out {{{{ $value | printf "%.0f" }}}} ticks a'
                " minute. Energy counters lose nothing; power that is integrated gets coarse. Is"
                " the host starved of CPU, or its cgroup's quota too small? Else set a longer"
                " `agent.interval_seconds`."
            ),
            runbook="agent-restarting",
        ),
    )
