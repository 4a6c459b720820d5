"""What the tests of `wattlas report` share."""

import json

from e2e.agents import wattlas


def document(*arguments):
    done = wattlas("report", *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, ""), done
    return json.loads(done.stdout)


def values(found):
    return {(k["name"], k["category"]): (k["value"], k["coverage"]) for k in found["kpis"]}


def refused(*arguments, status=1):
    done = wattlas("report", *arguments)
    assert (done.returncode, done.stdout) == (status, ""), done
    assert done.stderr.startswith("wattlas: ")
    assert done.stderr.count("\n") == 1
    return done.stderr
