"""This host's own FLOPS per watt: a known load in child processes, beside Wattlas' own meter."""
