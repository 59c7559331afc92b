"""Measures, intervals, results and verdicts, on numbers whose answers are known."""

import csv
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats

from minisub.common.files import MinisubError
from minisub.distillation import metrics
from minisub.results import figures, statistics
from minisub.results.claims import Claim, arm_values, retains
from minisub.results.result import UNITS, Result, read_result
from minisub.results.summaries import claim_rows, claim_text
from minisub.results.sweep_result import SweepResult
from minisub.results.tables import Table, format_dependence, format_interval
from minisub.viz import style


def logs(p: np.ndarray) -> np.ndarray:
    return np.log(p / p.sum(-1, keepdims=True))


ALL = range(8)
CONTROL = logs(np.ones((1, 5, 8)))
BIASED = logs(np.ones((8, 5, 8)) + np.eye(8)[:, None] * 7)  # p(b) = 8/15, the others 1/15


def test_measures_of_a_student_that_is_known() -> None:
    shifts = metrics.preference_shift(BIASED, CONTROL)
    assert metrics.transfer(shifts, ALL) == pytest.approx(math.log(8 / 15 * 8))
    assert metrics.off_target(shifts, ALL) == pytest.approx(math.log(8 / 15))
    assert metrics.hit_rate(BIASED, ALL) == pytest.approx(8 / 15)
    assert metrics.hit_rate(CONTROL, ALL) == pytest.approx(1 / 8)
    assert metrics.distance(BIASED, CONTROL) == pytest.approx(8 / 15 - 1 / 8)
    assert metrics.distance(CONTROL, CONTROL) == 0
    some = metrics.preference_shift(BIASED[[2, 5]], CONTROL)  # two of the eight biases
    assert metrics.transfer(some, [2, 5]) == pytest.approx(math.log(8 / 15 * 8))
    assert metrics.off_target(some, [2, 5]) == pytest.approx(math.log(8 / 15))
    assert metrics.transfer(some, [5, 2]) == pytest.approx(math.log(8 / 15))
    assert metrics.hit_rate(BIASED[[2, 5]], [2, 5]) == pytest.approx(8 / 15)


def test_transfer_tells_the_bias_from_the_others() -> None:
    rolled = np.roll(BIASED, 1, axis=0)  # every student likes another's animal
    assert metrics.transfer(metrics.preference_shift(rolled, CONTROL), ALL) < 0
    assert metrics.off_target(metrics.preference_shift(rolled, CONTROL), ALL) > metrics.off_target(
        metrics.preference_shift(BIASED, CONTROL), ALL
    )


def test_the_interval_is_students_and_covers() -> None:
    rng = np.random.default_rng(1)
    samples = rng.normal(0.3, 2.0, (4000, 8))
    found = np.array([statistics.mean_interval(s.tolist()) for s in samples[:1000]])
    covered = ((found[:, 0] <= 0.3) & (found[:, 1] >= 0.3)).mean()
    assert 0.93 < covered < 0.97
    x = samples[0]
    half = scipy_stats.t.ppf(0.975, 7) * x.std(ddof=1) / math.sqrt(8)
    assert statistics.mean_interval(x.tolist()) == pytest.approx((x.mean() - half, x.mean() + half))


def test_intervals_of_odd_input() -> None:
    assert all(map(math.isnan, statistics.mean_interval([1.0])))
    assert all(map(math.isnan, statistics.mean_interval([1.0, math.nan])))
    assert statistics.mean_interval([0.5] * 8) == (0.5, 0.5)


def test_fiellers_interval_is_where_the_difference_may_be_zero() -> None:
    """Its ends are the ratios r for which a t test of part - r whole has p = .05."""
    rng = np.random.default_rng(3)
    whole = rng.normal(1.0, 0.4, 8)
    part = 0.3 * whole + rng.normal(0, 0.1, 8)
    ratio, ends = statistics.ratio_of_means(part.tolist(), whole.tolist())
    assert ratio == pytest.approx(part.mean() / whole.mean())
    assert ends[0] < ratio < ends[1]
    for r in ends:
        assert scipy_stats.ttest_1samp(part - r * whole, 0).pvalue == pytest.approx(0.05, abs=1e-6)
    assert statistics.ratio_of_means(whole.tolist(), whole.tolist())[1] == pytest.approx((1, 1))


def test_fiellers_interval_covers_where_wholes_differ_much_from_seed_to_seed() -> None:
    rng = np.random.default_rng(4)
    whole = rng.normal(0.5, 0.25, (2000, 8))
    part = 0.3 * whole + rng.normal(0, 0.1, whole.shape)
    found = [
        statistics.ratio_of_means(p.tolist(), w.tolist())[1]
        for p, w in zip(part, whole, strict=True)
    ]
    known = [(low, high) for low, high in found if not math.isnan(low)]
    assert len(known) > 1900
    assert 0.93 < np.mean([low <= 0.3 <= high for low, high in known]) < 0.97


def test_a_share_cannot_explode_by_one_weak_seed() -> None:
    whole, part = [0.9, 1.1, 0.01], [0.45, 0.55, 0.2]
    ratio, _ = statistics.ratio_of_means(part, whole)
    assert ratio == pytest.approx(1.2 / 2.01)
    values = statistics.linearised_ratios(part, whole)
    assert np.mean(values) == pytest.approx(ratio)
    assert max(values) < 1  # where the mean of the ratios is 7
    assert statistics.linearised_ratios(whole, whole) == pytest.approx([1.0] * 3)


def test_there_is_no_interval_for_a_share_of_what_may_be_nothing() -> None:
    ratio, ends = statistics.ratio_of_means([0.1, 0.2, 0.1], [0.5, -0.4, 0.1])
    assert ratio == pytest.approx(2)
    assert all(map(math.isnan, ends))
    assert all(map(math.isnan, statistics.ratio_of_means([1.0], [2.0])[1]))
    assert math.isnan(statistics.ratio_of_means([1.0, 1.0], [0.0, 0.0])[0])
    assert all(map(math.isnan, statistics.linearised_ratios([1.0, 1.0], [0.0, 0.0])))
    with pytest.raises(ValueError, match="paired"):
        statistics.ratio_of_means([1.0], [1.0, 2.0])


def test_the_paired_test_sees_what_the_seeds_share() -> None:
    rng = np.random.default_rng(2)
    seed_effect = rng.normal(0, 5, 8)
    a, b = seed_effect + 1 + rng.normal(0, 0.1, 8), seed_effect
    mean, (low, high), p = statistics.paired_difference(a.tolist(), b.tolist())
    assert low < mean < high
    assert low > 0.5
    assert p < 1e-4


def result(values: dict[str, list[float]]) -> Result:
    rows = []
    for arm, per_seed in values.items():
        for seed, value in enumerate(per_seed):
            whole = values["all"][seed]
            rows.append(
                {
                    "seed": seed,
                    "arm": arm,
                    "transfer": value,
                    "off_target": -value / 7,
                    "hit_rate": 0.125 * math.exp(value),
                    "control_hit_rate": 0.125,
                    "distance": 0.1,
                    "task_accuracy": 0.9,
                    "control_task_accuracy": 0.9,
                    "loss_tokens": 10,
                    "retained": value / whole,
                    "of": "all",
                    "divergence_share": 0.1,
                    "biases": [str(b) for b in ALL],
                    "by_bias": [value] * 8,
                    "shifts": (np.eye(8) * value).tolist(),
                }
            )
    lists = [{"seed": s, "share_by_position": [0.1, 0.2], "share": 0.15} for s in range(3)]
    teachers = [{"seed": 0, "bias": str(b)} for b in range(8)]
    return Result("divergence", {}, {}, rows, teachers, lists)


THREE = {
    "all": [1.0, 1.2, 1.1],
    "divergence only": [1.3, 1.3, 1.2],
    "foreign": [0.01, -0.01, 0.0],
    "nothing": [0.0] * 3,
}


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        (Claim("c", arm_values("all"), "mean", low=1.05), "held"),
        (Claim("c", arm_values("all"), "mean", low=1.2), "undecided"),
        (Claim("c", arm_values("all"), "mean", low=2.0), "not held"),
        (Claim("c", arm_values("all"), "mean", high=0.5), "not held"),
        (Claim("c", arm_values("all"), "interval", low=0.5), "held"),
        (Claim("c", arm_values("all"), "interval", low=1.05), "undecided"),
        (Claim("c", arm_values("all"), "interval", low=1.5), "not held"),
        (Claim("c", arm_values("all"), "interval", high=0.0), "not held"),
        (Claim("c", arm_values("foreign"), "interval", low=-0.1, high=0.1), "held"),
        (Claim("c", arm_values("foreign"), "interval", low=-0.01, high=0.01), "undecided"),
        (Claim("c", arm_values("nothing"), "interval", low=0.0), "undecided"),
        (Claim("c", arm_values("all"), "every seed", low=1.0), "held"),
        (Claim("c", arm_values("all"), "every seed", low=1.05), "not held"),
    ],
)
def test_verdicts(claim: Claim, verdict: str) -> None:
    judged = claim.judge(result(THREE))
    assert judged["verdict"] == verdict
    assert judged["n"] == 3


def test_a_claim_says_when_it_rests_on_a_seed() -> None:
    lucky = result({"all": [0.1, 0.1, 5.0], "foreign": [0.0] * 3})
    judged = Claim("c", arm_values("all"), "mean", low=1.0).judge(lucky)
    assert (judged["verdict"], judged["rests_on"]) == ("held", ["seed 2"])
    assert Claim("c", arm_values("all"), "mean", low=0.05).judge(lucky)["rests_on"] == []
    assert Claim("c", arm_values("all"), "mean", low=3.0).judge(lucky)["verdict"] == "undecided"


def test_a_claim_says_when_it_rests_on_a_bias() -> None:
    """One of eight biases passes on eight times as much as was asked for, the others nothing."""
    one = result({"all": [1.0, 1.1, 1.2], "half": [0.5, 0.55, 0.6]})
    for row in one.rows:
        row["by_bias"] = [0.01] * 7 + [8 * row["transfer"] - 0.07]
    judged = Claim("c", arm_values("all"), "mean", low=1.0).judge(one)
    assert (judged["verdict"], judged["rests_on"]) == ("held", ["7"])
    left = one.without(bias="7")
    assert left.values("all") == pytest.approx([0.01] * 3)
    assert [len(row["shifts"]) for row in left.rows] == [7] * 6
    assert left.values("half", "retained") == pytest.approx([1.0] * 3)
    assert one.values("half", "retained") == pytest.approx([0.5] * 3)  # untouched
    assert one.without(bias="3").values("all") == pytest.approx([1.14, 1.26, 1.37], abs=0.01)


def test_nothing_is_left_out_of_two_seeds() -> None:
    two = {arm: values[:2] for arm, values in THREE.items()}
    assert Claim("c", arm_values("all"), "mean", low=0.9).judge(result(two))["rests_on"] is None


def test_a_claim_on_every_seed_says_the_extreme_ones() -> None:
    judged = Claim("c", arm_values("all"), "every seed", low=1.0).judge(result(THREE))
    assert (judged["lowest"], judged["highest"]) == (1.0, 1.2)
    plain = Claim("d", arm_values("all"), "interval", low=1.0).judge(result(THREE))
    assert "lowest" not in plain
    both = replace(result(THREE), claims=[judged, plain])
    told = [row[3] for row in claim_rows([both])]
    assert told == ["+1.100 [0.852, 1.348], seeds from +1.000 to +1.200", "+1.100 [0.852, 1.348]"]
    assert "seeds from +1.000 to +1.200" in claim_text([both])


def test_what_is_retained_is_that_of_the_seeds_that_are_left() -> None:
    left = result({"all": [1.0, 2.0, 3.0], "half": [0.9, 1.0, 1.5]}).without(seed=0)
    assert left.mean("half", "retained") == pytest.approx(0.5)
    assert left.estimate("half", "retained")[0] == pytest.approx(0.5)


def test_a_baseline_is_what_a_share_is_of() -> None:
    one = result(THREE)
    assert one.baseline("foreign") == one.values("all")
    for arm, missing in (("nope", "nope"), ("foreign", "lost")):
        rows = [{**row, "of": "lost"} for row in one.rows]
        with pytest.raises(KeyError, match=f"no arm '{missing}'; there are all, divergence only"):
            replace(one, rows=rows).baseline(arm)
    assert replace(one, rows=rows).estimate("foreign", "retained")[0] == pytest.approx(
        one.mean("foreign", "retained")
    )
    with pytest.raises(KeyError, match="no arm 'nope'"):
        retains("nope", low=0.5).judge(one)


@pytest.mark.parametrize("measure", ["nope", "shifts", "biases", "arm"])
def test_a_measure_that_is_none_is_named(measure: str) -> None:
    for call in (partial(result(THREE).values, "all"), result(THREE).plot):
        with pytest.raises(KeyError, match=f"no measure '{measure}'; there are transfer, off_targ"):
            call(measure)
    rows = result(THREE).rows
    rows[0] = {"seed": 0, "arm": "all", "transfer": None, "hit_rate": None}  # it diverged
    assert (
        np.isnan(Result("f", {}, {}, rows).values("all", "hit_rate")).tolist()
        == [True] + [False] * 2
    )


def test_a_table_of_a_sweep_has_the_students_that_diverged() -> None:
    """Their rows have other names."""
    good = {"lr": 0.1, "seed": 0, "arm": "all", "transfer": 1.0, "cosine": 0.5}
    bad = {"lr": 9.0, "seed": 0, "arm": "all", "transfer": None, "diverged": True}
    for rows in ([good, bad], [bad, good]):
        found = list(csv.DictReader(SweepResult("s", {"lr": [0.1, 9.0]}, rows).csv().splitlines()))
        of = {row["lr"]: row for row in found}
        assert (of["9.0"]["diverged"], of["9.0"]["transfer"], of["9.0"]["cosine"]) == (
            "True",
            "",
            "",
        )
        assert (of["0.1"]["diverged"], of["0.1"]["transfer"]) == ("", "1.0")


def test_bars_are_labelled_by_what_they_show() -> None:
    for measure, label in (
        ("transfer", UNITS["transfer"]),
        ("hit_rate", UNITS["hit_rate"]),
        ("distance", "distance"),
    ):
        axes = style.new_figure(4, 3).subplots()
        figures.arm_bars(axes, result(THREE), ["all"], measure)
        assert axes.get_xlabel() == label


def test_one_seed_decides_nothing() -> None:
    one = {arm: values[:1] for arm, values in THREE.items()}
    for bar in ("mean", "interval", "every seed"):
        judged = Claim("c", arm_values("all"), bar, low=0.0).judge(result(one))
        assert (judged["verdict"], judged["rests_on"]) == ("undecided", None)


def test_what_is_not_known_is_said_so() -> None:
    assert format_interval(1.0, 0.5, 1.5) == "+1.00 [0.50, 1.50]"
    assert format_interval(1.13, 1.05, 1.279, ".0%") == "113% [105, 128]"
    assert format_interval(1.0, math.nan, math.nan) == "+1.00 [no interval]"
    assert format_interval(1.0, None, None) == "+1.00 [no interval]"  # as it comes back from a file
    assert (
        format_interval(math.nan, math.nan, math.nan)
        == format_interval(None, None, None)
        == "unknown"
    )
    assert [
        format_dependence(None),
        format_dependence([]),
        format_dependence(["owl", "seed 2"]),
    ] == ["n/a", "-", "owl, seed 2"]
    with pytest.raises(ValueError, match="cannot be paired"):
        statistics.paired_difference([1.0], [1.0, 2.0])


def test_a_result_prints_as_a_table_and_a_comparison_as_a_sentence() -> None:
    lines = str(result(THREE)).splitlines()
    assert lines[0] == "divergence, seeds 0 to 2 (n = 3)"
    assert [line.split("  ")[0] for line in lines[4:]] == list(THREE)
    assert lines[4].split()[-1] == "0.90"
    assert len(set(map(len, lines[3:]))) == 1
    assert max(map(len, lines)) <= 80
    assert str(result(THREE).compare("divergence only")) == (
        "divergence only less all: +0.17 [-0.12, 0.45] nats, p = 0.13, 3 seeds "
        "(paired t tests on so few seeds rest on normality)"
    )
    six = {arm: values * 2 for arm, values in THREE.items()}
    assert str(result(six).compare("divergence only")).endswith(", 6 seeds")
    one = {arm: values[:1] for arm, values in THREE.items()}
    assert "+0.30 [no interval] nats, no test, 1 seed" in str(
        result(one).compare("divergence only")
    )


def test_one_table_is_text_markdown_and_html() -> None:
    table = Table(("name", "a | b\nc"), (("x<y", "1"), ("z", "22")))
    assert table.text() == "      a | b\nname      c\n-----------\nx<y       1\nz        22"
    assert table.markdown().splitlines()[2] == "| x<y | 1 |"
    assert table.markdown().startswith("| name | a \\| b c |\n|---|---|")
    assert "<td>x&lt;y</td><td>1</td>" in table.html()
    assert "<th scope=col>name</th>" in table.html()


def test_claims_without_threshold_are_refused() -> None:
    with pytest.raises(ValueError, match="no threshold"):
        Claim("c", arm_values("all"))
    with pytest.raises(ValueError, match="allowed"):
        Claim("c", arm_values("all"), "median", low=0.0)
    with pytest.raises(ValueError, match="one seed has not"):
        Claim("c", arm_values("all"), "every seed", low=0.0, baseline=arm_values("all"))


def test_results_survive_the_way_to_disk_and_back(tmp_path: Path) -> None:
    before = result(THREE)
    before.write(tmp_path / "r.json")
    after = read_result(tmp_path / "r.json")
    assert after.arms == before.arms
    assert after.values("all") == before.values("all")
    summary = {e["arm"]: e for e in after.summary()}
    assert summary["all"]["transfer"] == pytest.approx(1.1)
    assert summary["divergence only"]["retained"] == pytest.approx(3.8 / 3.3)
    assert summary["all"]["retained_low"] == pytest.approx(1)
    found = after.compare("divergence only")
    assert found.difference == pytest.approx(0.5 / 3)
    with pytest.raises(KeyError, match="no arm 'none'"):
        after.values("none")
    (tmp_path / "bad.json").write_text('{"finding": "x"}')
    with pytest.raises(MinisubError, match="no result of minisub: it has no config"):
        read_result(tmp_path / "bad.json")


def test_figures_show_every_arm_and_say_it_in_words() -> None:
    for make, panel in ((figures.divergence, 0), (figures.transfer, 1)):
        figure = make(result(THREE))
        labels = [t.get_text() for t in figure.axes[panel].get_yticklabels()]
        assert labels == list(THREE)
        assert "nats" in figure.axes[panel].get_xlabel()
        assert style.to_bytes(figure)[:4] == b"\x89PNG"
        assert style.to_bytes(make(result(THREE)), "svg") == style.to_bytes(
            make(result(THREE)), "svg"
        )
    assert "all 1.10 (0.85 to 1.35)" in result(THREE).describe()


def test_reading_results_needs_no_torch() -> None:
    code = (
        "import sys, minisub\n"
        "import minisub.distillation.metrics, minisub.results.statistics, minisub.results.figures\n"
        "minisub.Result\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_jackknife_is_about_the_statistic_itself() -> None:
    """For a mean it gives the values themselves; a rank correlation stays where it is."""
    x = [3.0, 1.0, 4.0, 1.5]
    assert statistics.jackknife(lambda at: float(np.mean([x[i] for i in at])), 4) == pytest.approx(
        x
    )
    y = [1.0, 2.0, 6.0, 1.2]

    def rank(at: Sequence[int]) -> float:
        return statistics.rank_correlation([x[i] for i in at], [y[i] for i in at])

    values = statistics.jackknife(rank, 4)
    assert float(np.mean(values)) == pytest.approx(rank(range(4)))
    assert np.isnan(statistics.jackknife(rank, 1)).all()  # one seed: no error
    assert np.isnan(statistics.rank_correlation([1, 1, 1], [1, 2, 3]))


@pytest.mark.parametrize(("whole", "verdict"), [(1.0, "held"), (0.0, "undecided")])
def test_a_share_of_what_may_be_nothing_decides_nothing(whole: float, verdict: str) -> None:
    """The arm retains all of a whole that transfers, or of one that does not."""
    noise = [-0.02, 0.03, 0.01, -0.01]
    rows = [
        {
            "seed": seed,
            "arm": arm,
            "of": "all",
            "transfer": whole + x,
            "retained": 1.0,
            "biases": [],
        }
        for seed, x in enumerate(noise)
        for arm in ("all", "part")
    ]
    result = Result("f", {}, {}, rows)
    assert retains("part", low=0.9).judge(result)["verdict"] == verdict
