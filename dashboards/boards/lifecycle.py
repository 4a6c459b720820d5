"""To be drawn."""

from dashboards.boards.frame import Board

LIFECYCLE = Board("lifecycle", "", ())
