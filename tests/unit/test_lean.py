"""What the running agent leaves out of its memory."""

import subprocess
import sys

CODE = """
import sys
from agent import lean
lean.load()
import agent.daemon
from agent.collector import find_collectors
assert not find_collectors().broken
found = [name for name in {names!r} if name in sys.modules]
assert not found, f"{{found}} in the running agent"
from rich.table import Table  # a person's command can have it afterwards
"""


def test_the_agent_runs_without_what_it_does_not_use():
    code = CODE.format(names=["rich", "sqlite_utils", "hypothesis", "pygments"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
