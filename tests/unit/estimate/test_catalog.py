import csv
from importlib.resources import files

import pytest

from agent.estimate.catalog import describe, find, microarchitectures, parts, share_of, stand_in
from agent.estimate.naming import family, family_from_cpuid, squashed


def test_every_row_is_found_by_its_own_name():
    for part in parts().values():
        for name in (part.name, part.name.upper(), f"  {part.name.lower()}  "):
            assert find(name) is part, name


def test_no_row_is_lost_to_another():
    with (files("agent.estimate") / "cpus.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(parts()) == len(rows)
    with (files("agent.estimate") / "sources.csv").open(encoding="utf-8") as stream:
        sources = {row["source"] for row in csv.DictReader(stream)}
    assert {row["source"] for row in rows} <= sources
    for arch in microarchitectures().values():
        assert set(arch.source.split(";")) <= sources


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz", "Xeon Platinum 8259CL"),
        ("Xeon Platinum 8259CL", "Xeon Platinum 8259CL"),
        ("8259CL", "Xeon Platinum 8259CL"),
        ("intel xeon platinum 8275cl", "Xeon Platinum 8275CL"),
        ("Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz", "Xeon E5-2686 v4"),
        ("Intel(R) Xeon(R) CPU E5-2670 0 @ 2.60GHz", "Xeon E5-2670"),
        ("Intel(R) Xeon(R) CPU E5-2620 v3 @ 2.40GHz", "Xeon E5-2620 v3"),
        ("E5-2620v3", "Xeon E5-2620 v3"),
        ("Intel(R) Xeon(R) CPU E3-1240 V2 @ 3.40GHz", "Xeon E3-1240 v2"),
        ("Intel(R) Xeon(R) E-2136 CPU @ 3.30GHz", "Xeon E-2136"),
        ("Intel(R) Xeon(R) Silver 4210R CPU @ 2.40GHz", "Xeon Silver 4210R"),
        ("Intel(R) Xeon(R) Gold 6230N CPU @ 2.30GHz", "Xeon Gold 6230"),
        ("Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz", "Xeon Gold 6338"),
        ("INTEL(R) XEON(R) PLATINUM 8481C CPU @ 2.70GHz", "Xeon Platinum 8481C"),
        ("Intel(R) Xeon(R) Platinum 8480", "Xeon Platinum 8480+"),
        ("INTEL(R) XEON(R) PLATINUM 8592+", "Xeon Platinum 8592+"),
        ("Intel(R) Xeon(R) 6980P", "Xeon 6980P"),
        ("Intel(R) Xeon(R) 6766E", "Xeon 6766E"),
        ("Intel(R) Xeon(R) CPU           X5670  @ 2.93GHz", "Xeon X5670"),
        ("AMD EPYC 7571", "EPYC 7571"),
        ("AMD EPYC 7R32", "EPYC 7R32"),
        ("AMD EPYC 7R13 Processor", "EPYC 7R13"),
        ("AMD EPYC 7763 64-Core Processor", "EPYC 7763"),
        ("AMD EPYC 8024P 8-Core Processor", "EPYC 8024P"),
        ("AMD EPYC 9654 96-Core Processor", "EPYC 9654"),
        ("AMD EPYC 9R14", "EPYC 9R14"),
        ("AMD EPYC 9755 128-Core Processor", "EPYC 9755"),
        ("AMD Ryzen Threadripper 1950X 16-Core Processor", "Ryzen Threadripper 1950X"),
        ("AMD Ryzen 9 5950X 16-Core Processor", "Ryzen 9 5950X"),
        ("AMD Ryzen 7 PRO 5850U with Radeon Graphics", "Ryzen 7 PRO 5850U"),
        ("12th Gen Intel(R) Core(TM) i7-12700K", "Core i7-12700K"),
        ("Intel(R) Core(TM) i7-8700K CPU @ 3.70GHz", "Core i7-8700K"),
        ("AWS Graviton2", "Graviton2"),
        ("Graviton 3", "Graviton3"),
        ("graviton4", "Graviton4"),
        ("Ampere(R) Altra(R) Processor Q80-30 CPU @ 3.00GHz", "Ampere Altra Q80-30"),
        ("Ampere Altra", "Ampere Altra"),
        ("Kunpeng-920", "Kunpeng-920"),
        ("Hygon C86 7285 32-core Processor", "C86 7285"),
    ],
)
def test_names_as_the_kernel_and_people_write_them(said, meant):
    part = find(said)
    assert part is not None
    assert part.name == meant


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Neoverse-N1", "neoverse-n1"),
        ("Intel Xeon Processor (Skylake, IBRS)", "skylake-sp"),
        ("Intel Xeon Processor (Cascadelake)", "cascadelake-sp"),
        ("Intel Xeon Processor (Icelake)", "icelake-sp"),
        ("Intel Core Processor (Broadwell, IBRS)", "broadwell-ep"),
        ("AMD EPYC-Rome Processor", "zen2-epyc"),
        ("AMD EPYC-Milan Processor", "zen3-epyc"),
        ("AMD EPYC 7Z99", "generic-amd-server"),
        ("AMD EPYC 7Z93", "zen3-epyc"),
        ("Intel(R) Xeon(R) Gold 6199X", "skylake-sp"),
        ("Intel(R) Xeon(R) Gold 6499Z", "sapphirerapids"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", "generic-intel-server"),
        ("Intel(R) Core(TM) i5-9300XX", "skylake-client"),
        ("Intel(R) Core(TM) Ultra 7 155H", "alderlake-client"),
        ("AMD Ryzen 5 7777Y", "zen4-client"),
        ("Cortex-A72", "generic-arm-small"),
        ("aarch64", "generic-arm-server"),
        ("VIA Nano", "generic"),
        ("", "generic"),
    ],
)
def test_a_part_that_is_not_listed_has_its_family(said, meant):
    assert find(said) is None
    assert family(said) == meant
    part = stand_in(said)
    assert not part.known
    assert part.tdp_watts > 0


def test_every_family_rule_ends_in_a_microarchitecture():
    for part in parts().values():
        assert family(part.name) in microarchitectures()


def test_the_rules_and_the_list_agree():
    # A part that is struck from the list keeps its microarchitecture by its name alone.
    differ = [
        (part.name, part.microarchitecture.name, family(part.name))
        for part in parts().values()
        if family(part.name) != part.microarchitecture.name
    ]
    assert len(differ) < 0.06 * len(parts()), differ


def test_cpuid_tells_what_a_hidden_name_does_not():
    assert family_from_cpuid("GenuineIntel", 6, 85, 4) == "skylake-sp"
    assert family_from_cpuid("GenuineIntel", 6, 85, 7) == "cascadelake-sp"
    assert family_from_cpuid("AuthenticAMD", 25, 1, 1) == "zen3-epyc"
    assert family_from_cpuid("GenuineIntel", 6, 9999, 1) is None
    machine = describe("Intel(R) Xeon(R) CPU @ 2.20GHz", cores=2, architecture="broadwell-ep")
    assert machine.part.microarchitecture.name == "broadwell-ep"
    assert machine.part.base_mhz == 2200
    assert machine.virtual, "two cores of a server part are a slice of one"


def test_how_cores_are_read():
    part = find("Xeon Platinum 8259CL")  # 24 cores, 48 threads
    assert share_of(None, 2, part) == 1
    assert share_of(48, 2, part) == 1  # all cores
    assert share_of(96, 2, part) == 1  # all threads
    assert share_of(24, 2, part) == 1  # per socket
    assert share_of(24, 1, part) == 1
    assert share_of(12, 1, part) == 0.5
    assert share_of(12, 2, part) == 0.25
    assert share_of(72, 2, part) == 0.75  # threads
    assert share_of(500, 2, part) == 1


def test_sockets_follow_from_cores():
    assert describe("Xeon Platinum 8259CL").sockets == 1
    assert describe("Xeon Platinum 8259CL", cores=24).sockets == 1
    assert describe("Xeon Platinum 8259CL", cores=48).sockets == 2
    assert describe("Xeon Platinum 8259CL", cores=8).sockets == 1
    assert describe("Xeon Platinum 8259CL", cores=8).cpu_share == pytest.approx(1 / 3)


def test_a_stand_in_grows_with_cores_and_clock():
    small, large = (stand_in("AMD EPYC 9ZZ4", cores) for cores in (16, 96))
    assert small.tdp_watts < large.tdp_watts
    assert stand_in("Intel Xeon", frequency_mhz=3300).base_mhz == 3300
    assert stand_in("Intel Xeon @ 2.60GHz", frequency_mhz=3300).base_mhz == 2600


def test_names_are_compared_without_noise():
    assert squashed("Intel(R) Xeon(R) CPU E5-2620 v3 @ 2.40GHz") == "xeone52620v3"
