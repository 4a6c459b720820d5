"""The parts of benchmarks/real_gpu.py."""
