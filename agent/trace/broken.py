"""What is wrong with a line."""


class BrokenLine(ValueError):
    """Why a line is no sample: half a sentence."""
