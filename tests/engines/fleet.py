"""What a fleet's agents export over time: synthetic, for the cost of rules and for comparisons.

Names and labels are those of docs/reference/metrics.md, as many series for each host as a server
with GPUs has of those that our rules read. Values are made up and move slowly.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

NAME = "NVIDIA H100 80GB HBM3"


@dataclass(frozen=True, slots=True)
class Line:
    """One series."""

    name: str
    labels: str
    rate: float | None
    """Of a counter, per second; None: a gauge."""
    level: float
    """Of a gauge; of a counter where it begins."""
    phase: float = 0.0

    def at(self, t: float) -> float:
        """Return the value at a time in seconds: within 5 % of the level or rate."""
        if self.rate is None:
            if self.level in {0.0, 1.0}:
                return self.level
            return self.level * (1 + 0.05 * math.sin(t / 1800 + self.phase))
        grown = t - 0.05 * 1800 * (math.cos(t / 1800 + self.phase) - math.cos(self.phase))
        return self.level + self.rate * grown


@dataclass(frozen=True)
class Fleet:
    """So many hosts with so many GPUs each, on ten sites."""

    hosts: int
    gpus: int = 8
    job: str = "wattlas"
    sites: int = 10
    more: tuple[Line, ...] = field(default=())

    def lines(self) -> Iterator[Line]:
        """Yield every series."""
        for site in range(min(self.sites, self.hosts)):
            yield from self._site(site)
        for host in range(self.hosts):
            yield from self._host(host)
        yield from self.more

    def openmetrics(self, path: Path, start: float, end: float, step: float) -> int:
        """Write all of it from `start` to `end`, Unix seconds; return how many samples."""
        samples = 0
        times = [start + n * step for n in range(round((end - start) / step) + 1)]
        with path.open("w") as file:
            ordered = sorted(self.lines(), key=lambda line: line.name)
            for name, lines in groupby(ordered, key=lambda line: line.name):
                counter = name.endswith("_total")
                family = name.removesuffix("_total")
                file.write(f"# TYPE {family} {'counter' if counter else 'gauge'}\n")
                for line in lines:
                    head = f"{name}{{{line.labels}}}"
                    rows = [f"{head} {line.at(t - start):.9g} {t:.3f}\n" for t in times]
                    file.writelines(rows)
                    samples += len(rows)
            file.write("# EOF\n")
        return samples

    def text(self, start: float, end: float, step: float) -> Iterator[str]:
        """Yield the same with timestamps in milliseconds, for VictoriaMetrics."""
        times = [start + n * step for n in range(round((end - start) / step) + 1)]
        for line in self.lines():
            for t in times:
                yield f"{line.name}{{{line.labels}}} {line.at(t - start):.9g} {t * 1000:.0f}"

    def _site(self, number: int) -> Iterator[Line]:
        scrape = f'job="{self.job}",instance="meters-{number}:9760"'
        site = f'{scrape},site="site-{number}"'
        watts = {"total": 8e5, "it": 6e5, "ups": 6.2e5, "cooling": 1.2e5, "renewable": 3e5}
        for role, level in watts.items():
            meter = f'{site},meter="{role}",role="{role}"'
            yield Line("wattlas_site_power_watts", meter, None, level)
            yield Line("wattlas_site_energy_joules_total", meter, level, 1e12)
            yield Line("wattlas_site_gap_seconds_total", meter, 0.0, 0.0)
        for window in ("1h", "24h", "30d", "365d"):
            kpi = f'{site},category="iPUE2",window="{window}"'
            yield Line("wattlas_site_pue_ratio", kpi, None, 1.3)

    def _host(self, number: int) -> Iterator[Line]:
        scrape = f'job="{self.job}",instance="host-{number}:9760"'
        phase = number * 0.1
        where = f'host="host-{number}",site="site-{number % self.sites}",rack="r{number // 20}"'
        info = f'{scrape},{where},grid_zone="DE",cpu_model="X",machine_id="{number:032x}"'
        yield Line("wattlas_host_info", info, None, 1.0)
        for quality, source, watts in (
            ("measured", "rapl", 5000.0 + number),
            ("integrated", "hwmon", 300.0),
            ("estimated", "estimate", 150.0),
        ):
            labels = f'{scrape},quality="{quality}"'
            power = f'{labels},source="{source}"'
            yield Line("wattlas_host_power_watts", power, None, watts, phase)
            yield Line("wattlas_host_energy_joules_total", labels, watts, 1e9, phase)
        yield Line("wattlas_host_energy_gap_seconds_total", scrape, 0.001, 10.0)
        yield Line("wattlas_host_parts_exceed_wall", scrape, None, 0.0)
        yield Line("wattlas_host_power_uncertainty_ratio", scrape, None, 0.05)
        yield from self._parts(scrape, phase)
        for workload, unit, rate in (
            ("llama-70b", "generated_tokens", 900.0),
            ("train", "steps", 2.0),
        ):
            labels = f'{scrape},workload="{workload}",unit="{unit}"'
            yield Line("wattlas_work_total", labels, rate, 1e6, phase)
            yield Line("wattlas_work_energy_joules_per_unit", labels, None, 5450 / rate, phase)
        for basis in ("location", "market"):
            labels = f'{scrape},scope="2",basis="{basis}",stage="operation"'
            yield Line("wattlas_emissions_grams_total", labels, 0.6, 1e6, phase)
            grid = f'{scrape},grid_zone="DE",provider="entsoe",basis="{basis}",factor="lifecycle"'
            yield Line("wattlas_grid_carbon_intensity_grams_per_kwh", grid, None, 380.0)
            info = f'{grid},standing="measured"'
            yield Line("wattlas_grid_carbon_intensity_info", info, None, 1.0)
        for stage in ("procurement", "design", "manufacturing", "packaging_transport", "recycling"):
            labels = f'{scrape},scope="3",basis="",stage="{stage}"'
            yield Line("wattlas_emissions_grams_total", labels, 0.01, 1e5)
            for bound, factor in (("low", 0.8), ("best", 1.0), ("high", 1.4)):
                grams = f'{scrape},asset="server",bound="{bound}",stage="{stage}"'
                yield Line("wattlas_embodied_grams", grams, None, 3e5 * factor)
        for collector in ("rapl", "hwmon", "nvml", "host", "estimate", "redfish", "grid"):
            labels = f'{scrape},collector="{collector}"'
            yield Line("wattlas_collector_up", labels, None, 1.0)
            yield Line("wattlas_collector_duration_seconds", labels, None, 0.002, phase)
            failed = f'{labels},reason="timeout"'
            yield Line("wattlas_collector_failures_total", failed, 0.0001, 3.0)
            reset = f'{labels},reason="boot"'
            yield Line("wattlas_counter_resets_total", reset, 0.0002, 1.0)
        yield from self._agent(scrape)

    def _parts(self, scrape: str, phase: float) -> Iterator[Line]:
        parts = [("cpu", "package-0", "rapl", 200.0), ("cpu", "package-1", "rapl", 190.0)]
        parts += [("dram", "dram-0", "rapl", 40.0)]
        parts += [("gpu", f"GPU-{phase:.1f}-{n}", "nvml", 550.0) for n in range(self.gpus)]
        for n, (component, device, source, watts) in enumerate(parts):
            labels = f'{scrape},component="{component}",device="{device}",source="{source}"'
            quality = f'{labels},quality="measured"'
            yield Line("wattlas_component_power_watts", quality, None, watts, phase + n)
            yield Line("wattlas_component_energy_joules_total", quality, watts, 1e8, phase + n)
            yield Line("wattlas_energy_gap_seconds_total", labels, 0.0, 1.0)
            if component != "gpu":
                continue
            gpu_device = f'{scrape},component="gpu",device="{device}"'
            yield Line("wattlas_component_utilization_ratio", gpu_device, None, 0.75, phase)
            flops = f'{gpu_device},precision="fp16_tensor",method="pipe_activity"'
            yield Line("wattlas_flops_total", flops, 3e14, 1e18, phase + n)
            yield Line("wattlas_crosscheck_energy_ratio", f'{gpu_device},source="nvml"', None, 0.99)
            uuid = f'{device}"'
            gpu = f'{scrape},gpu="{n}",uuid="{uuid},name="{NAME}"'
            yield Line("wattlas_gpu_power_limit_watts", gpu, None, 700.0)
            for reason in ("sw_power_cap", "hw_thermal"):
                held = f'{gpu},reason="{reason}"'
                yield Line("wattlas_gpu_throttled_seconds_total", held, 0.02, 5.0)
        held = f'{scrape},component="cpu",device="package-0",reason="thermal"'
        yield Line("wattlas_component_throttled_seconds_total", held, 0.01, 5.0)
        cpu = f'{scrape},component="cpu",device="all"'
        yield Line("wattlas_component_utilization_ratio", cpu, None, 0.4, phase)

    def _agent(self, scrape: str) -> Iterator[Line]:
        for name, rate, level in (
            ("wattlas_agent_cpu_seconds_total", 0.004, 10.0),
            ("wattlas_agent_energy_joules_total", 0.3, 100.0),
            ("wattlas_ticks_skipped_total", 0.0, 1.0),
            ("wattlas_ledger_failures_total", 0.0, 0.0),
            ("wattlas_agent_resident_bytes", None, 5.1e7),
            ("wattlas_ledger_up", None, 1.0),
            ("wattlas_ledger_size_bytes", None, 2e7),
            ("wattlas_ledger_unsaved_postings", None, 2.0),
            ("wattlas_tick_late_seconds", None, 0.001),
        ):
            yield Line(name, scrape, rate, level)
