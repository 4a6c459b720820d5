"""Records samples as the agent takes them."""

import contextlib
from pathlib import Path
from typing import BinaryIO

import structlog

from agent.samples import Sample
from agent.trace.lines import format_sample

log = structlog.get_logger()


class Recorder:
    """Writes samples, in the order of their times; the first one's is 0.

    A disk that fails ends the recording, with one line in the log; it never ends the agent.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file: BinaryIO | None = file
        self._zero: float | None = None
        self._waiting: list[Sample] = []

    def record(self, sample: Sample) -> None:
        """Keep one sample for the next `flush`."""
        if self._file is not None:
            self._waiting.append(sample)

    def flush(self) -> None:
        """Write what came since the last time: whole lines, whenever the agent is killed."""
        if self._file is None or not self._waiting:
            return
        waiting = sorted(self._waiting, key=lambda sample: sample.at)
        self._waiting = []
        zero = self._zero = waiting[0].at if self._zero is None else self._zero
        try:
            self._file.write(
                b"".join(format_sample(sample, round(sample.at - zero, 6)) for sample in waiting)
            )
            self._file.flush()
        except OSError as error:
            self.close()
            log.error("recording_ended", why=error.strerror, remedy="see to the disk, start anew")

    def discard(self) -> None:
        """Close the file and delete it."""
        if self._file is not None:
            name = self._file.name
            self.close()
            Path(name).unlink()

    def close(self) -> None:
        """Write what is left and close the file."""
        self.flush()
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()
