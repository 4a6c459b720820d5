"""A report that cannot be made."""


class ReportError(Exception):
    """One plain sentence: what is wrong, and what to do.

    `status` is the exit status: 1, or 2 for what the user wrote wrongly.
    """

    def __init__(self, sentence: str, status: int = 1) -> None:
        super().__init__(sentence)
        self.status = status
