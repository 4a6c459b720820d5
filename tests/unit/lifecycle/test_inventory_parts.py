"""From hardware and settings to parts."""

import tomllib
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.carbon.words import Stage
from agent.lifecycle.hardware import Chassis, Detected, Drive, MemoryModule
from agent.lifecycle.inventory import Inventory, assemble
from agent.lifecycle.settings import Asset, LifecycleSettings
from agent.lifecycle.span import total

MADE = Stage.MANUFACTURING
SERVER = Detected(
    cpu_model="Xeon Gold 6230",
    architecture="cascadelake-sp",
    cores=20,
    sockets=2,
    modules=(MemoryModule(32.0, "DDR4"),) * 12,
    drives=(Drive("sda", "ssd", 480.1), Drive("sdb", "hdd", 4000.8), Drive("sdc", "hdd", 4000.8)),
    chassis=Chassis.RACK,
    power_supplies=2,
    product="Dell Inc. PowerEdge R740",
)
H100 = "NVIDIA H100 80GB HBM3"


def made(settings=None, detected=SERVER, accelerators=(), zone=UTC) -> Inventory:
    return assemble(settings or LifecycleSettings(), detected, accelerators, zone)


def best(inventory: Inventory, asset: str) -> float:
    (part,) = [part for part in inventory.parts if part.asset == asset]
    return part.whole.best


def test_a_detected_server():
    inventory = made(accelerators=[H100] * 8)
    assert {part.asset: part.count for part in inventory.parts} == {
        "cpu": 2,
        "dram": 12,
        "storage": 1,
        "storage-2": 2,
        "psu": 2,
        "platform": 1,
        "gpu": 8,
    }
    assert best(inventory, "cpu") == pytest.approx(2 * (694 * 0.0197 + 9.14))
    assert best(inventory, "dram") == pytest.approx(534.6, abs=0.1)
    assert best(inventory, "storage") == pytest.approx(480 / 50.6 * 2.2 + 6.34)
    assert best(inventory, "storage-2") == pytest.approx(62.22)
    assert best(inventory, "psu") == pytest.approx(145.3, abs=0.1)
    assert best(inventory, "platform") == pytest.approx(66.1 + 150 + 6.68)
    assert best(inventory, "gpu") == pytest.approx(8 * 251.8, rel=0.01)
    assert inventory.missing == ()


def test_what_is_not_known_of_a_stage_is_not_zero():
    inventory = made(accelerators=[H100])
    unknown = inventory.unknown()
    assert "gpu" not in unknown[Stage.RECYCLING]
    assert "cpu" in unknown[Stage.RECYCLING]
    assert Stage.DESIGN not in inventory.kilograms
    assert len(unknown[Stage.DESIGN]) == len(inventory.parts)
    assert unknown[MADE] == ()
    assert Stage.OPERATION not in unknown


def test_stages_add_up_to_the_parts():
    inventory = made(accelerators=[H100] * 2)
    by_stage = total(inventory.kilograms.values())
    by_part = total(part.whole for part in inventory.parts)
    assert by_stage.best == pytest.approx(by_part.best, rel=1e-12)
    assert by_stage.high == pytest.approx(by_part.high, rel=1e-12)


def test_a_server_asset_replaces_all():
    asset = Asset(
        name="r740",
        kilograms={"manufacturing": 1313.0, "packaging_transport": 40.0, "recycling": 0.0},
        source="Dell PCF 2019",
        credit_kilograms=50.0,
    )
    inventory = made(LifecycleSettings(asset=(asset,)), accelerators=[H100] * 8)
    (part,) = inventory.parts
    assert (part.asset, part.component, part.source) == ("r740", "server", "Dell PCF 2019")
    assert part.kilograms[MADE].low == pytest.approx(919.1)
    assert part.kilograms[MADE].high == pytest.approx(1706.9)
    assert part.kilograms[Stage.RECYCLING].best == 0  # said to be nothing, which is a figure
    assert Stage.DESIGN not in part.kilograms
    assert part.whole.best == pytest.approx(1353)
    assert inventory.credit_kilograms == 50


def test_a_part_asset_replaces_its_component():
    asset = Asset(name="gpus", kind="part", component="gpu", kilograms={"manufacturing": 1312.0})
    inventory = made(LifecycleSettings(asset=(asset,)), accelerators=[H100] * 8)
    assert [part.asset for part in inventory.parts if part.component == "gpu"] == ["gpus"]
    assert "dram" in [part.asset for part in inventory.parts]


def test_a_part_that_is_out_replaces_nothing():
    old = Asset(
        name="storage",
        kind="part",
        component="storage",
        kilograms={"manufacturing": 31.0},
        in_service=date(2021, 1, 1),
        ended=date(2025, 6, 1),
    )
    inventory = made(LifecycleSettings(asset=(old,)))
    labels = [part.asset for part in inventory.parts if part.component == "storage"]
    assert labels == ["storage-2", "storage-3", "storage"]


def test_additions_and_shares():
    hall = Asset(name="hall", kind="building", kilograms={"manufacturing": 4e6}, share=0.001)
    card = Asset(name="nic", kind="part", kilograms={"manufacturing": 20.0})
    inventory = made(LifecycleSettings(asset=(hall, card)))
    assert best(inventory, "hall") == pytest.approx(4000)
    assert best(inventory, "nic") == 20
    assert "cpu" in [part.asset for part in inventory.parts]


@given(st.lists(st.floats(1, 5000), min_size=1, max_size=40), st.floats(1, 1e7))
def test_hosts_share_a_building_fully(rated_watts, kilograms):
    whole = sum(rated_watts)
    shares = [
        made(
            LifecycleSettings(
                asset=(
                    Asset(
                        name="hall",
                        kind="building",
                        kilograms={"manufacturing": kilograms},
                        credit_kilograms=kilograms / 10,
                        share=watts / whole,
                    ),
                ),
                detect=False,
            )
        )
        for watts in rated_watts
    ]
    assert sum(one.parts[0].whole.best for one in shares) == pytest.approx(kilograms, rel=1e-9)
    assert sum(one.credit_kilograms for one in shares) == pytest.approx(kilograms / 10, rel=1e-9)


def test_a_virtual_machine():
    inventory = made(detected=Detected(virtual=True), accelerators=[H100])
    assert inventory.parts == ()
    assert "virtual machine" in inventory.missing[0]
    assert "share" in inventory.missing[0]
    share = Asset(name="host", kilograms={"manufacturing": 1313.0}, share=0.25)
    given_one = made(LifecycleSettings(asset=(share,)), detected=Detected(virtual=True))
    assert given_one.parts[0].whole.best == pytest.approx(328.25)
    assert given_one.missing == ()


def test_what_nobody_knows_is_named():
    inventory = made(detected=Detected(), accelerators=["GeForce 256", "GeForce 256"])
    assert [part.asset for part in inventory.parts] == ["psu", "platform"]
    text = "\n".join(inventory.missing)
    for words in ("the CPUs", "the memory", "the drives", "2 x GeForce 256"):
        assert words in text
    assert made(detected=None).missing[0].startswith("the server")
    assert made(LifecycleSettings(detect=False)).missing[0].startswith("nothing")


def test_no_drives_is_no_gap():
    inventory = made(detected=msgspec.structs.replace(SERVER, drives=()))
    assert not [part for part in inventory.parts if part.component == "storage"]
    assert inventory.missing == ()


def test_assumptions_are_said():
    guess = msgspec.structs.replace(
        SERVER, architecture="abacus", modules_assumed=True, power_supplies=None
    )
    notes = {part.asset: part.notes for part in made(detected=guess).parts}
    assert "assumed from 20 cores" in notes["cpu"][0]
    assert "assumed" in notes["dram"][0]
    assert notes["psu"] == ("2 are assumed",)


def test_dates_are_midnights_of_the_site():
    settings = LifecycleSettings(in_service=date(2025, 3, 1))
    shanghai = made(settings, zone=ZoneInfo("Asia/Shanghai")).parts[0].in_service
    assert shanghai == datetime(2025, 2, 28, 16, tzinfo=UTC).timestamp()
    assert made(settings).parts[0].in_service - shanghai == 8 * 3600
    assert made().parts[0].in_service is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kilograms = { making = 1.0 }", '"making" is no stage; there are procurement'),
        ("kilograms = { operation = 1.0 }", "operation is measured"),
        ("kilograms = { recycling = -1.0 }", "credit_kilograms"),
        ("kilograms = { recycling = nan }", "recycling must be 0 kg or more"),
        ("share = 1.5", "share must be"),
        ("low_ratio = 1.5", "low_ratio"),
        ("lifetime_years = 0.0", "lifetime_years"),
        ('component = "gpu"', 'kind = "part"'),
        ('kind = "part", component = "memory"', '"memory" is no component; there are cpu'),
        ("share = 0.5", "kilograms are missing"),
        ('kind = "part", component = "gpu", ended = 2026-01-01', "kilograms are missing"),
    ],
)
def test_settings_that_cannot_be_meant(text, message):
    fields = tomllib.loads(f'asset = [{{ name = "a", {text} }}]')
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(fields, LifecycleSettings)


def test_assets_that_contradict():
    def load(**fields):
        return msgspec.convert(fields, LifecycleSettings)

    def asset(name, **fields):
        return {"name": name, "kilograms": {"manufacturing": 1.0}, **fields}

    with pytest.raises(msgspec.ValidationError, match='two assets are called "a"'):
        load(asset=[asset("a"), asset("a", kind="part")])
    with pytest.raises(msgspec.ValidationError, match="more than one asset of kind"):
        load(asset=[asset("a"), asset("b")])
    with pytest.raises(msgspec.ValidationError, match="before it began"):
        load(in_service="2025-01-01", asset=[asset("a", kind="part", ended="2024-01-01")])
    with pytest.raises(msgspec.ValidationError, match="two assets give dates to gpu"):
        load(
            asset=[
                {"name": "a", "kind": "part", "component": "gpu"},
                {"name": "b", "kind": "part", "component": "gpu"},
            ]
        )


def test_a_part_that_came_later_keeps_its_detected_figures():
    settings = LifecycleSettings(
        in_service=date(2023, 1, 1),
        asset=(
            Asset(
                name="new gpus",
                kind="part",
                component="gpu",
                in_service=date(2025, 7, 1),
                lifetime_years=3,
            ),
        ),
    )
    inventory = made(settings, accelerators=[H100] * 8)
    parts = {part.asset: part for part in inventory.parts}
    assert "new gpus" not in parts
    assert parts["gpu"].whole == made(accelerators=[H100] * 8).parts[-1].whole
    assert parts["gpu"].in_service == datetime(2025, 7, 1, tzinfo=UTC).timestamp()
    assert parts["gpu"].lifetime_seconds == 3 * 365 * 86400
    assert parts["cpu"].in_service == datetime(2023, 1, 1, tzinfo=UTC).timestamp()
    assert parts["cpu"].lifetime_seconds == 5 * 365 * 86400
