"""Stories: what the meter makes of restarts, reboots, suspends, clock steps and dead sensors."""

import math

import pytest
from unit.meter.rig import SHORT_RANGE, C, Q, Rig, Source, estimate, hwmon, rapl

from agent.quantities import Quality
from agent.samples import EnergyCounter, PowerReading


def approx(value, tolerance=1e-6):
    return pytest.approx(value, rel=1e-9, abs=tolerance)


def test_a_counter_is_counted_to_the_joule():
    cpu = rapl(watts=123.4)
    rig = Rig(cpu)
    rig.run(10_001, cpu)  # wraps four times
    assert rig.joules(cpu) == approx(1_234_000.0, 1e-4)
    assert (rig.seconds(cpu), rig.gap(cpu), rig.host_gap()) == (approx(10_000.0), 0.0, 0.0)
    assert rig.meter.state.resets == {}
    rig.check_books()


def test_a_sensor_is_integrated_between_its_readings():
    cpu = hwmon()
    rig = Rig(cpu)
    rig.tick(cpu)
    cpu.watts = 200.0
    rig.tick(cpu)
    assert rig.joules(cpu) == approx(150.0)
    view, _ = rig.stream(cpu)
    assert (view.watts, view.half_width_watts) == (200.0, approx(20.0))


class TestRestart:
    @pytest.mark.parametrize("make", [rapl, hwmon, estimate])
    def test_at_every_moment_of_a_tick(self, make):
        cpu = make()
        rig = Rig(cpu)
        for i in range(60):
            rig.pass_time(0.5)
            if i % 3 == 0:
                rig.restart()
            rig.pass_time(0.5)
            rig.read(cpu)
            if i % 3 == 1:
                rig.restart()
            rig.settle()
            if i % 3 == 2:
                rig.restart()
            rig.close()
        assert rig.joules(cpu) == approx(5900.0)
        assert rig.gap(cpu) == 0.0
        rig.check_books()

    def test_kill_9_goes_back_to_the_last_saved_state_and_loses_nothing(self):
        cpu, sensor = rapl(), Source("nvml", C.GPU, "GPU-1", Q.INTEGRATED, watts=300.0)
        rig = Rig(cpu, sensor)
        rig.tick(cpu, sensor)
        for _ in range(50):
            saved = rig.save()
            rig.tick(cpu, sensor, seconds=0.7)
            rig.restart(saved)
            rig.tick(cpu, sensor, seconds=0.7)
        assert rig.joules(cpu) == approx(70 * 100.0)
        assert rig.joules(sensor) == approx(70 * 300.0)
        assert rig.host_gap() == 0.0

    def test_a_counter_bridges_a_stopped_agent_a_sensor_cannot(self):
        cpu, gpu = rapl(), Source("nvml", C.GPU, "GPU-1", Q.INTEGRATED)
        rig = Rig(cpu, gpu)
        rig.run(3, cpu, gpu)
        saved = rig.save()
        rig.pass_time(120.0)
        rig.restart(saved)
        rig.run(3, cpu, gpu)
        assert (rig.joules(cpu), rig.gap(cpu)) == (approx(12_500.0), 0.0)
        assert (rig.joules(gpu), rig.gap(gpu)) == (approx(400.0), approx(121.0))
        assert rig.host_gap() == approx(121.0)

    def test_a_counter_that_may_have_turned_meanwhile_is_a_gap(self):
        cpu = rapl(wraps_at=SHORT_RANGE)
        rig = Rig(cpu)
        rig.run(3, cpu)
        saved = rig.save()
        rig.pass_time(500.0)
        rig.restart(saved)
        rig.run(3, cpu)
        assert rig.joules(cpu) == approx(400.0)
        assert rig.gap(cpu) == approx(501.0)
        assert rig.meter.state.resets == {}

    def test_pending_energy_survives(self):
        cpu, model = rapl(), estimate()
        rig = Rig(cpu, model)
        rig.run(3, cpu, model)
        rig.run(60, model)
        rig.restart()
        cpu.reset()
        rig.tick(cpu, model)
        assert rig.gap(cpu) == approx(61.0)
        assert rig.joules(model) == approx(6100.0)
        assert rig.host_gap() == 0.0


class TestReboot:
    def test_the_time_off_is_a_gap_and_the_counter_starts_anew(self):
        cpu = rapl()
        rig = Rig(cpu)
        rig.run(11, cpu)
        rig.reboot(off=90.0, up=20.0)
        rig.run(11, cpu)
        assert rig.joules(cpu) == approx(2000.0)
        assert rig.gap(cpu) == approx(111.0)
        assert rig.host_gap() == approx(111.0)
        assert rig.meter.state.resets == {"rapl boot": 1}
        assert rig.stream(cpu)[0].resets == 1
        rig.close()
        rig.check_books()

    def test_a_reboot_while_already_dark_is_one_gap(self):
        cpu = hwmon()
        rig = Rig(cpu)
        rig.run(2, cpu)
        rig.run(30)
        rig.reboot(off=100.0, up=10.0)
        rig.run(5)
        rig.run(2, cpu)
        assert rig.seconds(cpu) + rig.gap(cpu) == approx(1 + 30 + 110 + 5 + 2)
        assert rig.gap(cpu) == approx(146.0)
        assert rig.host_gap() == approx(146.0)

    def test_what_a_stand_in_had_before_the_reboot_is_not_lost(self):
        cpu, model = rapl(), estimate()
        rig = Rig(cpu, model)
        rig.run(3, cpu, model)
        rig.run(60, model)  # a counter may still bridge this: pending
        assert rig.joules(model) == 0.0
        rig.reboot(off=50.0, up=10.0)
        rig.run(3, cpu, model)
        assert rig.joules(model) == approx(6000.0)
        assert rig.host_gap() == approx(61.0)

    def test_a_source_that_does_not_come_back_is_a_gap_at_once(self):
        cpu, gpu = rapl(), Source("nvml", C.GPU, "GPU-1", Q.MEASURED)
        rig = Rig(cpu, gpu)
        rig.run(2, cpu, gpu)
        rig.reboot(off=90.0, up=20.0)
        rig.run(1, cpu)
        assert rig.gap(gpu) == approx(111.0)
        rig.run(1, cpu)
        assert rig.gap(gpu) == approx(112.0)

    def test_a_wall_clock_behind_still_owns_up_to_the_time_since_boot(self):
        cpu = rapl()
        rig = Rig(cpu)
        rig.run(2, cpu)
        rig.wall -= 3600.0
        rig.reboot(off=90.0, up=20.0)
        rig.run(2, cpu)
        assert rig.gap(cpu) == approx(21.0)

    def test_a_clock_that_was_never_set_makes_no_gap_of_decades(self):
        cpu = rapl()
        rig = Rig(cpu, wall=100.0)  # no battery: 1970
        rig.run(2, cpu)
        rig.wall = 1_700_000_000.0
        rig.reboot(off=0.0, up=20.0)
        rig.run(2, cpu)
        assert rig.gap(cpu) == approx(21.0)

    def test_boottime_that_falls_is_a_reboot_whatever_the_boot_id_says(self):
        cpu = rapl()
        rig = Rig(cpu)
        rig.run(3, cpu)
        rig.boots -= 1
        rig.reboot(off=0.0, up=7.0)
        rig.run(3, cpu)
        assert rig.joules(cpu) == approx(400.0)
        assert rig.gap(cpu) == approx(8.0)

    def test_a_month_switched_off_is_few_rows(self):
        cpu = rapl()
        rig = Rig(cpu)
        rig.run(3, cpu)
        rig.reboot(off=30 * 86400.0)
        rig.run(3, cpu)
        assert rig.gap(cpu) == approx(30 * 86400.0 + 6.0)
        assert len(rig.meter.state.open_minutes) < 800
        rig.check_books()


class TestClocks:
    def test_suspend_is_a_gap_even_if_the_counter_stood_still(self):
        cpu = rapl()
        rig = Rig(cpu)
        rig.run(11, cpu)
        rig.boottime += 8 * 3600.0
        rig.wall += 8 * 3600.0
        rig.run(11, cpu)
        assert rig.joules(cpu) == approx(2000.0)
        assert rig.gap(cpu) == approx(8 * 3600.0 + 1.0)

    @pytest.mark.parametrize("step", [-3600.0, 3600.0, -59.9, 0.25])
    def test_wall_clock_steps_neither_lose_nor_invent(self, step):
        cpu, gpu = rapl(), Source("nvml", C.GPU, "GPU-1", Q.INTEGRATED)
        rig = Rig(cpu, gpu)
        for _ in range(5):
            rig.run(100, cpu, gpu)
            rig.close()
            rig.wall += step
        assert rig.joules(cpu) == approx(49_900.0)
        assert rig.joules(gpu) == approx(49_900.0)
        assert rig.host_gap() == 0.0
        rig.check_books()
        rig.close()
        assert set(rig.meter.state.open_minutes) <= {int(rig.wall // 60)}

    def test_an_interval_is_shared_among_its_minutes(self):
        cpu = rapl()
        rig = Rig(cpu, wall=1_700_000_039.0)  # 1 s before a minute ends
        rig.read(cpu)
        rig.tick(cpu, seconds=90.0)
        rig.pass_time(60.0)
        rig.close()
        assert [(p.joules, p.seconds) for p in rig.postings] == [
            (approx(100.0, 1e-3), approx(1.0)),
            (approx(6000.0, 1e-3), approx(60.0)),
            (approx(2900.0, 1e-3), approx(29.0)),
        ]

    def test_readings_twice_late_or_out_of_order_change_nothing(self):
        cpu = hwmon()
        rig = Rig(cpu)
        rig.run(5, cpu)
        for back in (0.0, 0.5, 3.0, 500.0):
            rig.meter.take([cpu.sample(rig.boottime - back)], rig.boottime, rig.wall)
        rig.run(5, cpu)
        assert rig.joules(cpu) == approx(900.0)
        assert rig.gap(cpu) == 0.0


class TestNonsense:
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
    @pytest.mark.parametrize("kind", ["energy", "power"])
    def test_a_value_that_cannot_be_is_no_reading(self, value, kind):
        source = rapl() if kind == "energy" else hwmon()
        rig = Rig(source)
        make = EnergyCounter if kind == "energy" else PowerReading
        rig.meter.take(
            [make(source.name, C.CPU, source.device, rig.boottime, value)], rig.boottime, rig.wall
        )
        assert rig.meter.views() == []
        rig.tick(source)
        rig.meter.take(
            [make(source.name, C.CPU, source.device, rig.boottime + 0.1, value)],
            rig.boottime + 0.1,
            rig.wall + 0.1,
        )
        rig.tick(source)
        assert rig.joules(source) == approx(100.0)

    def test_another_clocks_timestamp_is_no_reading(self):
        cpu = hwmon()
        rig = Rig(cpu)
        rig.run(2, cpu)
        for at in (rig.wall, math.inf, math.nan):
            rig.meter.take([cpu.sample(at)], rig.boottime, rig.wall)
        rig.run(2, cpu)
        assert rig.joules(cpu) == approx(300.0)

    def test_quality_is_never_better_than_the_source(self):
        rig = Rig(*(all_three := (rapl(), hwmon(), estimate())))
        rig.run(3, *all_three)
        assert {v.identity.quality: v.joules > 0 for v in rig.meter.views()} == {
            Quality.MEASURED: True,
            Quality.INTEGRATED: False,
            Quality.ESTIMATED: False,
        }
