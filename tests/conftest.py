"""Settings of the whole test suite."""

import os
from typing import Any

import pytest
import structlog
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

# A run in CI is the same run every time; a developer's looks somewhere new each time.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("dev", deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

ONE_SITE = ("test_demo.py", "test_dashboards.py")
"""Files whose tests share the fixture `living_site`."""
LONGEST = ("test_truth.py", *ONE_SITE, "test_running.py", "test_work.py")
"""Files that begin, in this order, so that no process goes on long after the others."""


@pytest.fixture(autouse=True)
def logs_as_ever() -> None:
    """Forget how another test set the logs up: at "critical" nothing is captured."""
    structlog.reset_defaults()


class ByFile(LoadFileScheduling):
    """Keeps the tests of a file in one process, and those of all files that share a site.

    pytest-xdist 3.8 has groups for that, but pytest 9.2 does not show them to it: a group's name
    is put into `_nodeid`, which nothing reads any more.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "one site" if file.endswith(ONE_SITE) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile | None:
    """Hand out tests by file where `--dist loadfile` asks for it, in the order of collection."""
    if config.getvalue("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))
