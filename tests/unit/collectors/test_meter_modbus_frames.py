"""Which of the bytes that come are the answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.modbus_frames import Garbage, Question, crc, find_rtu, find_tcp, question

ASKED = Question(transaction=5, unit=7, function=3, registers=2)
TCP = bytes.fromhex("0005 0000 0007 07 03 04 41480000")
RTU_ASKED = Question(0, 7, 3, 2)
RTU = bytes.fromhex("07 03 04 41480000")
RTU += crc(RTU).to_bytes(2, "little")


def test_the_crc_of_the_standards_example():
    # MODBUS over Serial Line V1.02, 6.2.2: of 02 07 the CRC is 1241h, sent as 41 12
    assert crc(bytes([2, 7])) == 0x1241


def test_a_question_is_read_back_from_its_frame():
    assert question(bytes.fromhex("0005 0000 0006 07 03 0BF3 0002"), rtu=False) == ASKED
    assert question(bytes.fromhex("07 03 0BF3 0002 0000"), rtu=True) == RTU_ASKED


@given(st.integers(0, len(TCP)))
def test_an_answer_by_tcp_is_taken_once_it_is_whole(cut):
    assert find_tcp(TCP[:cut], ASKED) == (TCP if cut == len(TCP) else None)


@given(st.integers(0, len(RTU)), st.binary(max_size=3).filter(lambda noise: 7 not in noise))
def test_an_answer_by_rtu_is_taken_once_it_is_whole_also_after_noise(cut, noise):
    assert find_rtu(noise + RTU[:cut], RTU_ASKED) == (RTU if cut == len(RTU) else None)


@pytest.mark.parametrize(
    "before",
    [
        "0004 0000 0007 07 03 04 00000001",  # a late answer to the question before
        "0005 0000 0007 08 03 04 00000001",  # another unit's
        "0004 0000 0003 07 83 0B",
    ],
)
def test_answers_to_others_are_passed_by(before):
    before = bytes.fromhex(before)
    assert find_tcp(before, ASKED) is None
    assert find_tcp(before + TCP, ASKED) == TCP
    assert find_tcp(before + TCP[:9], ASKED) is None


def test_another_units_answer_by_rtu_is_passed_by():
    other = bytes.fromhex("08 03 04 00000001")
    other += crc(other).to_bytes(2, "little")
    assert find_rtu(other + RTU, RTU_ASKED) == RTU


def test_exceptions_are_answers():
    frame = bytes.fromhex("0005 0000 0003 07 83 0B")
    assert find_tcp(frame, ASKED) == frame
    frame = bytes.fromhex("07 83 0B")
    frame += crc(frame).to_bytes(2, "little")
    assert find_rtu(frame, RTU_ASKED) == frame


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"HTTP/1.1 400 Bad Request", "does not speak Modbus TCP"),
        (b"SSH-", "does not speak Modbus TCP"),
        (bytes.fromhex("0005 0000 0001 07 03"), "does not speak Modbus TCP"),
        (bytes.fromhex("0005 0000 0400 07 03"), "does not speak Modbus TCP"),
        (bytes.fromhex("0005 0000 0007 07 04 04 41480000"), "answers function 4 where function 3"),
        (bytes.fromhex("0005 0000 0005 07 03 02 4148"), "2 bytes where 2 registers"),
        (bytes.fromhex("0005 0000 0007 07 03 08 41480000"), "8 bytes where 2 registers"),
        (bytes.fromhex("0005 0000 0004 07 83 0B 00"), "its exception has no code"),
    ],
)
def test_what_is_no_answer_is_garbage(data, why):
    with pytest.raises(Garbage, match=why):
        find_tcp(data, ASKED)


@given(st.binary(max_size=300))
def test_no_bytes_at_all_make_more_of_it_than_garbage(data):
    for find, asked in ((find_tcp, ASKED), (find_rtu, RTU_ASKED)):
        try:
            answer = find(data, asked)
        except Garbage:
            continue
        assert answer is None or answer in data


@given(st.integers(0, len(RTU) - 1), st.integers(1, 255))
def test_a_byte_that_was_hit_on_the_line_is_never_taken(at, flip):
    broken = bytes(byte ^ (flip if n == at else 0) for n, byte in enumerate(RTU))
    assert find_rtu(broken, RTU_ASKED) is None
