"""What IPMI tools print, recorded and composed, and what is made of it."""

import json
from pathlib import Path

import pytest
from unit.collectors.trees import FIXTURES

from agent.collector import Transient
from collectors.ipmi_commands import Unsupported, judge
from collectors.ipmi_names import Missing, choose, total
from collectors.ipmi_parse import dcmi, elist, ipmi_sensors, sdr_get, stands_still
from collectors.tool import Output

RECORDS = sorted((FIXTURES / "ipmi").iterdir())
FREEIPMI = """Current Power                        : 164 Watts
Minimum Power over sampling duration : 40 watts
Maximum Power over sampling duration : 294 watts
Average Power over sampling duration : 163 watts
Time Stamp                           : 05/23/2014 - 14:03:12
Statistics reporting time period     : 1000 milliseconds
Power Measurement                    : Active
"""
CUT_OFF = """
    Instantaneous power reading:                 65280 Watts
    Minimum during sampling period:               1543 Watts
    Maximum during sampling period:              {most} Watts
    Average power reading over sample period:    41635 Watts
    IPMI timestamp:                           S+ 00:28:16    Sampling period:   02164269 Seconds.
    Power reading state is:                   activated
"""


@pytest.mark.parametrize("folder", RECORDS, ids=lambda folder: folder.name)
def test_recorded_machines(folder: Path):
    assert (folder / "README.txt").read_text()
    expected = json.loads((folder / "expected.json").read_text())
    if (path := folder / "elist.txt").exists():
        rows = elist(path.read_text())
        plan = choose(rows)
        assert plan is not None
        assert {"device": plan.device, "watts": total(plan, rows)} == expected
    elif (path := folder / "dcmi.txt").exists():
        reading = dcmi(path.read_text())
        assert reading is not None
        if "watts" in expected:
            assert reading.is_active
            assert reading.watts == expected["watts"]
        else:
            assert not reading.is_active
    else:
        with pytest.raises(Unsupported):
            judge(Output("", (folder / "error.txt").read_text(), 1))


def test_all_fields_of_freeipmi_are_read():
    reading = dcmi(FREEIPMI)
    assert reading == (164.0, True, "05/23/2014 - 14:03:12", (40.0, 294.0, 163.0))


def test_an_answer_that_ends_early_has_no_value():
    for length in range(len(FREEIPMI) - len("Active\n") + 1):
        assert dcmi(FREEIPMI[:length]) is None


def test_a_state_cut_short_is_not_active():
    reading = dcmi(FREEIPMI[: -len("ve\n")])
    assert reading is not None
    assert not reading.is_active


@pytest.mark.parametrize("most", [42176 - 41000, 30000])
def test_what_ipmitool_makes_of_a_cut_off_answer_is_refused(most: int):
    # Seen with ipmitool 1.8.19 and an answer of two bytes: it prints what its memory holds.
    assert dcmi(CUT_OFF.format(most=most)) is None


def test_not_available_is_not_active():
    reading = dcmi(FREEIPMI.replace("Active", "Not Available"))
    assert reading is not None
    assert not reading.is_active


def test_a_stamp_that_moves_or_is_none_does_not_stand_still():
    reading = dcmi(FREEIPMI)
    assert reading is not None
    assert stands_still(reading, reading)
    assert not stands_still(reading, None)
    assert not stands_still(reading._replace(stamp="05/23/2014 - 14:03:22"), reading)
    without = reading._replace(stamp="Thu Jan  1 00:00:00 1970")
    assert not stands_still(without, without)
    since_start = reading._replace(stamp="Post-Init 0 s")
    assert not stands_still(since_start, since_start)


SUPPLIES = """PS1 Input Power  | 02h | ok  | 10.1 | 132 Watts
PS2 Input Power  | 03h | ok  | 10.2 | 120 Watts
PS1 Status       | 05h | ok  | 10.1 | Presence detected
PS2 Status       | 06h | ok  | 10.2 | Presence detected
"""


def test_inputs_of_power_supplies_are_summed():
    rows = elist(SUPPLIES)
    plan = choose(rows)
    assert plan is not None
    assert plan.device == "psu_inputs"
    assert total(plan, rows) == 252.0


@pytest.mark.parametrize(
    ("gone", "status"),
    [
        ("ns  | 10.2 | No Reading", "ok  | 10.2 | "),
        ("ns  | 10.2 | Disabled", "ok  | 10.2 | Device Absent"),
    ],
)
def test_a_power_supply_that_is_not_there_is_left_out(gone: str, status: str):
    plan = choose(elist(SUPPLIES))
    assert plan is not None
    text = SUPPLIES.replace("ok  | 10.2 | 120 Watts", gone)
    text = text.replace("06h | ok  | 10.2 | Presence detected", f"06h | {status}")
    assert total(plan, elist(text)) == 132.0


@pytest.mark.parametrize(
    "status",
    ["ok  | 10.2 | Presence detected", "ns  | 10.2 | No Reading", "ok  | 10.2 | Failure detected"],
)
def test_one_that_may_be_there_and_gives_no_value_leaves_no_sum(status: str):
    plan = choose(elist(SUPPLIES))
    assert plan is not None
    text = SUPPLIES.replace("ok  | 10.2 | 120 Watts", "ns  | 10.2 | No Reading")
    text = text.replace("06h | ok  | 10.2 | Presence detected", f"06h | {status}")
    with pytest.raises(Missing, match="PS2 Input Power"):
        total(plan, elist(text))


def test_a_recorded_empty_bay_is_left_out_of_the_sum():
    text = (FIXTURES / "ipmi" / "cisco-ucs-sensors" / "elist.txt").read_text()
    rows = [row for row in elist(text) if row.name != "POWER_USAGE"]
    plan = choose(rows)
    assert plan is not None
    assert (plan.device, total(plan, rows)) == ("psu_inputs", 128.0)


def test_a_standby_supply_at_0_w_counts_and_all_at_0_w_are_no_value():
    plan = choose(elist(SUPPLIES))
    assert plan is not None
    assert total(plan, elist(SUPPLIES.replace("120 Watts", "0 Watts"))) == 132.0
    nothing = SUPPLIES.replace("120 Watts", "0 Watts").replace("132 Watts", "0 Watts")
    with pytest.raises(Missing, match="0 W"):
        total(plan, elist(nothing))


@pytest.mark.parametrize(
    "row",
    [
        "CPU Power        | 61h | ok  |  3.1 | 240 Watts",
        "PSU0_POUT        | 61h | ok  | 10.1 | 136 Watts",
        "PS 1 Input       | 61h | ok  | 10.1 | 2550 Watts",
        "Power            | 61h | ok  |  7.1 | 168 Watts",
        "Power Budget     | 61h | ok  |  7.1 | 800 Watts",
        "Pwr Consumption  | 77h | ok  |  7.1 | 98 Amps",
    ],
)
def test_a_name_that_is_not_known_is_not_used(row: str):
    assert choose(elist(row)) is None


def test_the_sensor_of_the_settings_is_used_as_it_is():
    rows = elist("Power Budget | 61h | ok | 7.1 | 800 Watts\nTemp | 1h | ok | 7.1 | 20 degrees C\n")
    plan = choose(rows, "Power Budget")
    assert plan is not None
    assert total(plan, rows) == 800.0
    plan = choose(rows, "Temp")
    assert plan is not None
    with pytest.raises(Missing, match="no value in watts"):
        total(plan, rows)
    assert choose(rows, "power budget") is None


def test_sdr_get_and_ipmi_sensors_say_the_same():
    got = sdr_get(
        "Sensor ID              : PS1 Input Power (0x2)\n"
        " Sensor Reading        : 132 (+/- 2) Watts\n"
        " Status                : ok\n\n"
        "Sensor ID              : PS2 Input Power (0x3)\n"
        " Sensor Reading        : Disabled\n\n"
        "Sensor ID              : PS1 Status (0x5)\n"
        " Sensor Reading        : 0h\n"
        " States Asserted       : Power Supply\n"
        "                         [Presence detected]\n\n"
        "Sensor ID              : PS2 Status (0x6)\n"
        " Sensor Reading        : 0h\n"
    )
    rows = ipmi_sensors(
        "2,PS1 Input Power,Power Supply,132.00,W,0000h\n"
        "3,PS2 Input Power,Power Supply,N/A,W,N/A\n"
        "5,PS1 Status,Power Supply,Nominal,N/A,N/A,0001h\n"
        "6,PS2 Status,Power Supply,Nominal,N/A,N/A,0000h\n"
    )
    plan = choose(rows)
    assert plan is not None
    assert total(plan, rows) == total(plan, got) == 132.0


@pytest.mark.parametrize(
    "junk", ["", "\0\xff|,|\n", "a|b|c|d\n1,2\n", "|" * 50, "9" * 400 + ",,,,,"]
)
def test_junk_is_no_sensor_with_watts(junk: str):
    for read in (elist, sdr_get, ipmi_sensors):
        assert choose(read(junk)) is None
    assert dcmi(junk) is None


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Could not open device at /dev/ipmi0 or /dev/ipmi/0: Permission denied", "permission"),
        ("insufficient permission on driver device '/dev/ipmi0'", "permission"),
        ("ipmi-dcmi: password invalid", "auth"),
        ("ipmi-dcmi: username invalid", "auth"),
        ("> RAKP 2 HMAC is invalid\nError: Unable to establish IPMI v2 / RMCP+ session", "auth"),
        ("Activate Session command failed\nError: Unable to establish LAN session", "auth"),
        ("Error: Unable to establish IPMI v2 / RMCP+ session", "auth"),
        ("Get Auth Capabilities error\nError: Unable to establish LAN session", "timeout"),
        ("ipmi-dcmi: connection timeout", "timeout"),
        ("Address lookup for nosuch.invalid failed", "io"),
        ("ipmi-dcmi: privilege level cannot be obtained for this user", "privilege"),
        ("DCMI request failed because: Insufficient privilege level (d4)", "privilege"),
        ("DCMI request failed because: Node busy (c0)", "busy"),
        ("Invalid command\nDCMI request failed because: Unspecified error (ff)", "io"),
        ("", "io"),
    ],
)
def test_errors_become_a_sentence(said: str, reason: str):
    with pytest.raises(Transient) as raised:
        judge(Output("", said, 1))
    assert raised.value.reason == reason
    assert len(raised.value.why) < 200
