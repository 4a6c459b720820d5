"""Which of a BMC's Systems is this host, and which Chassis' power is its own."""

from pathlib import Path

from hardware.redfish import Bmc, tree_of
from unit.collectors.redfish_rig import rig
from unit.collectors.trees import put

TREES = Path(__file__).parents[2] / "fixtures" / "redfish"
LENOVO = "/redfish/v1/Chassis/1"
ENVIRONMENT = f"{LENOVO}/EnvironmentMetrics"


def lenovo():
    return tree_of(TREES / "lenovo-sr670v2-xcc")


def uuid_of_host(root: Path, text: str) -> None:
    put(root / "sys/class/dmi/id/product_uuid", text)


def test_the_host_among_several_systems_by_its_uuid(tmp_path):
    tree = tree_of(TREES / "cray-ex-node-card")
    with Bmc(tree) as bmc:
        (tmp_path / "a").mkdir()
        uuid_of_host(tmp_path / "a", "6D72E43A-0000-4C1B-9D6E-000000000000")
        with rig(bmc, tmp_path / "a") as host:
            assert (host.read().device, host.watts()) == ("Node0", 410.0)
        # as SMBIOS before 2.6 had it: the first three fields the other way round
        uuid_of_host(tmp_path / "b", "3ae4726d-0000-1b4c-9d6e-000000000001")
        with rig(bmc, tmp_path / "b") as host:
            assert host.read().device == "Node1"
        with rig(bmc, tmp_path / "c", system="Node0") as host:
            assert host.watts() == 410.0
        with rig(bmc, tmp_path / "d") as host:
            error = host.fails()
            assert error.reason == "settings"
            assert "Node0, Node1" in error.why
            assert "system" in error.remedy
        with rig(bmc, tmp_path / "e", system="Node7") as host:
            assert "no System 'Node7'; it has Node0, Node1" in host.fails().why
        with rig(bmc, tmp_path / "f", system="Node0", accuracy=0.02) as host:
            assert host.read().accuracy == 0.02


def test_the_bmc_of_another_machine_is_refused(tmp_path):
    uuid_of_host(tmp_path, "11111111-2222-3333-4444-555555555555")
    tree = tree_of(TREES / "hpe-power-subsystem")
    with Bmc(tree) as bmc:
        with rig(bmc, tmp_path) as host:
            error = host.fails()
            assert error.reason == "settings"
            assert "is the BMC of another machine" in error.why
            bmc.asked.clear()
            assert host.fails().why == error.why
            assert bmc.asked == [], "not asked again at once"
        with rig(bmc, tmp_path, system="1") as host:
            assert host.watts() == 937.4
        bmc.tree["/redfish/v1/Systems/1"]["UUID"] = "00000000-0000-0000-0000-000000000000"
        with rig(bmc, tmp_path) as host:
            assert host.watts() == 937.4, "a UUID of zeros says nothing"


def test_an_hgx_board_beside_the_server_is_not_the_host(tmp_path):
    tree = lenovo()
    board = "/redfish/v1/Systems/HGX_Baseboard_0"
    tree[board] = {"@odata.id": board, "Id": "HGX_Baseboard_0"}
    tree["/redfish/v1/Systems"]["Members"].insert(0, {"@odata.id": board})
    tree[LENOVO]["Links"]["ComputerSystems"].append({"@odata.id": board})
    with Bmc(tree) as bmc, rig(bmc, tmp_path) as host:
        assert host.watts() == 700.0


def test_several_chassis_of_one_host_need_a_word(tmp_path):
    tree = tree_of(TREES / "openbmc-ibm")
    drawer = "/redfish/v1/Chassis/chassis15873"
    del tree["/redfish/v1/Systems/system"]["Links"]
    with Bmc(tree) as bmc:
        with rig(bmc, tmp_path) as host:
            error = host.fails()
            assert error.reason == "settings"
            assert "(chassis, chassis15873)" in error.why
        with rig(bmc, tmp_path, chassis="chassis15873") as host:
            assert host.watts() == 749.0
        with rig(bmc, tmp_path, chassis="frame") as host:
            assert "has no chassis 'frame'" in host.fails().why
        # one inside the other: the outer one is the host's
        bmc.tree[drawer]["Links"]["ContainedBy"] = {"@odata.id": "/redfish/v1/Chassis/chassis"}
        with rig(bmc, tmp_path) as host:
            assert host.watts() == 232.0


def test_a_chassis_of_several_nodes_is_refused_even_when_named(tmp_path):
    tree = tree_of(TREES / "multi-node-one-total")
    settings = {"system": "Node1", "chassis": "Enclosure"}
    with Bmc(tree) as bmc, rig(bmc, tmp_path, **settings) as host:
        assert "holds 4 nodes: its power is not this host's" in host.absent().why


def test_supplies_of_an_enclosure_do_not_count_for_a_node(tmp_path):
    tree = lenovo()
    tree[LENOVO]["ChassisType"] = "Sled"
    with Bmc(tree) as bmc, rig(bmc, tmp_path) as host:
        assert host.watts() == 700.0
        assert bmc.count(f"{LENOVO}/PowerSubsystem") == 0
        assert host.problems() == [("1", "unsupported")]
        bmc.tree[ENVIRONMENT] = {}
        bmc.tree[f"{LENOVO}/Power"]["PowerControl"] = []
        assert host.fails().reason == "empty"


def test_a_rack_around_a_server_feeds_nothing(tmp_path):
    tree = lenovo()
    rack = "/redfish/v1/Chassis/Rack1"
    tree[LENOVO]["Links"]["ContainedBy"] = {"@odata.id": rack}
    tree[rack] = {"@odata.id": rack, "Id": "Rack1", "ChassisType": "Rack"}
    with Bmc(tree) as bmc, rig(bmc, tmp_path) as host:
        assert (host.read().accuracy, host.problems()) == (0.05, [])


def test_a_collection_in_pages(tmp_path):
    tree = tree_of(TREES / "supermicro-x13deg-oad")
    del tree["/redfish/v1/Systems/1"]["Links"]
    chassis = tree["/redfish/v1/Chassis"]
    last = chassis["Members"].pop(0)
    chassis["Members@odata.nextLink"] = "/redfish/v1/Chassis?$skip=2"
    tree["/redfish/v1/Chassis?$skip=2"] = {"Members": [last]}
    with Bmc(tree) as bmc, rig(bmc, tmp_path) as host:
        assert host.watts() == 2161.0
