"""Sockets and cores as the kernel shows them."""

import os

from agent.bench.topology import usable_cores


def test_cores_and_sockets_come_from_sysfs(tmp_path):
    for cpu in os.sched_getaffinity(0):
        topology = tmp_path / f"devices/system/cpu/cpu{cpu}/topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text("1\n")
        (topology / "thread_siblings_list").write_text(f"{cpu % 1}-7\n")
    assert usable_cores(tmp_path) == dict.fromkeys(os.sched_getaffinity(0), (1, 0))


def test_without_a_topology_each_cpu_is_a_core(tmp_path):
    assert usable_cores(tmp_path) == {cpu: (0, cpu) for cpu in os.sched_getaffinity(0)}
