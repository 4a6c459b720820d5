"""`kill -9` at any moment: every joule is in the ledger exactly once."""

import subprocess
import sys
from pathlib import Path

import pytest

LIVES = Path(__file__).with_name("lives.py")


@pytest.mark.parametrize("seed", [1, 2])
def test_every_joule_is_there_exactly_once(tmp_path, seed):
    command = [sys.executable, LIVES, tmp_path / "state", "60", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 0


def test_killed_while_it_begins(tmp_path):
    """The first start may be killed; the next one works."""
    code = "import sys; from pathlib import Path; from agent.ledger import Ledger;"
    code += "print(1, flush=True); Ledger.open(Path(sys.argv[1])).close(); print(2, flush=True)"
    for number in range(5):
        state_dir = tmp_path / str(number)
        command = [sys.executable, "-c", code, state_dir]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as first:
            assert first.stdout is not None
            first.stdout.readline()
            try:
                first.wait(timeout=0.004 * number)
            except subprocess.TimeoutExpired:
                first.kill()
        again = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (again.stdout, again.stderr) == ("1\n2\n", "")
        assert not list(state_dir.glob("*.corrupt*"))
