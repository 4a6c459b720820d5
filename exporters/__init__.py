"""One file per way out; each prints a snapshot and computes nothing."""
