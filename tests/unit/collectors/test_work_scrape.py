"""What inference servers' pages become: hand-worked totals, resets, and pages that fail."""

import asyncio
from pathlib import Path

import pytest
from hardware.pages import Pages
from unit.collectors.trees import FIXTURES, Clock, context

from agent.collector import Absent, Context, ScrapeSettings, Transient, WorkSettings
from agent.quantities import Component
from agent.samples import Method, WorkCounter
from agent.work import Tally
from collectors import work_scrape
from collectors.work_scrape import WorkScrape, WorkScrapeSettings

VLLM_LINE = 'vllm:generation_tokens_total{{engine="{engine}",model_name="m"}} {value}\n'


@pytest.fixture
def pages():
    with Pages() as server:
        yield server


def make(clock=None, **scrape):
    full = context(Path("/nowhere"), clock)
    work = WorkSettings(scrape={name: ScrapeSettings(**s) for name, s in scrape.items()})
    return WorkScrape(
        WorkScrapeSettings(timeout_seconds=1.0),
        Context(full.paths, full.clock, full.latest_utilization, work=work),
    )


def read(collector):
    return asyncio.run(collector.collect())


def sums(samples):
    """Return total of each workload and unit, and of the operations that it stands for."""
    found = {}
    for sample in samples:
        assert isinstance(sample, WorkCounter)
        assert sample.collector == "work_scrape"
        total, flop = found.get((sample.workload, sample.unit), (0.0, None))
        if sample.flop_per_unit is not None:
            flop = (flop or 0.0) + sample.total * sample.flop_per_unit
        found[sample.workload, sample.unit] = (total + sample.total, flop)
    return found


@pytest.mark.parametrize(
    ("fixture", "preset", "expected"),
    [
        (
            "vllm-v0",
            "vllm",
            {
                ("x", "prompt_tokens"): (1_250_003, 2_500_006),
                ("x", "generated_tokens"): (803_411, 1_606_822),
                ("x", "requests"): (3_918, None),
            },
        ),
        (
            "vllm-v1",
            "vllm",
            {
                ("x", "prompt_tokens"): (153_600, 307_200),
                ("x", "generated_tokens"): (38_400, 76_800),
                ("x", "requests"): (147, None),  # not the 5 that were aborted
            },
        ),
        (
            "vllm-cached",
            "vllm",
            {
                ("x", "prompt_tokens"): (2_000, None),
                ("x", "computed_prompt_tokens"): (500, 1_000),
                ("x", "generated_tokens"): (400, 800),
                ("x", "requests"): (10, None),
            },
        ),
        (
            "sglang-docs",
            "sglang",
            {
                ("x", "prompt_tokens"): (8_128_902, 16_257_804),
                ("x", "generated_tokens"): (7_557_572, 15_115_144),
            },
        ),
        (
            "sglang-cache",
            "sglang",
            {
                ("x", "prompt_tokens"): (1_500, None),
                ("x", "computed_prompt_tokens"): (800, 1_600),
                ("x", "generated_tokens"): (250, 500),
                ("x", "requests"): (10, None),
            },
        ),
        (
            "tgi",
            "tgi",
            {
                ("x", "prompt_tokens"): (18_000, 36_000),
                ("x", "generated_tokens"): (12_500, 25_000),
                ("x", "requests"): (148, None),
            },
        ),
        (
            "triton",
            "triton",
            {
                ("x/ensemble", "requests"): (100, None),
                ("x/ensemble", "inferences"): (100, None),
                ("x/preprocessing", "requests"): (100, None),
                ("x/preprocessing", "inferences"): (100, None),
                ("x/bert", "requests"): (100, None),
                ("x/bert", "inferences"): (100, None),
                ("x/resnet50", "requests"): (40, None),
                ("x/resnet50", "inferences"): (320, None),
            },
        ),
        (
            "triton-vllm",
            "triton",
            {
                ("x/vllm_model", "requests"): (1, None),
                ("x/vllm_model", "inferences"): (1, None),
                ("x/vllm_model", "prompt_tokens"): (10, 20),
                ("x/vllm_model", "generated_tokens"): (16, 32),
            },
        ),
        (
            "triton-tensorrt",
            "triton",
            {
                ("x/ensemble", "requests"): (12, None),
                ("x/ensemble", "inferences"): (12, None),
                ("x/tensorrt_llm", "requests"): (12, None),
                ("x/tensorrt_llm", "inferences"): (12, None),
                ("x/tensorrt_llm", "prompt_tokens"): (720, 1_440),
                ("x/tensorrt_llm", "generated_tokens"): (1_536, 3_072),
            },
        ),
    ],
)
def test_recorded_page(pages, fixture, preset, expected):
    pages.set((FIXTURES / "work" / f"{fixture}.txt").read_text())
    scrape = {"url": pages.url(), "preset": preset, "flop_per_token": 2.0, "device": "gpu"}
    collector = make(x=scrape | {"precision": "fp16_tensor"})
    samples = read(collector)
    assert sums(samples) == expected
    assert collector.problems() == []
    keys = [(s.workload, s.unit, s.instance) for s in samples]
    assert len(keys) == len(set(keys))
    assert {s.device for s in samples} == {"gpu"}
    for sample in samples:
        assert sample.at == 1000.0
        assert sample.instance.startswith(pages.url())
        assert sample.precision == ("fp16_tensor" if sample.flop_per_unit else "")
    collector.close()


class Counted:
    """A collector and the core that adds up what it sends, on a page that a test writes."""

    def __init__(self, pages, **scrape):
        self.pages = pages
        self.clock = Clock()
        self.collector = make(self.clock, x={"url": pages.url(), **scrape})
        self.tally = Tally()

    def read(self, text):
        self.pages.set(text)
        self.clock.now += 15
        self.tally.take(read(self.collector), {})
        return {(v.workload, v.unit): v.amount for v in self.tally.work_views(self.clock.now)}

    def flop(self):
        return {
            (v.component, v.device, v.precision, v.method): v.flop
            for v in self.tally.flop_views(self.clock.now, {})
        }


def vllm(*engines):
    return "# TYPE vllm:generation_tokens_total counter\n" + "".join(
        VLLM_LINE.format(engine=i, value=value) for i, value in enumerate(engines) if value >= 0
    )


def test_only_what_is_done_from_now_on_counts_and_a_restart_takes_nothing(pages):
    counted = Counted(pages, preset="vllm", flop_per_token=2e9, precision="fp16_tensor")
    tokens = ("x", "generated_tokens")
    assert counted.read(vllm(1000, 500))[tokens] == 0
    assert counted.read(vllm(1010, 520))[tokens] == 30
    assert counted.read(vllm(7, 3))[tokens] == 40  # the server began anew
    assert counted.read(vllm(8, 3))[tokens] == 41
    key = (Component.PLATFORM, "all", "fp16_tensor", Method.APPLICATION)
    assert counted.flop() == {key: 41 * 2e9}


def test_labels_that_go_and_come_harm_nothing(pages):
    counted = Counted(pages, preset="vllm")
    tokens = ("x", "generated_tokens")
    counted.read(vllm(1000, 500))
    assert counted.read(vllm(1010, -1))[tokens] == 10  # the second engine went away
    assert counted.read(vllm(1010, -1))[tokens] == 10
    assert counted.read(vllm(1010, 4))[tokens] == 14  # and came back, anew
    assert counted.read(vllm(1010, 504))[tokens] == 514
    assert counted.read(vllm(-1, -1))[tokens] == 514
    assert counted.collector.problems()[0].reason == "nothing"
    assert counted.read(vllm(1011, 505))[tokens] == 516


def test_what_appears_after_the_first_reading_began_at_zero(pages):
    counted = Counted(pages, preset="vllm")
    tokens = ("x", "generated_tokens")
    assert counted.read(vllm()) == {}  # a server that has done nothing yet shows nothing
    problem = counted.collector.problems()[0]
    assert (problem.what, problem.reason) == ("x", "nothing")
    assert "that program has done nothing yet, or it is another one" in problem.why
    assert counted.read(vllm(7))[tokens] == 7
    assert counted.collector.problems() == []
    assert counted.read(vllm(8, 5))[tokens] == 13


def sglang(prompt, cached=None):
    lines = [f'sglang:prompt_tokens_total{{model_name="m"}} {prompt}']
    if cached is not None:
        lines.append(f'sglang:cached_tokens_total{{cache_source="device",model_name="m"}} {cached}')
    return "\n".join([*lines, ""])


def test_cached_prompt_tokens_cost_no_operations(pages):
    counted = Counted(pages, preset="sglang", flop_per_token=1.0)
    prompt, computed = ("x", "prompt_tokens"), ("x", "computed_prompt_tokens")
    key = (Component.PLATFORM, "all", "unspecified", Method.APPLICATION)
    counted.read(sglang(100))
    assert counted.read(sglang(160)) == {prompt: 60}
    assert counted.flop() == {key: 60}
    found = counted.read(sglang(200, 30))  # the cache's first hit: the counter appears
    assert (found[prompt], found[computed]) == (100, 0)
    found = counted.read(sglang(300, 110))
    assert (found[prompt], found[computed]) == (200, 20)
    assert counted.flop() == {key: 80}
    # for a moment the page has the hits of a request whose prompt it does not have yet
    assert counted.read(sglang(300, 150))[computed] == 20
    assert counted.read(sglang(400, 150))[computed] == 80
    found = counted.read(sglang(50, 20))  # the server began anew
    assert (found[prompt], found[computed]) == (350, 110)


def test_own_counters_stand_beside_the_presets(pages):
    own = {
        "my_images_total": "images",
        "my_tokens_total": "tokens",
        "vllm:prompt_tokens_total": "p",
    }
    collector = make(
        x={"url": pages.url(), "preset": "vllm", "counters": own, "flop_per_token": 3.0}
    )
    pages.set(
        "# TYPE my_images_total counter\nmy_images_total 5\nmy_tokens_total 2\n"
        'vllm:prompt_tokens_total{model_name="m"} 4\n' + vllm(9)
    )
    assert sums(read(collector)) == {
        ("x", "images"): (5, None),
        ("x", "tokens"): (2, 6),
        ("x", "p"): (4, None),
        ("x", "generated_tokens"): (9, 27),
    }


def test_numbers_that_are_none_are_left_out(pages):
    collector = make(x={"url": pages.url(), "counters": {"a": "things", "b": "things"}})
    pages.set('a{i="1"} NaN\na{i="2"} +Inf\na{i="3"} -1\na{i="4"} 3\nb 4\n')
    samples = read(collector)
    assert sorted(sample.total for sample in samples) == [3, 4]
    assert len({sample.instance for sample in samples}) == 2


def test_one_page_that_fails_is_a_problem_and_all_are_a_failure(pages):
    pages.set(vllm(5), "/good")
    pages.set("", "/hangs", manner="hang")
    urls = {"a": "/good", "b": "/gone", "c": "/hangs"}
    collector = make(**{n: {"url": pages.url(p), "preset": "vllm"} for n, p in urls.items()})
    assert sums(read(collector)) == {("a", "generated_tokens"): (5, None)}
    assert [(p.what, p.reason) for p in collector.problems()] == [("b", "http"), ("c", "timeout")]
    pages.set("gone", "/good", status=500)
    with pytest.raises(Transient) as caught:
        read(collector)
    assert caught.value.reason == "http"
    pages.set(vllm(6), "/good")
    assert sums(read(collector)) == {("a", "generated_tokens"): (6, None)}


def test_without_pages_it_is_absent():
    with pytest.raises(Absent, match="no program's counters of work are set") as caught:
        read(make())
    assert "[work.scrape.NAME]" in caught.value.remedy
    assert caught.value.again_seconds is None


def test_a_page_without_end_is_cut(pages, monkeypatch):
    monkeypatch.setattr(work_scrape, "MAX_SERIES", 3)
    collector = make(x={"url": pages.url(), "preset": "vllm"})
    pages.set(vllm(*range(5)))
    assert len(read(collector)) == 3
    assert [(p.what, p.reason) for p in collector.problems()] == [("x", "many")]
    assert "2 counters more than the 3" in collector.problems()[0].why
    assert len(read(collector)) == 3


def test_long_labels_stay_apart_and_short(pages):
    collector = make(x={"url": pages.url(), "counters": {"a": "things"}})
    pages.set("".join(f'a{{i="{"y" * 5000}{n}"}} 1\n' for n in range(2)))
    samples = read(collector)
    assert len({sample.instance for sample in samples}) == 2
    assert all(len(sample.instance) < 200 for sample in samples)


def test_its_own_interval_is_a_quarter_of_a_minute():
    assert WorkScrape.Settings().interval_seconds == 15.0
