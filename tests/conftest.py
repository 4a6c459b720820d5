"""Settings of the whole test suite."""

import os

from hypothesis import settings

# A run in CI is the same run every time; a developer's looks somewhere new each time.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("dev", deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")
