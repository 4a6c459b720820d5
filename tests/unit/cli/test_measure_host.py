"""What `wattlas measure` takes as the host's energy where there is a meter of the whole."""

import pytest
from unit.exporters.made import SECOND, snapshot, stream

from agent.cli.measure_host import host_between
from agent.quantities import Quality
from agent.snapshot import HostPower


def pictures(times):
    """200 W of CPU, 60 W of modelled rest that gives way to a wall of 500 W, read each second."""
    found = []
    for t in times:
        read = float(int(t))
        found.append(
            snapshot(
                wall=1e9 + t,
                streams=[
                    stream("rapl", "cpu", "package-0", "measured", 200.0 * t, watts=200.0),
                    stream(
                        "estimate", "platform", "all", "estimated", 0.0, watts=60.0,
                        half_width_watts=30.0, **SECOND,
                    ),
                    stream(
                        "redfish", "host", "system", "integrated", 500.0 * read, watts=500.0,
                        seconds=read,
                    ),
                ],
                host_joules={Quality.INTEGRATED: 500.0 * read},
                host_power=HostPower({(Quality.INTEGRATED, "redfish"): 500.0}, 0.1),
            )
        )  # fmt: skip
    return found


def test_a_short_command_took_what_the_parts_took():
    seen = pictures([0.25, 0.5, 0.75, 1.0, 1.25])
    host = host_between(seen[0], seen[-1], 1.0, seen)
    assert not host.by_wall
    assert host.joules == {"measured": pytest.approx(200.0), "estimated": pytest.approx(60.0)}
    assert host.rest == {("platform", "all", "estimate", "estimated"): pytest.approx(60.0)}
    assert [sum(p.shares.values()) for p in host.powers] == [260.0] * 4
    # 5 % of the counter in `made`, 30 W of the model
    assert host.powers[0].uncertainty_ratio is not None


def test_a_long_one_took_what_the_wall_says():
    seen = pictures([0.5 * n + 0.25 for n in range(30)])
    host = host_between(seen[0], seen[-1], 14.4, seen)
    assert host.by_wall
    assert host.joules == {"integrated": pytest.approx(500.0 * 14.4)}
    assert {sum(p.shares.values()) for p in host.powers} == {500.0}


def test_without_a_wall_it_is_the_hosts_own_sum():
    before = snapshot(host_joules={Quality.MEASURED: 100.0})
    after = snapshot(host_joules={Quality.MEASURED: 350.0})
    host = host_between(before, after, 1.0, [before, after])
    assert host.joules == {"measured": 250.0}
    assert not host.by_wall
