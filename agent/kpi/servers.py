"""What the servers are able to do, and how much of it is asked of them: ITEEsv, ITEUsv, CE."""

from collections.abc import Iterable

from agent.kpi.checked import above_zero, not_below_zero


def iteesv(servers: Iterable[tuple[float, float, float]]) -> float:
    """Return ITEEsv = sum of SMPE / sum of SMPO, performance per W. Raises ValueError.

    `servers`: for each kind how many there are, one's best result in the benchmark (SMPE) and its
    most power in it, W (SMPO). ISO/IEC 30134-4:2017; one benchmark for all.
    """
    kinds = list(servers)
    performance = sum(count * best for count, best, _ in kinds)
    return performance / above_zero("SMPO", sum(count * watts for count, _, watts in kinds))


def iteusv(busy_server_seconds: float, observed_server_seconds: float) -> float:
    """Return ITEUsv, the mean CPU utilisation of all servers over the period, 0 to 1.

    ISO/IEC 30134-5:2017: the mean of sum(CUS_i) / N over time. Both sums run over servers and time,
    so each second of each server counts alike, also where N changes. Not for servers that compute
    mainly with accelerators (the standard's scope). Raises ValueError.
    """
    busy = not_below_zero("busy time", busy_server_seconds)
    ratio = busy / above_zero("observed time", observed_server_seconds)
    if ratio > 1:
        raise ValueError(f"busy time is {ratio:.2f} times the time that was observed")
    return ratio


def computing_efficiency(servers: Iterable[tuple[float, float, float]]) -> float:
    """Return the computing efficiency 算效 CE = CP / sum of PC, GFLOPS/W. Raises ValueError.

    `servers`: for each kind how many there are, one's computing power, GFLOPS, and its power, W.
    Proposed by Guo Liang et al., 信息通信技术与政策 2021, 47(2):79, and used by CAICT and ODCC. One
    precision for all; peak goes with the most power, a measured result with the power in it.
    """
    return iteesv(servers)
