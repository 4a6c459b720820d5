"""Modbus meters: pymodbus' own server with registers that move, and faults on the wire."""
