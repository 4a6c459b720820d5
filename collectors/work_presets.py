"""Which counters of known inference servers are useful work.

Checked in the servers' sources, named at each; pages are in tests/fixtures/work. Units:

- `prompt_tokens` and `generated_tokens`, never a sum of both: they cost differently, and a third
  series would count each token twice for whoever adds them up;
- `computed_prompt_tokens`: those of `prompt_tokens` that were not found in a cache, where the
  server tells. Only these cost floating-point operations;
- `requests`: those that were answered. What the client gave up is not useful.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

PROMPT_TOKENS: Final = "prompt_tokens"
COMPUTED_PROMPT_TOKENS: Final = "computed_prompt_tokens"
GENERATED_TOKENS: Final = "generated_tokens"
REQUESTS: Final = "requests"


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter on a server's page."""

    metric: str
    """The sample's name as it stands on the page."""
    unit: str
    without: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Series that are left out: those whose label has one of these values."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A kind of server."""

    counters: tuple[Counter, ...]
    cached: str = ""
    """The counter of those prompt tokens that a cache had; it may not be there before the first."""
    per_model: bool = False
    """Each model is a workload of its own, `NAME/model`."""


_VLLM_TOKENS: Final = (
    Counter("vllm:prompt_tokens_total", PROMPT_TOKENS),
    Counter("vllm:generation_tokens_total", GENERATED_TOKENS),
)

PRESETS: Final[Mapping[str, Preset]] = {
    # vllm-project/vllm: V0 vllm/engine/metrics.py (label model_name), V1
    # vllm/v1/metrics/loggers.py (model_name, engine). The counter of cached tokens is newer than
    # both; finished_reason is stop, length, abort, and error in newer versions.
    "vllm": Preset(
        (
            *_VLLM_TOKENS,
            Counter(
                "vllm:request_success_total",
                REQUESTS,
                {"finished_reason": frozenset({"abort", "error"})},
            ),
        ),
        cached="vllm:prompt_tokens_cached_total",
    ),
    # sgl-project/sglang: python/sglang/srt/metrics/collector.py, TokenizerMetricsCollector: one
    # process counts for all ranks. Needs --enable-metrics. Later versions add is_streaming, and
    # cache_source to the cached ones.
    "sglang": Preset(
        (
            Counter("sglang:prompt_tokens_total", PROMPT_TOKENS),
            Counter("sglang:generation_tokens_total", GENERATED_TOKENS),
            Counter("sglang:num_requests_total", REQUESTS),
        ),
        cached="sglang:cached_tokens_total",
    ),
    # huggingface/text-generation-inference: router/src/server.rs, docs/source/reference/metrics.md.
    # Tokens are histograms of one observation a request: their sums are the totals.
    "tgi": Preset(
        (
            Counter("tgi_request_input_length_sum", PROMPT_TOKENS),
            Counter("tgi_request_generated_tokens_sum", GENERATED_TOKENS),
            Counter("tgi_request_success", REQUESTS),
        )
    ),
    # triton-inference-server/server: docs/user_guide/metrics.md. An ensemble and the models in it
    # each count the same request, and the page does not say which is which, so models are kept
    # apart. Tokens: of the vLLM backend (vllm_backend/README.md) and of TensorRT-LLM
    # (custom_metrics_reporter.cc: histograms of one observation a request).
    "triton": Preset(
        (
            Counter("nv_inference_request_success", REQUESTS),
            Counter("nv_inference_count", "inferences"),
            Counter("nv_llm_input_token_len_sum", PROMPT_TOKENS),
            Counter("nv_llm_output_token_len_sum", GENERATED_TOKENS),
            *_VLLM_TOKENS,
        ),
        per_model=True,
    ),
}


def is_token(unit: str) -> bool:
    """Whether `flop_per_token` is about this unit."""
    return unit == "tokens" or unit.endswith("_tokens")
