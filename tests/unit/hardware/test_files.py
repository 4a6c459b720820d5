"""Files that change under a reader: whole numbers at every moment."""

import os
import time
from pathlib import Path

import pytest
from hardware.files import LiveFile

VALUES = [b"7" * 3, b"1" * 9, b"2" * 9, b"9" * 12, b"8" * 12, b"4"]
SECONDS = 1.5


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_reader_in_another_process_finds_whole_numbers(tmp_path: Path) -> None:
    """Every length change, seen through a kept descriptor as fast as can be read.

    The copy to a reader is not atomic beyond 8 bytes (see `LiveFile`), so at this pace, 10,000
    times the demo's, up to 4 in 10,000 writes were seen half done. A wrong order of writes shows
    its state between two system calls: 3,000 to 17,000 in 10,000.
    """
    file = LiveFile(tmp_path / "energy_uj")
    file.write(VALUES[0] + b"\n")
    writer = os.fork()
    if writer == 0:
        try:
            end = time.monotonic() + SECONDS
            rounds = 0
            while time.monotonic() < end:
                for value in VALUES:
                    file.write(value + b"\n")
                rounds += 1
            (tmp_path / "rounds").write_text(str(rounds))
        finally:
            os._exit(0)
    lengths = {len(value) for value in VALUES}
    seen: set[int] = set()
    wrong: list[bytes] = []
    reader = os.open(file.path, os.O_RDONLY)
    while os.waitpid(writer, os.WNOHANG) == (0, 0):
        for _ in range(200):
            data = os.pread(reader, 64, 0)
            digits = data.rstrip(b"\n")
            if digits.isdigit() and len(digits) in lengths and data != digits:
                seen.add(len(digits))
            else:
                wrong.append(data)
    os.close(reader)
    file.close()
    writes = int((tmp_path / "rounds").read_text()) * len(VALUES)
    assert seen == lengths
    assert len(wrong) <= max(3, writes / 100), wrong[:5]


def test_a_value_of_another_length_leaves_nothing_behind(tmp_path: Path) -> None:
    file = LiveFile(tmp_path / "value")
    for value in (b"999\n", b"1000\n", b"12\n", b"12\n", b"123456789012\n", b"0\n"):
        file.write(value)
        assert file.path.read_bytes() == value
    file.close()
