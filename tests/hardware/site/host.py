"""One simulated server: its trees, GPUs and BMC, what it truly draws and does, and its agent."""

import json
import os
from pathlib import Path

from hardware.hwmon import Chip, drive, power_meter, thermometer
from hardware.nvml import Quantity, Standin
from hardware.power import Constant, Power, Scaled, Sum
from hardware.presets import cloud_vm, epyc_2s, grace_2s, xeon_2s
from hardware.redfish import Bmc
from hardware.site.bmc import make_bmc
from hardware.site.clock import SiteClock
from hardware.site.gpus import FP16_TENSOR, MODELS, TENSOR, figures, line, make_board, power_of
from hardware.site.plans import Plan
from hardware.site.rhythm import Changing, busy_week, week
from hardware.timeline import Timeline
from hardware.tree import Machine

BOARD_WATTS, DRIVE_WATTS = 55.0, 9.0
FAN_WATTS, FAN_RATIO = 18.0, 0.06
SUPPLY_EFFICIENCY = 0.94
CAP_MINUTES, CAP_EVERY = 3, 20
"""A capped server is held down for 3 minutes of each 20."""
CAP_POWER, CAP_WORK = 0.31, 0.20
"""What that takes off the power above idle, and off the work."""
_CHANGED = (
    Quantity.POWER_LIMIT,
    Quantity.SM_CLOCK,
    Quantity.GRAPHICS_CLOCK,
    Quantity.EVENT_REASONS,
    Quantity.GPM + TENSOR,
    Quantity.GPM + FP16_TENSOR,
)
"""What shows that a GPU is held down, beside the time throttled."""
HOT_SHARE = 0.15


def cpu_watts(preset: str) -> tuple[float, float]:
    """Return a socket's power when idle and at full load, W, as its preset reckons load."""
    return {"xeon_2s": (45.0, 150.0), "epyc_2s": (50.0, 155.0), "grace_2s": (60.0, 250.0)}.get(
        preset, (4.0, 18.0)
    )


class SimulatedHost:
    """Everything of a server but its agent's process. Times are the site's scenario time, s."""

    def __init__(self, plan: Plan, clock: SiteClock, folder: Path) -> None:
        """Make its trees; the agent may start."""
        folder.mkdir(parents=True)
        self.plan, self.clock, self.folder = plan, clock, folder
        self.load: Power = busy_week(clock.epoch, plan.rhythm)
        self._weeks: dict[float, Power] = {}
        self.cap = self._cap_week()
        self.cpu_load = Scaled(self.load, 0.35) if plan.gpus else self.load
        self.gpu_power = [self._gpu(n) for n in range(plan.gpus)]
        self.gpu_done = [Changing(self._capped(CAP_WORK)) for _ in range(plan.gpus)]
        self.parts: dict[str, Power] = self._parts()
        self.wall: Power = self._wall()
        self.work: Power = self._work()
        self.standin = self._standin() if plan.gpus else None
        self.machine = self._machine()
        self.machine.timeline = Timeline(epoch=clock.epoch, uptime=clock.boottime)
        self.machine.write(max(clock.now(), 0.0))
        self.bmc: Bmc | None = make_bmc(plan.bmc, self.wall, clock.now) if plan.bmc else None
        self.work_socket = folder / "w.sock"
        self.work_until = 0.0
        """Up to when its work was reported."""

    def close(self) -> None:
        """Let go of its files."""
        self.machine.close()
        if self.standin is not None:
            self.standin.close()

    # -- what a test may do -------------------------------------------------------------------

    def throttle(self, gpu: int | None = None, *, work: float = 0.5, power: float = 0.8) -> None:
        """Hold a GPU down, or all of them, from now on.

        `work` and `power` are the shares that remain of what it gets done and of its power above
        idle. It seems as busy as before: that is what makes it a drop in efficiency.
        """
        for index in self._indices(gpu):
            load, model = self._capped(CAP_POWER), MODELS[self.plan.model]
            self._set(index, power_of(model, load, power), Scaled(self._capped(CAP_WORK), work))
            self._figures(index, Constant(1.0), Quantity.THROTTLED_SW_THERMAL)

    def recover(self, gpu: int | None = None) -> None:
        """Let a GPU, or all of them, run as before."""
        for index in self._indices(gpu):
            self._set(index, self.gpu_power[index].first, self.gpu_done[index].first)
            assert self.standin is not None
            uuid = self.standin.boards[index].uuid
            hot = HOT_SHARE if self.is_hot(index) else 0.0
            self.standin.set(uuid, Quantity.THROTTLED_SW_THERMAL, hot)
            self._figures(index, self.cap, Quantity.THROTTLED_POWER)

    def _indices(self, gpu: int | None) -> list[int]:
        if not self.plan.gpus:
            raise ValueError(f"{self.plan.name} has no GPU")
        return list(range(self.plan.gpus)) if gpu is None else [gpu]

    def _set(self, index: int, power: Power, done: Power) -> None:
        assert self.standin is not None
        t = self.clock.now()
        self.standin.write(t)  # the moment from which the new curves count
        self.standin.set(self.standin.boards[index].uuid, Quantity.POWER, power)
        self.gpu_power[index].change(t, power)
        self.gpu_done[index].change(t, done)

    def _figures(self, index: int, held: Power, reason: Quantity) -> None:
        assert self.standin is not None
        uuid, done = self.standin.boards[index].uuid, self.gpu_done[index].now
        found = figures(MODELS[self.plan.model], self.load, done, held, reason)
        for quantity in (*_CHANGED, reason):
            if self.plan.model == "h100" or quantity < Quantity.GPM:
                self.standin.set(uuid, quantity, found[quantity])

    # -- what is true -------------------------------------------------------------------------

    def _cap_week(self) -> Power:
        if not self.plan.capped:
            return Constant(0.0)
        return week(self.clock.epoch, lambda wall: float((wall // 60) % CAP_EVERY < CAP_MINUTES))

    def _capped(self, share: float) -> Power:
        """Return the load less what the power cap takes off while it holds."""
        if not self.plan.capped:
            return self.load
        if share not in self._weeks:
            load, cap, epoch = self.load, self.cap, self.clock.epoch
            self._weeks[share] = week(
                epoch,
                lambda wall: load.watts(wall - epoch) * (1.0 - share * cap.watts(wall - epoch)),
            )
        return self._weeks[share]

    def _gpu(self, number: int) -> Changing:
        factor = 1.0 - 0.012 * (number % 5)  # no two boards are alike
        return Changing(power_of(MODELS[self.plan.model], self._capped(CAP_POWER), factor))

    def _parts(self) -> dict[str, Power]:
        idle, full = cpu_watts(self.plan.preset)
        sockets = 1 if self.plan.preset == "cloud_vm" else 2
        parts: dict[str, Power] = {
            f"package-{n}": line(self.cpu_load, idle + 1.0, full - 2.0 * n) for n in range(sockets)
        }
        if self.plan.preset != "cloud_vm":
            parts |= {f"dram-{n}": line(self.cpu_load, 9.0, 22.0) for n in range(sockets)}
            parts["ssd-0"] = line(self.cpu_load, DRIVE_WATTS - 3.0, DRIVE_WATTS + 5.0)
        return parts

    def _wall(self) -> Power:
        """Return the server at the wall: parts, board and fans, behind the power supplies."""
        parts = Sum((*self.parts.values(), *self.gpu_power))
        if self.plan.preset == "cloud_vm":
            return parts
        inside = Sum((Scaled(parts, 1.0 + FAN_RATIO), Constant(BOARD_WATTS + FAN_WATTS)))
        return Scaled(inside, 1.0 / SUPPLY_EFFICIENCY)

    def _work(self) -> Power:
        """Return units of work a second."""
        job = self.plan.job
        if job is None:
            return Constant(0.0)
        if self.gpu_done:
            each = job.per_second / len(self.gpu_done)
            return Sum(tuple(Scaled(done, each) for done in self.gpu_done))
        return Scaled(self.load, job.per_second)

    # -- what stands for it -------------------------------------------------------------------

    def _standin(self) -> Standin:
        plan = self.plan
        boards = [
            make_board(
                plan.name,
                n,
                plan.model,
                self.gpu_power[n].first,
                self._first_figures(n),
                plan.slices if n == 0 else 0,
            )
            for n in range(plan.gpus)
        ]  # fmt: skip
        standin = Standin(self.folder / "nvml.state", boards, is_real=True)
        standin.state.epoch, standin.state.boottime = self.clock.epoch, self.clock.boottime
        return standin

    def _first_figures(self, number: int) -> dict[int, Power]:
        model, done = MODELS[self.plan.model], self.gpu_done[number].first
        found = figures(model, self.load, done, self.cap, Quantity.THROTTLED_POWER)
        if self.is_hot(number):
            found[Quantity.THROTTLED_SW_THERMAL] = Constant(HOT_SHARE)
        return found

    def is_hot(self, number: int) -> bool:
        """Tell whether a GPU is held down for its temperature now and then."""
        return self.plan.hot and number == self.plan.gpus - 1

    def _machine(self) -> Machine:
        plan = self.plan
        scripts: dict[str, Power] = dict(self.parts)
        scripts |= {"wall": self.wall, "board": Scaled(self.wall, SUPPLY_EFFICIENCY)}
        root = self.folder / "m"
        disk = drive("nvme0", "ssd-0")
        chips: list[Chip] = [thermometer("coretemp", 0), disk]
        match plan.preset:
            case "xeon_2s":
                if not plan.bmc or plan.links:  # some have the firmware's meter, one has both
                    chips.append(power_meter("wall"))
                return xeon_2s(root, scripts, chips=chips)
            case "epyc_2s":
                return epyc_2s(root, scripts)
            case "grace_2s":
                return grace_2s(root, scripts)
            case "cloud_vm":
                return cloud_vm(root, scripts)
            case _:
                raise ValueError(f"there is no preset {plan.preset}")

    def environment(self, library: Path | None) -> dict[str, str]:
        """Return what its agent's process needs. `library`: the one that gives it a name."""
        found = {"WATTLAS_SITE_HOST": self.plan.name}
        if library is not None:
            before = os.environ.get("LD_PRELOAD", "")
            found["LD_PRELOAD"] = f"{library}:{before}" if before else str(library)
        if self.standin is not None:
            found |= self.standin.environment()
        return found

    def report(self, now: float) -> dict[str, object] | None:
        """Return the work since the last report, as POST /v1/work wants it; None: there is none."""
        job = self.plan.job
        if job is None or now <= self.work_until:
            return None
        amount = self.work.joules(now) - self.work.joules(self.work_until)
        found: dict[str, object] = {
            "workload": job.workload,
            "unit": job.unit,
            "amount": amount,
            "seconds": now - self.work_until,
        }
        if job.device:
            found["device"] = job.device
        if job.flop:
            found |= {"flop": amount * job.flop, "precision": job.precision}
        return found

    def write_settings(self, more: str) -> Path:
        """Write its agent's settings and return where; `more` is what the site adds."""
        said, path = json.dumps, self.folder / "wattlas.toml"
        path.write_text(
            f"""[agent]
listen = "127.0.0.1:0"
state_dir = {said(str(self.folder / "state"))}
work_socket = {said(str(self.work_socket))}
[paths]
procfs = {said(str(self.machine.procfs))}
sysfs = {said(str(self.machine.sysfs))}
{more}"""
        )
        return path
