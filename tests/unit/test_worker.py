"""The thread that runs blocking calls for the event loop."""

import asyncio
import subprocess
import sys
import threading

import pytest

from agent.worker import Busy, Worker


@pytest.fixture
def worker():
    worker = Worker("test")
    yield worker
    worker.stop()
    if worker._thread is not None:
        worker._thread.join(10)
        assert not worker._thread.is_alive()


async def until_idle(worker):
    for _ in range(10_000):
        if not worker.busy:
            return
        await asyncio.sleep(0.001)
    pytest.fail("the call did not come back")


def fail():
    raise ValueError("no")


WITHOUT_MEMORY = """
import asyncio, resource
from agent.worker import NoThread, Worker

async def run():
    worker = Worker("test")
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + (1 << 20), resource.RLIM_INFINITY))
    for _ in range(2):
        try:
            await worker.run(lambda: 1)
        except NoThread:
            print("none")
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    print(await worker.run(lambda: 1))
    worker.stop()

asyncio.run(run())
"""


def test_a_thread_that_cannot_be_had_is_asked_for_again():
    command = [sys.executable, "-c", WITHOUT_MEMORY]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("none\nnone\n1\n", "")


def test_results_and_errors_come_back(worker):
    async def run():
        first = await worker.run(threading.get_ident)
        with pytest.raises(ValueError, match="no"):
            await worker.run(fail)
        return first, await worker.run(threading.get_ident)

    first, second = asyncio.run(run())
    assert first == second != threading.get_ident()


def test_even_an_exit_is_handed_on(worker):
    async def run():
        with pytest.raises(SystemExit):
            await worker.run(lambda: sys.exit(3))
        return await worker.run(lambda: "alive")

    assert asyncio.run(run()) == "alive"


def test_one_call_at_a_time_and_a_call_given_up_runs_on(worker):
    begun, come_back, ran = threading.Event(), threading.Event(), threading.Event()

    def hang():
        begun.set()
        come_back.wait(30)
        ran.set()
        return "late"

    async def run():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await worker.run(hang)
        assert begun.is_set()
        with pytest.raises(Busy):
            await worker.run(lambda: "too early")
        assert not ran.is_set()
        come_back.set()
        await until_idle(worker)
        assert ran.is_set()
        return await worker.run(lambda: "again")

    assert asyncio.run(run()) == "again"


def test_a_loop_that_has_ended_hears_nothing_more(worker):
    come_back = threading.Event()

    async def begin():
        worker.submit(lambda: come_back.wait(30))

    asyncio.run(begin())
    come_back.set()

    async def run():
        await until_idle(worker)
        return await worker.run(lambda: "a new loop")

    assert asyncio.run(run()) == "a new loop"


def test_a_call_that_never_comes_back_keeps_nobody_from_leaving():
    code = (
        "import asyncio, time; from agent.worker import Worker\n"
        "async def run():\n"
        "    try:\n"
        "        await asyncio.wait_for(Worker('w').run(lambda: time.sleep(3600)), 0.05)\n"
        "    except TimeoutError:\n"
        "        print('gave up')\n"
        "asyncio.run(run())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "gave up\n", "")


def test_a_worker_that_was_never_used_has_no_thread(worker):
    before = threading.active_count()
    Worker("idle").stop()
    assert threading.active_count() == before
