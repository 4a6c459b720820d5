"""Which truth lies behind each series of an agent's page: the shape of its simulated past.

A shape is `offset + factor x track`, of a gauge the track's values and of a counter its integral.
What is not modelled stays as it is now (gauges) or stands still (counters).
"""

from collections.abc import Mapping
from typing import NamedTuple

from hardware.site.gpus import MODELS
from hardware.site.host import HOT_SHARE, SimulatedHost
from hardware.site.meters import WATER
from hardware.site.settings import MARKET_GRAMS_PER_KWH
from hardware.site.tracks import Track, Tracks

LIFETIME_SECONDS = 5 * 365 * 86400.0
LOSSES = 0.055 / (1.0 - 0.055)
Labels = Mapping[str, str]


class Shape(NamedTuple):
    """offset + factor x track."""

    track: Track
    factor: float = 1.0
    offset: float = 0.0


class Shapes:
    """The shapes of one agent's series."""

    def __init__(
        self, host: SimulatedHost, tracks: Tracks, page: Mapping[str, list[tuple[Labels, float]]]
    ) -> None:
        """`page`: by metric its series, as the agent shows them now."""
        self._host, self._tracks, self._page = host, tracks, page
        self._wall = tracks.of(host.wall)
        self._cpu = tracks.of(host.cpu_load)
        self._load = tracks.of(host.load)
        self._work = tracks.of(host.work)
        self._gpus = {}
        self._done = {}
        for board, power, done in zip(
            host.standin.boards if host.standin else [], host.gpu_power, host.gpu_done, strict=True
        ):
            self._gpus[board.uuid] = tracks.of(power)
            self._done[board.uuid] = tracks.of(done)
        self._still = tracks.constant(0.0)

    def of(self, metric: str, labels: Labels, value: float) -> Shape:
        """Return the shape of one series, which has this value now."""
        is_counter = metric.endswith("_total")
        found: Shape | None = None
        for part, function in (
            ("wattlas_host_", self._of_host),
            ("wattlas_wall_", self._of_host),
            ("wattlas_component_", self._of_component),
            ("wattlas_crosscheck_power", self._of_component),
            ("wattlas_gpu_", self._of_gpu),
            ("wattlas_flops_", self._of_flops),
            ("wattlas_work_", self._of_work),
            ("wattlas_site_", self._of_site),
            ("wattlas_", self._of_carbon),
        ):
            if metric.startswith(part):
                found = function(metric.removeprefix("wattlas_"), labels, value)
                break
        return found or Shape(self._still, 0.0, 0.0 if is_counter else value)

    # -- by what they are about ---------------------------------------------------------------

    def _of_host(self, metric: str, labels: Labels, value: float) -> Shape | None:
        match metric:
            case "host_power_watts" | "wall_power_watts":
                return self._scaled(self._wall, value)
            case "host_energy_joules_total":
                watts = {
                    who["quality"]: v for who, v in self._page.get("wattlas_host_power_watts", [])
                }
                return self._scaled(self._wall, watts.get(labels["quality"], 0.0))
            case "wall_energy_joules_total":
                now = self._page.get("wattlas_wall_power_watts", [])
                counts = any(who["source"] == labels["source"] for who, _ in now)
                return Shape(self._wall, 1.0 if counts else 0.0)
            case "host_unattributed_joules_total":
                parts = sum(v for _, v in self._page.get("wattlas_component_power_watts", []))
                return self._scaled(self._wall, max(self._wall.now - parts, 0.0))
            case _:
                pass
        return None

    def _of_component(self, metric: str, labels: Labels, value: float) -> Shape | None:
        component, device = labels["component"], labels["device"]
        match metric:
            case "component_power_watts" | "crosscheck_power_watts":
                return self._scaled(self._part(component, device), value)
            case "component_energy_joules_total":
                now = self._page.get("wattlas_component_power_watts", [])
                watts = [v for who, v in now if dict(who) == dict(labels)]
                return self._scaled(self._part(component, device), watts[0] if watts else 0.0)
            case "component_utilization_ratio" if component in {"cpu", "gpu"}:
                return self._scaled(self._load if component == "gpu" else self._cpu, value)
            case "component_temperature_celsius":
                return Shape(self._cpu, 22.0, value - 22.0 * self._cpu.now)
            case _:
                pass
        return None

    def _of_gpu(self, metric: str, labels: Labels, value: float) -> Shape | None:
        done = self._done[labels["uuid"]]
        held = self._tracks.of(self._host.cap)
        match metric:
            case "gpu_temperature_celsius":
                return Shape(self._load, 44.0, value - 44.0 * self._load.now)
            case "gpu_pipe_active_ratio":
                return self._scaled(done, value)
            case "gpu_link_bytes_total":
                return Shape(done, 4e9)
            case "gpu_power_limit_watts":
                limit = MODELS[self._host.plan.model].limit_watts
                return Shape(held, -0.35 * limit, limit)
            case "gpu_throttled_seconds_total" if labels["reason"] == "sw_power_cap":
                return Shape(held)
            case "gpu_throttled_seconds_total" if labels["reason"] == "sw_thermal_slowdown":
                hot = self._host.is_hot(list(self._done).index(labels["uuid"]))
                return Shape(self._tracks.constant(HOT_SHARE if hot else 0.0))
            case "gpu_slice_attributed_watts":
                return self._scaled(self._gpus[labels["uuid"]], value)
            case _:
                pass
        return None

    def _of_flops(self, metric: str, labels: Labels, value: float) -> Shape | None:
        device = labels["device"]
        done = self._done.get(device, self._work)
        job = self._host.plan.job
        if metric == "flops_total" and labels["method"] == "application" and job is not None:
            return Shape(self._work, job.flop)
        if metric == "flops_total":
            same = [
                v * peak
                for who, v in self._page.get("wattlas_flops_peak_ratio", [])
                for p, peak in self._page.get("wattlas_peak_flops", [])
                if dict(who) == dict(labels) and p["precision"] == labels["precision"]
                if device in {p["device"], "all"}
            ]
            boards = len(self._done) if device == "all" else 1
            return self._scaled(done, same[0] * boards) if same else None
        if metric == "flops_peak_ratio":
            return self._scaled(done, value)
        watts = self._gpus.get(device) or self._tracks.made(
            lambda *each: sum(each), *self._gpus.values()
        )
        return self._scaled(self._tracks.made(lambda d, w: d / w, done, watts), value)

    def _of_work(self, metric: str, labels: Labels, value: float) -> Shape | None:
        if metric == "work_total":
            return Shape(self._work)
        watts = (
            self._tracks.made(lambda *each: sum(each), *self._gpus.values())
            if self._gpus
            else self._wall
        )
        return self._scaled(self._tracks.made(lambda w, k: w / k, watts, self._work), value)

    def _of_site(self, metric: str, labels: Labels, value: float) -> Shape | None:
        meters = self._tracks.meters
        meter = meters.get(labels.get("meter", ""))
        match metric:
            case "site_power_watts" | "site_energy_joules_total" | "site_water_liters_total":
                known = meter is not None and (labels["meter"] in WATER) == ("water" in metric)
                return Shape(meter) if known and meter is not None else None
            case "site_temperature_celsius":
                return Shape(meter) if meter is not None else None
            case _:
                pass
        if labels.get("window") != "1h" or metric == "site_kpi_coverage_ratio":
            return None  # a mean over a long time: it stays as it is now
        total = ("utility-a", "utility-b", "pv")
        above, below = {
            "site_pue_ratio": (total, ("ups-1", "ups-2")),
            "site_cue_kilograms_per_kwh": (total[:2], ("ups-1", "ups-2")),
            "site_wue_liters_per_kwh": (("mains-water",), ("ups-1", "ups-2")),
            "site_ref_ratio": (("wind-ppa", "pv"), total),
            "site_erf_ratio": (("heat-export",), total),
            "site_cer_ratio": (("heat-removed",), ("chiller-1", "crah")),
        }[metric]
        names = [*above, *below]
        ratio = self._tracks.made(
            lambda *each: sum(each[: len(above)]) / sum(each[len(above) :]),
            *(meters[name] for name in names),
        )
        return self._scaled(ratio, value)

    def _of_carbon(self, metric: str, labels: Labels, value: float) -> Shape | None:
        match metric:
            case "grid_carbon_intensity_grams_per_kwh" if labels["basis"] == "location":
                return Shape(self._tracks.intensity)
            case "emissions_grams_total":
                return self._emissions(labels)
            case "budget_used_ratio":
                return Shape(self._tracks.month, value)
            case "agent_cpu_seconds_total" | "agent_energy_joules_total":
                age = max(self._host.clock.now(), 1.0)
                return Shape(self._tracks.constant(value / age))
            case _:
                pass
        return None

    def _emissions(self, labels: Labels) -> Shape:
        located = self._tracks.emitted(self._wall, self._tracks.intensity)
        if labels["stage"] != "operation":
            grams = sum(
                v
                for who, v in self._page.get("wattlas_embodied_grams", [])
                if who["stage"] == labels["stage"] and who["bound"] == "best"
            )
            return Shape(self._tracks.constant(grams / LIFETIME_SECONDS))
        if labels["scope"] == "3":
            return Shape(located, LOSSES)
        return (
            Shape(located)
            if labels["basis"] == "location"
            else Shape(self._wall, MARKET_GRAMS_PER_KWH / 3.6e6)
        )

    # -- inside -------------------------------------------------------------------------------

    def _part(self, component: str, device: str) -> Track:
        """Return what a part draws; of one that nothing moves, what the whole server does."""
        if device in self._gpus:
            return self._gpus[device]
        name = "ssd-0" if device == "nvme0" and "ssd-0" in self._host.parts else device
        power = self._host.parts.get(name)
        if power is not None:
            return self._tracks.of(power)
        if component in {"storage", "nic"}:
            return self._tracks.constant(1.0)
        return self._wall if component in {"host", "psu"} else self._cpu

    @staticmethod
    def _scaled(track: Track, now: float) -> Shape:
        """Return a track's shape with another value at the grid's end."""
        return Shape(track, now / track.now if track.now else 0.0)
