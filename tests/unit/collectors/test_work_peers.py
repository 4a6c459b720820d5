"""Whom the work socket lets in: the kernel's word on the caller against the settings."""

import asyncio
import grp
import json
import os
import pwd
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from unit.collectors.test_work import REPORT, make, opened, request

from agent.collector import Transient
from agent.settings import parse
from agent.settings_error import SettingsError
from collectors.work_peers import peer_of

ME = pwd.getpwuid(os.geteuid()).pw_name
MY_GROUP = grp.getgrgid(os.getegid()).gr_name
SOMEBODY_ELSE = os.geteuid() + 4711
CODE = """
import http.client, json, os, socket, sys
user, group, *more = map(int, sys.argv[2:])
os.setgroups(more)
os.setgid(group)
os.setuid(user)
one = http.client.HTTPConnection("localhost")
one.sock = socket.socket(socket.AF_UNIX)
one.sock.connect(sys.argv[1])
one.request("POST", "/v1/work", json.dumps({"workload": "w", "unit": "u", "amount": 1}))
print(one.getresponse().status)
"""


def test_the_kernel_tells_who_it_is():
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        peer = peer_of(ours)
    assert peer is not None
    assert (peer.pid, peer.uid) == (os.getpid(), os.geteuid())
    assert peer.groups == {os.getegid(), *os.getgroups()}


@pytest.mark.parametrize(
    "who",
    [
        {},
        {"allow_users": (ME,)},
        {"allow_users": (os.geteuid(), SOMEBODY_ELSE)},
        {"allow_groups": (MY_GROUP,)},
        {"allow_users": (SOMEBODY_ELSE,), "allow_groups": (os.getegid(),)},
    ],
)
def test_who_is_named_is_let_in(tmp_path, who):
    path = tmp_path / "work.sock"

    async def scenario():
        async with opened(path, **who) as work:
            assert (await request(path, body=REPORT))[0] == 202
            assert len(await work.collect()) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "who", [{"allow_users": (SOMEBODY_ELSE,)}, {"allow_groups": (SOMEBODY_ELSE,)}]
)
def test_who_is_not_named_is_refused_and_named_once(tmp_path, who, capsys):
    path = tmp_path / "work.sock"

    async def scenario():
        async with opened(path, **who) as work:
            for _ in range(3):
                status, said = await request(path, body=REPORT)
                assert status == 403
                assert said == (
                    f"user {os.geteuid()} may not report: work.allow_users and work.allow_groups"
                    " in the agent's settings do not name it\n"
                )
            assert (await request(path, "GET"))[0] == 403
            assert (await request(path, body=b"x" * 65_537))[0] in {403, 413}
            assert await work.collect() == []

    asyncio.run(scenario())
    said = [line for line in capsys.readouterr().out.splitlines() if "work_refused" in line]
    assert len(said) == 1
    assert f"uid={os.geteuid()}" in said[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    ("user", "group", "more", "status"),
    [(1234, 1, [], 202), (1235, 77, [], 202), (1235, 1, [76, 77], 202), (1235, 1, [76], 403)],
)
def test_others_by_user_group_and_further_groups(user, group, more, status):
    # others cannot enter pytest's own directories
    with tempfile.TemporaryDirectory(prefix="ww") as name:
        Path(name).chmod(0o755)
        path = Path(name) / "work.sock"

        def report():
            return subprocess.run(
                [sys.executable, "-I", "-c", CODE, path, *map(str, (user, group, *more))],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip

        async def scenario():
            who = {"allow_users": (1234,), "allow_groups": (77,), "socket_mode": "0666"}
            async with opened(path, **who):
                return await asyncio.to_thread(report)

        done = asyncio.run(scenario())
        assert (done.stdout, done.stderr) == (f"{status}\n", "")


@pytest.mark.parametrize("who", [{"allow_users": ("no such",)}, {"allow_groups": ("no such",)}])
def test_a_name_that_nobody_has_opens_nothing(tmp_path, who):
    path = tmp_path / "work.sock"

    async def scenario():
        with pytest.raises(Transient, match=r"work.allow_\w+: there is no \w+ 'no such' on this"):
            await make(path, **who).collect()

    asyncio.run(scenario())
    assert not path.exists()


def test_refusals_are_counted_for_those_who_may_ask(tmp_path):
    path = tmp_path / "work.sock"

    async def scenario():
        async with opened(path, allow_users=(ME,)):
            assert json.loads((await request(path, "GET"))[1])["refused"] == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("who", ['[""]', "[-1]", "[4294967295]", "[true]", '"slurm"'])
def test_what_is_no_name_and_no_number_is_refused(who):
    with pytest.raises(SettingsError, match=r"settings:2: work.allow_users"):
        parse(f"[work]\nallow_users = {who}\n", None, {})


def test_names_and_numbers_can_stand_side_by_side():
    found = parse('[work]\nallow_users = ["slurm", 1001]\n', None, {})
    assert found.work.allow_users == ("slurm", 1001)
