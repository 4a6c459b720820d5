"""What a PromQL engine is asked about the agents. Pure.

Energy is the difference of each host's counter at two grid instants, summed by the engine:
differences telescope, so that nothing between two grid instants is extrapolated or lost (`increase`
loses what lies between the last point of one window and the first of the next). Only where a host
has no such difference, because its counter fell or it came or went meanwhile, does `increase` say
what it did. `[5m]` is Prometheus' own look-back, written out because engines differ in it
(https://docs.victoriametrics.com/metricsql/#metricsql-features).
"""

from typing import Final, NamedTuple

LOOKBACK_SECONDS: Final = 300
HOST: Final = "wattlas_host_energy_joules_total"
HOST_GAP: Final = "wattlas_host_energy_gap_seconds_total"
WALL: Final = "wattlas_wall_energy_joules_total"
PARTS: Final = (
    'wattlas_component_energy_joules_total{component=~"cpu|dram|gpu|accelerator|storage|nic"}'
)
"""What computes, stores and communicates: the denominator of ITUE."""
WALL_GAP: Final = "wattlas_wall_gap_seconds_total"
BUSY: Final = 'wattlas_component_utilization_ratio{component="cpu",device="all"}'
WORK: Final = "wattlas_work_total"
INFO: Final = "wattlas_host_info"
UNTOUCHED: Final = 0.001
"""A server whose parts were unknown for more than this share of a step does not count in ITUE."""
_PARTS_OF: Final = {
    HOST: "quality",
    HOST_GAP: "",
    WALL: "component, device, source, quality",
    PARTS: "component, device, source, quality",
    WALL_GAP: "component, device, source, quality",
}
"""Labels over which a server's figure is summed; what is left names the server."""


class FleetQueries(NamedTuple):
    """The queries for one step and one site."""

    step: int
    """Seconds."""
    site: str = ""
    """Only agents whose wattlas_host_info says this site; "": all."""

    def energy(self) -> str:
        """Joules of all servers in the step that ends at the instant."""
        return f"sum({self._here(self._rise(HOST))})"

    def seen(self) -> str:
        """How many servers were there at both ends of the step."""
        return f"count({self._here(self._both(HOST))})"

    def gap(self) -> str:
        """Seconds for which servers did not know all of their energy, summed over them."""
        return f"sum({self._here(f'clamp_max({self._rise(HOST_GAP)}, {self.step})')})"

    def first(self, metric: str, seconds: float) -> str:
        """When each server was first there in the last `seconds`, at grid instants."""
        return f"min_over_time({self._present(metric)}[{seconds:.0f}s:{self.step}s])"

    def last(self, metric: str, seconds: float) -> str:
        """When each server was last there in the last `seconds`, at grid instants."""
        return f"max_over_time({self._present(metric)}[{seconds:.0f}s:{self.step}s])"

    def times(self, metric: str, seconds: float) -> str:
        """At how many grid instants each server was there in the last `seconds`."""
        return f"count_over_time({self._present(metric)}[{seconds:.0f}s:{self.step}s])"

    def wall(self) -> str:
        """Joules at the wall of the servers that know both that and their parts."""
        return f"sum({self._with_both(WALL, PARTS)})"

    def parts(self) -> str:
        """Joules of those servers' parts that compute."""
        return f"sum({self._with_both(PARTS, WALL)})"

    def walls(self) -> str:
        """How many servers those are."""
        return f"count({self._with_both(WALL, PARTS)})"

    def busy(self) -> str:
        """Utilization, summed over servers; by the mean of each server over the step."""
        return f"sum({self._here(self._utilization())})"

    def present(self) -> str:
        """How many servers that sum is over."""
        return f"count({self._here(self._utilization())})"

    def work(self) -> str:
        """Useful work by unit. What appears on a server that was there before began at 0."""
        now, before = self._at(WORK), self._at(WORK, self.step)
        new = f"(({now} unless {before}) and on (instance, job) {self._at(HOST, self.step)})"
        rise = f"((({now} - {before}) >= 0) or {new} or increase({WORK}[{self.step}s]))"
        return f"sum by (unit) ({self._here(rise)})"

    def sites(self) -> str:
        """How many agents say each site."""
        return f"count by (site) ({self._at(INFO)})"

    def _at(self, metric: str, ago: int = 0) -> str:
        """Return a server's figure at the instant, or `ago` seconds before it."""
        offset = f" offset {ago}s" if ago else ""
        value = f"last_over_time({metric}[{LOOKBACK_SECONDS}s]{offset})"
        parts = _PARTS_OF.get(metric)
        return f"sum without ({parts}) ({value})" if parts else value

    def _both(self, metric: str) -> str:
        return f"({self._at(metric)} and {self._at(metric, self.step)})"

    def _difference(self, metric: str) -> str:
        return f"(({self._at(metric)} - {self._at(metric, self.step)}) >= 0)"

    def _rise(self, metric: str) -> str:
        increase = f"increase({metric}[{self.step}s])"
        parts = _PARTS_OF.get(metric)
        increase = f"sum without ({parts}) ({increase})" if parts else increase
        return f"({self._difference(metric)} or {increase})"

    def _with_both(self, metric: str, other: str) -> str:
        """Return a metric's rise where the other's is known too, and neither had a gap."""
        holes = [
            f"({self._difference(gap)} > {self.step * UNTOUCHED:g})" for gap in (HOST_GAP, WALL_GAP)
        ]
        known = f"{self._difference(metric)} and on (instance, job) {self._difference(other)}"
        known += "".join(f" unless on (instance, job) {hole}" for hole in holes)
        return self._here(f"({known})")

    def _utilization(self) -> str:
        there = self._both(HOST)
        return f"(avg_over_time({BUSY}[{self.step}s]) and on (instance, job) {there})"

    def _present(self, metric: str) -> str:
        return f"({self._here(self._at(metric))} * 0 + time())"

    def _here(self, query: str) -> str:
        """Keep the servers of the site: those whose agent says so at an end of the step."""
        if not self.site:
            return query
        site = self.site.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        info = f'{INFO}{{site="{site}"}}'
        either = f"({self._at(info)} or {self._at(info, self.step)})"
        return f"({query} and on (instance, job) {either})"
