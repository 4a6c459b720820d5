"""Stories with known power: whose energy the host's is."""

import pytest
from unit.meter.rig import estimate
from unit.wall.rig import C, Q, Server, approx, cpu, part, rest, wall


def test_without_a_wall_the_host_is_its_parts():
    package, model = cpu(), rest()
    server = Server(package, model)
    server.run(11, package, model)
    assert server.joules() == {Q.MEASURED: approx(2000.0), Q.ESTIMATED: approx(600.0)}
    assert server.state is None
    assert server.accounts.walled is None
    assert sum(j for _, _, _, j in server.told) == approx(2600.0)


def test_the_wall_is_the_host_and_the_measured_rest_replaces_the_modelled():
    package, model, bmc = cpu(), rest(), wall()
    server = Server(package, model, bmc)
    server.tick(package, model, bmc)  # 1201
    server.run(20, package, model, slow=[bmc])
    # 1201 to 1221: all of it by the wall's 500 W
    assert server.joules() == {Q.INTEGRATED: approx(10_000.0)}
    power = server.power()
    assert power.shares == {(Q.INTEGRATED, "redfish"): 500.0}
    assert power.uncertainty_ratio == pytest.approx(0.10)
    shown = {v.identity.component: v for v in server.meter.views()}
    assert shown[C.PLATFORM].cross_check
    assert not shown[C.PLATFORM].counts_now
    assert shown[C.PLATFORM].joules == 0.0
    assert shown[C.CPU].joules == approx(4000.0)
    assert server.gap() == 0.0


def test_parts_wait_for_the_wall_and_are_told_as_its_own():
    package, bmc = cpu(), wall()
    server = Server(package, bmc)
    server.tick(package, bmc)  # 1201
    server.run(4, package)  # to 1205
    assert server.host() == 0.0
    server.tick(package, bmc)  # 1206
    assert server.host() == approx(2500.0)


def test_a_hole_of_the_wall_is_filled_by_the_parts_and_the_model():
    package, model, bmc = cpu(), rest(), wall()
    server = Server(package, model, bmc)
    server.tick(package, model, bmc)
    server.run(10, package, model, slow=[bmc])  # to 1211
    server.run(40, package, model)  # the BMC is silent: dark from 1211
    assert server.power().shares == {(Q.MEASURED, "rapl"): 200.0, (Q.ESTIMATED, "estimate"): 60.0}
    server.tick(package, model, bmc)  # 1252: the gap ends
    server.run(10, package, model, slow=[bmc])  # to 1262
    assert server.joules() == {
        Q.INTEGRATED: approx(500.0 * 20),
        Q.MEASURED: approx(200.0 * 41),
        Q.ESTIMATED: approx(60.0 * 41),
    }
    assert server.gap() == 0.0
    shown = {v.identity.source: v for v in server.meter.views()}
    assert shown["redfish"].gap_seconds == approx(41.0)


def test_a_hole_of_a_part_within_the_walls_cover_is_none_of_the_host():
    sensor, bmc = part("hwmon", C.CPU), wall()
    server = Server(sensor, bmc)
    server.tick(sensor, bmc)
    server.run(10, sensor, slow=[bmc])
    server.run(20, slow=[bmc])
    server.run(10, sensor, slow=[bmc])
    assert server.gap() == 0.0
    assert server.host() == approx(500.0 * 40)
    assert server.meter.state.host_gap_seconds == approx(21.0)


def test_where_neither_has_a_figure_it_is_a_gap():
    sensor, bmc = part("hwmon", C.CPU, watts=100.0), wall()
    server = Server(sensor, bmc)
    server.tick(sensor, bmc)
    server.run(10, sensor, slow=[bmc])  # both to 1211
    server.run(10, sensor)  # the wall is dark from 1211, the part lives to 1221
    server.run(20)  # both are dark from 1221 to 1242
    server.tick(sensor, bmc)
    server.run(5, sensor, slow=[bmc])  # to 1247
    assert server.gap() == approx(21.0)
    assert server.joules() == {Q.INTEGRATED: approx(500.0 * 15 + 100.0 * 10)}


def test_a_host_that_is_nothing_but_a_wall():
    bmc = wall()
    server = Server(bmc)
    server.tick(bmc)
    server.run(10, slow=[bmc])
    server.run(40)
    server.tick(bmc)
    assert server.host() == approx(5000.0)
    assert server.gap() == approx(41.0)


class TestSeveralWalls:
    def test_the_outlet_before_redfish_before_ipmi_before_acpi(self):
        sources = [
            wall(source, watts=watts)
            for source, watts in [("hwmon", 400.0), ("ipmi", 410.0), ("redfish", 420.0)]
        ]
        outlet = wall("prometheus", "pdu-1/7", watts=500.0)
        server = Server(*sources, outlet, intervals={"prometheus": 1.0})
        server.run(11, *sources, outlet)
        assert server.joules() == {Q.INTEGRATED: approx(5000.0)}
        assert server.power().shares == {(Q.INTEGRATED, "prometheus"): 500.0}
        server.run(20, *sources)  # the outlet is dark from 1211
        server.run(1, *sources, outlet)
        assert server.host() == approx(5000.0 + 21 * 420.0)
        shown = {v.identity.source: v for v in server.meter.views()}
        assert shown["redfish"].joules == approx(21 * 420.0)
        assert shown["ipmi"].joules == 0.0
        assert shown["ipmi"].cross_check

    def test_a_counter_before_any_sensor(self):
        outlet = wall("prometheus", "pdu-1/7", watts=500.0)
        counter = wall("redfish", quality=Q.MEASURED, watts=490.0)
        server = Server(outlet, counter)
        server.run(11, outlet, counter)
        assert server.joules() == {Q.MEASURED: approx(4900.0)}

    def test_two_outlets_are_one_server(self):
        a, b = wall("prometheus", "a", watts=300.0), wall("prometheus", "b", watts=200.0)
        server = Server(a, b)
        server.run(11, a, b)
        assert server.host() == approx(5000.0)
        assert server.power().shares == {(Q.INTEGRATED, "prometheus"): 500.0}

    def test_one_outlet_alone_is_not_the_server(self):
        a, b = wall("prometheus", "a", watts=300.0), wall("prometheus", "b", watts=200.0)
        bmc, package, model = wall(watts=480.0), cpu(), rest()
        everyone = [a, b, bmc, package, model]
        server = Server(*everyone)
        server.run(11, *everyone)
        server.run(20, a, bmc, package, model)  # b is dark: redfish knows the whole
        assert server.power().shares == {(Q.INTEGRATED, "redfish"): 480.0}
        server.run(1, *everyone)
        server.run(10, *everyone)
        assert server.host() == approx(20 * 500.0 + 21 * 480.0)

    def test_one_outlet_alone_leaves_the_parts_and_the_model(self):
        a, b = wall("prometheus", "a", watts=300.0), wall("prometheus", "b", watts=200.0)
        package, model = cpu(), rest()
        server = Server(a, b, package, model)
        server.run(11, a, b, package, model)
        server.run(20, a, package, model)
        assert sum(server.power().shares.values()) == 260.0
        server.run(11, a, b, package, model)
        assert server.host() == approx(20 * 500.0 + 21 * 260.0)
        assert server.gap() == 0.0

    def test_an_outlet_that_is_unmapped_is_missed_by_nobody(self):
        a, b = wall("prometheus", "a", watts=300.0), wall("prometheus", "b", watts=200.0)
        server = Server(a, b)
        server.run(11, a, b)
        server.meter.keep_only("prometheus", C.HOST, ["a"])
        server.run(10, a)
        assert server.host() == approx(5000.0 + 3000.0)
        assert server.power().shares == {(Q.INTEGRATED, "prometheus"): 300.0}

    def test_a_second_opinion_blocks_nobody(self):
        model, chassis = rest(), wall("redfish", "chassis", watts=4000.0)
        chassis.counted = False
        server = Server(model, chassis)
        server.run(11, model, chassis)
        assert server.joules() == {Q.ESTIMATED: approx(600.0)}
        assert server.state is None


def test_other_models_go_on_as_parts():
    package, memory, bmc = cpu(), estimate(C.DRAM, watts=30.0), wall()
    server = Server(package, memory, bmc)
    server.tick(package, memory, bmc)
    server.run(130, package, memory, slow=[bmc])
    shown = {v.identity.component: v.joules for v in server.meter.views()}
    assert shown[C.DRAM] == approx(30.0 * 130)
    assert server.last().itue == (approx(500.0 / 230.0), Q.ESTIMATED)


class TestRetired:
    def test_without_its_wall_the_host_is_its_parts_again(self):
        package, model, bmc = cpu(), rest(), wall()
        server = Server(package, model, bmc)
        server.tick(package, model, bmc)
        server.run(10, package, model, slow=[bmc])
        server.meter.retire(["redfish"])
        server.run(10, package, model)
        assert server.joules() == {
            Q.INTEGRATED: approx(5000.0),
            Q.MEASURED: approx(2000.0),
            Q.ESTIMATED: approx(600.0),
        }
        server.tick(package, model, bmc)
        server.run(5, package, model, slow=[bmc])
        assert server.joules()[Q.INTEGRATED] == approx(7500.0)
        assert server.host() == approx(7500.0 + 11 * 260.0)

    def test_a_wall_that_comes_later_takes_over_without_a_fall(self):
        package, model, bmc = cpu(), rest(), wall()
        server = Server(package, model, bmc)
        server.run(11, package, model)
        assert server.host() == approx(2600.0)
        server.tick(package, model, bmc)  # 1212
        server.run(10, package, model, slow=[bmc])
        assert server.host() == approx(11 * 260.0 + 5000.0)
        told = [entry for entry in server.told if entry[0] == "energy"]
        assert sum(entry[3] for entry in told) == approx(server.host())


class TestRestart:
    def test_killed_in_the_middle_of_what_waits(self):
        package, model, bmc = cpu(), rest(), wall()
        server = Server(package, model, bmc)
        server.tick(package, model, bmc)  # 1201
        server.run(7, package, model, slow=[bmc])  # to 1208, decided to 1206
        saved = server.save()
        server.tick(package, model)
        server.restart(saved)
        server.tick(package, model)  # 1210
        server.tick(package, model, bmc)
        assert server.host() == approx(5000.0)
        assert server.gap() == 0.0

    def test_what_came_after_the_last_settling_is_in_the_state(self):
        """At its end the agent writes once more without settling."""
        package, bmc = cpu(), wall()
        server = Server(package, bmc)
        server.tick(package, bmc)
        server.run(5, package, slow=[bmc])
        server.pass_time(1.0)
        server.read(package)
        server.restart()
        server.meter.retire(["redfish"])
        server.run(2, package)
        assert server.joules() == {Q.INTEGRATED: approx(2500.0), Q.MEASURED: approx(600.0)}

    def test_a_reboot_decides_what_waits_and_begins_anew(self):
        package, model, bmc = cpu(), rest(), wall()
        server = Server(package, model, bmc)
        server.tick(package, model, bmc)  # 1201
        server.run(13, package, model, slow=[bmc])  # to 1214, the wall to 1211
        server.reboot(off=100.0, up=10.0)
        told = sum(entry[3] for entry in server.told if entry[0] == "energy")
        # the wall has 10 s, the parts the 3 s after it
        assert server.host() == approx(5000.0 + 3 * 260.0) == approx(told)
        server.tick(package, model, bmc)
        server.run(10, package, model, slow=[bmc])
        assert server.host() == approx(10_000.0 + 3 * 260.0)
        assert server.gap() == approx(111.0)

    def test_a_ledger_from_before_goes_on_at_the_sum_of_the_parts(self):
        package, model, bmc = cpu(), rest(), wall()
        server = Server(package, model, bmc)
        server.run(11, package, model)
        server.restart()
        server.tick(package, model, bmc)
        assert server.host() == approx(11 * 260.0)
        assert server.state.joules == {Q.MEASURED: approx(2200.0), Q.ESTIMATED: approx(660.0)}


class TestWithoutWall:
    def test_told_after_an_agents_absence(self):
        package = cpu()
        server = Server(package)
        server.run(11, package)
        server.pass_time(300.0)
        server.restart()
        server.tick(package)
        assert sum(entry[3] for entry in server.told) == approx(server.host())
        name, start, until, joules = server.told[-1]
        assert (name, start, until, joules) == ("energy", 1211.0, 1512.0, approx(301 * 200.0))

    def test_nobody_asked_and_nothing_grows(self):
        package, bmc = cpu(), wall()
        server = Server(package, bmc)
        server.accounts.host_posted = None
        server.run(300, package, slow=[bmc])
        assert server.accounts.host_posted is None
        assert not server.accounts.walled.posted
        assert not server.accounts.walled.whole
        assert server.meter.posted == []
