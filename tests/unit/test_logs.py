"""Log lines: one an event, for people and for the journal."""

import re

import pytest
import structlog

from agent import logs


@pytest.fixture(params=["plain", "journal"])
def kind(request, monkeypatch):
    if request.param == "journal":
        monkeypatch.setenv("JOURNAL_STREAM", "8:12345")
    else:
        monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    yield request.param
    structlog.reset_defaults()


def written(capsys, level, emit):
    logs.configure(level)
    emit(structlog.get_logger())
    out, err = capsys.readouterr()
    assert out == ""
    return err


def begin(kind, level):
    priority = {"error": "<3>", "warning": "<4>", "info": "<6>", "debug": "<7>"}[level]
    return priority if kind == "journal" else r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+ " + level + " "


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_an_event_is_one_line(capsys, kind, level):
    line = written(capsys, "debug", lambda log: getattr(log, level)("started", pid=7, why="a b"))
    assert re.fullmatch(begin(kind, level) + 'started pid=7 why="a b"\n', line)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("a=b", '"a=b"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("two\nlines", '"two\\nlines"'),
        ("back\\slash", "back\\slash"),
        ("a\\ b", '"a\\\\ b"'),
        (None, "None"),
        (0.5, "0.5"),
    ],
)
def test_values_are_quoted_where_they_must_be(capsys, kind, value, shown):
    line = written(capsys, "info", lambda log: log.info("event", value=value))
    assert line.endswith(f"event value={shown}\n")
    assert line.count("\n") == 1


def test_less_than_the_level_is_left_out(capsys, kind):
    assert written(capsys, "warning", lambda log: log.info("chatter")) == ""


def test_a_bug_brings_its_traceback_with_the_level_on_every_line(capsys, kind):
    def fail(log):
        try:
            raise ValueError("the bug")
        except ValueError:
            log.exception("collector_bug", collector="x")

    lines = written(capsys, "info", fail).splitlines()
    assert re.fullmatch(begin(kind, "error") + "collector_bug collector=x", lines[0])
    assert lines[-1].endswith("ValueError: the bug")
    if kind == "journal":
        assert all(line.startswith("<3>") for line in lines)
