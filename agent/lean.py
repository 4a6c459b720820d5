"""Memory that a library takes when imported and that the running agent never uses."""

import sys


def load() -> None:
    """Import structlog without rich (4 MB), which it takes along where it is installed.

    Call before anything else imports structlog. rich can be imported afterwards as ever.
    """
    if "rich" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog  # noqa: F401, PLC0415
    finally:
        del sys.modules["rich"]
