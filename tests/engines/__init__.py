"""Real engines that speak PromQL, as processes on loopback, filled with what a test says."""

from engines.fleet import Fleet
from engines.prometheus import Prometheus
from engines.promql import Answer, PromQL
from engines.victoria import VictoriaMetrics

__all__ = ["Answer", "Fleet", "PromQL", "Prometheus", "VictoriaMetrics"]
