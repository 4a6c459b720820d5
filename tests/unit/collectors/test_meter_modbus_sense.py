"""What gives a register away that is read wrongly, though its numbers may look quite normal."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collector import Transient
from agent.site.settings import Register
from agent.site.units import unit_of
from collectors.modbus_numbers import decode, wraps_at
from collectors.modbus_sense import Reading, Sense, sensible

MOST = 1e9


def amount(reading, number):
    """Return it in J or W as the base of all meters does."""
    unit = unit_of(reading.register.unit)
    found = number * unit.factor
    if not 0 <= found <= (MOST if unit.is_rate else MOST * 3.2e9):
        raise Transient(f"its {reading.what} is {number:g} {unit.name}", "garbage", "look")
    return found


def reading(hexed, what="energy", /, **register):
    raw = bytes.fromhex(hexed)
    register = {"address": 0, "type": "uint32", "unit": "kWh", **register}
    return Reading(what, Register(**register), struct.unpack(f">{len(raw) // 2}H", raw))


@pytest.mark.parametrize(
    ("words", "register", "absent"),
    [
        ("FFFF", {"type": "uint16"}, ""),
        ("8000", {"type": "int16"}, ""),
        ("FFFF FFFF", {"type": "uint32"}, ""),
        ("8000 0000", {"type": "int32"}, ""),
        ("0000 8000", {"type": "int32", "words": "little"}, ""),
        ("FFFF FFFF FFFF FFFF", {"type": "uint64"}, ""),
        ("8000 0000 0000 0000", {"type": "int64"}, ""),
        ("7FC0 0000", {"type": "float32"}, ""),
        ("FFC0 0000", {"type": "float32"}, ""),  # Schneider
        ("FFFF FFFF", {"type": "float32"}, ""),
        ("7FF8 0000 0000 0000", {"type": "float64"}, ""),
        ("7FFF FFFF", {"type": "int32"}, "7fffffff"),  # ABB
    ],
)
def test_not_available_is_no_number(words, register, absent):
    found = reading(words, **register)._replace(absent=absent)
    assert found.value() is None
    with pytest.raises(Transient, match='register 0 says "not available"') as failure:
        sensible(found, amount)
    assert failure.value.reason == "absent"


def test_the_makers_pattern_is_a_number_elsewhere():
    assert reading("7FFF FFFF", type="int32").value() == 2147483647


@pytest.mark.parametrize(
    ("words", "what", "register", "why", "remedy"),
    [
        # 1234.5 kWh = 449A5000h; swapped it is 8.6e9, which could be, so take 12.5 kW = 41480000h,
        # swapped 4.1e-41
        (
            "0000 4148",
            "power",
            {"type": "float32", "unit": "kW"},
            r'its power is 2\.3\S+ kW; with words = "little" it would be 12\.5 kW',
            'set words = "little"',
        ),
        (
            "41C8 0000",
            "power",
            {"type": "float32", "unit": "kW", "words": "little"},
            r'with words = "big" it would be 25 kW',
            'set words = "big"',
        ),
        # 123456 x 0.01 kWh as uint64, low word first
        (
            "E240 0001 0000 0000",
            "energy",
            {"type": "uint64", "scale": 0.01},
            r'with words = "little" it would be 1234\.56 kWh',
            "words",
        ),
        # 5 x 0.1 W, low word first, as int32 of W: 327680 W could be; of MW it cannot
        (
            "0005 0000",
            "power",
            {"type": "int32", "unit": "MW"},
            r'its power is 327680 MW; with words = "little" it would be 5 MW',
            "words",
        ),
    ],
)
def test_what_would_make_sense_the_other_way_round_is_said(words, what, register, why, remedy):
    with pytest.raises(Transient, match=why) as failure:
        sensible(reading(words, what, **register), amount)
    assert remedy in failure.value.remedy


def test_nonsense_both_ways_round_is_just_nonsense():
    with pytest.raises(Transient) as failure:
        sensible(reading("FFFF 8001", "power", type="int32", unit="W"), amount)
    assert "words" not in failure.value.why
    with pytest.raises(Transient) as failure:
        sensible(reading("FFFE", "power", type="int16", unit="W"), amount)
    assert failure.value.why == "its power is -2 W"


def run(totals, rate=None, seconds=10.0, **register):
    """Feed totals, in steps of the meter, `seconds` apart; return what is said of each."""
    sense = Sense(amount, MOST)
    said = []
    for n, total in enumerate(totals):
        found = reading(f"{total:08X}", **register)
        try:
            notice = sense.total(found, found.value(), n * seconds, rate)
        except Transient as failure:
            said.append(failure.why)
        else:
            said.append(notice.why if notice else "")
    return said


LEAPS = 'its total leaps as no meter\'s does; with words = "big" it rises steadily'


def test_a_total_whose_words_are_swapped_leaps():
    # 1000 kWh and 2 kWh more each 10 s (720 kW): swapped, 131 072 kWh more in 10 s are 47 GW
    totals = [1000, 1002, 1004, 1004, 1006]
    assert run(totals, words="little") == ["", LEAPS, LEAPS, LEAPS, LEAPS]
    assert run(totals) == [""] * 5


def test_beside_a_power_even_a_small_leap_is_seen():
    # 1 Wh more each 10 s: 360 W. Swapped 65 536 Wh in 10 s, 23.6 MW: less than a site's most
    totals = [1000, 1001, 1002]
    assert run(totals, words="little", unit="Wh") == ["", "", ""]
    assert run(totals, rate=360.0, words="little", unit="Wh") == ["", LEAPS, LEAPS]
    assert run(totals, rate=360.0, unit="Wh") == ["", "", ""]


def test_a_steady_rise_clears_the_suspicion():
    # a leap to 2000h x 10000h and back, which might have been swapped words; then all is well
    sense = Sense(amount, MOST)
    totals = ["0000 1000", "0001 1000", "0001 1001"]
    said = []
    for n, words in enumerate(totals):
        found = reading(words)
        try:
            sense.total(found, found.value(), n * 1.0, None)
        except Transient as failure:
            said.append(failure.why)
        else:
            said.append("")
    assert said[0] == said[2] == ""
    assert "leaps" in said[1]


@pytest.mark.parametrize(
    "totals",
    [
        [2**32 - 2, 1, 4],  # rolls over
        [5_000_000, 0, 1, 2],  # reset, or a new meter
        [100, 9_000_000, 9_000_001],  # a new meter that has counted already
    ],
)
def test_roll_over_reset_and_a_new_meter_are_no_swapped_words(totals):
    assert run(totals, rate=1000.0, unit="Wh") == [""] * len(totals)


@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 700), max_size=30),
    st.sampled_from([None, 720_000.0]),
)
def test_a_meter_that_is_read_rightly_is_never_suspected(start, rises, rate):
    totals = [start]
    for rise in rises:  # up to 700 x 0.01 kWh in 10 s: 2.5 MW
        totals.append((totals[-1] + rise) % 2**32)
    totals = [total for total in totals if total != 2**32 - 1]
    said = run(totals, rate=rate, scale=0.01)
    assert not any("leaps" in why for why in said)


def test_a_total_and_a_power_that_contradict_each_other_are_pointed_out_not_withheld():
    # 10 kW and a total in Wh that counts ten times as much: a transformer ratio forgotten
    right = [n * 2778 // 100 for n in range(100)]  # 27.78 Wh each 10 s
    wrong = [n * 27778 // 100 for n in range(100)]
    assert run(right, rate=10_000.0, unit="Wh") == [""] * 100
    said = run(wrong, rate=10_000.0, unit="Wh")
    assert said[:90] == [""] * 90
    assert said[91] == "its total rose by 10 times more than its power says"


def test_a_total_of_coarse_steps_is_given_time():
    # 100 W and steps of 1 kWh: 36 000 s for one step; nothing to be said for the first hours
    assert run([5] * 300, rate=100.0, seconds=60.0) == [""] * 300


@given(st.integers(0, 2**64 - 2))
def test_words_and_bytes_can_be_turned_round_and_back(number):
    raw = number.to_bytes(8, "big")
    big = struct.unpack(">4H", raw)
    swapped_bytes = struct.unpack("<4H", raw)
    for words, order in ((big, "big"), (big[::-1], "little")):
        register = Register(address=0, type="uint64", words=order)
        assert decode(words, register) == float(number)
    register = Register(address=0, type="uint64", bytes="little")
    assert decode(swapped_bytes, register) == float(number)


def test_a_negative_scale_still_rolls_over_upwards():
    assert wraps_at(Register(address=0, type="uint16", scale=-0.1)) == pytest.approx(6553.6)
