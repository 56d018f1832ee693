"""The benchmark: it writes its record, adds to it, and its page says what is there."""

import json

import pytest

from scripts import benchmark
from scripts.bench.page import TABLES, as_markdown
from scripts.bench.processes import compare

ROUND = {
    "process_seconds": 40.0,
    "lowest": 0.5,
    "solve_seconds_per_evaluation": 0.05,
    "torch_process_seconds": 62.0,
    "torch_seconds": 60.0,
    "torch_last": 0.9,
    "torch_lowest": 0.8,
    "torch_solve_seconds_per_evaluation": 0.1,
    "seconds": 30.0,
    "evaluations": 400,
    "over_torch": 0.5,
    "loss_at_as_many": 0.72,
}
RECORD = {
    "date": "2026-01-01",
    "device": "CPU (2 cores)",
    "versions": {"jax": "0.10.1", "torch": None},
    "tables": {
        "evaluation": [
            {
                "case": "width 1",
                "rounds": 7,
                "alone_seconds": 0.4,
                "loop_seconds": 0.0321,
                "loop_over_alone": 1.03,
                "torch_seconds": None,
                "loop_over_torch": None,
                "torch_same_seconds": None,
                "loop_over_torch_same": None,
            }
        ],
        "memory": [
            {"case": "width 1", "picture": "4 x 3", "fast_bytes": 2_000_000_000}
            | {"torch_bytes": 4_000_000_000, "low_bytes": 1_000_000_000}
        ],
        "runs": [
            {
                "case": "quarter",
                "picture": "512 x 384",
                "rounds": [ROUND, ROUND | {"seconds": None, "over_torch": None}],
            }
        ],
    },
}


def cells(page: str, title: str) -> list[list[str]]:
    """Head and rows of the table of a section."""
    section = page.split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[c.strip() for c in line.strip("|").split("|")] for line in lines]


@pytest.mark.slow
def test_quick_solver_part_writes_a_record_and_its_page(tmp_path, capsys):
    benchmark.main(["--quick", "--only", "solver", "--out", str(tmp_path)])
    (path,) = tmp_path.glob("*-quick.json")
    record = json.loads(path.read_text())
    assert set(record["tables"]) == {"solver", "host"}
    (step,) = record["tables"]["solver"]
    assert step["step_seconds"] > 0
    assert step["step_over_loop"] > 0
    (host,) = record["tables"]["host"]
    assert 0 <= host["between_chunks_share"] < 1
    page = path.with_suffix(".md").read_text()
    assert page == as_markdown(record)
    assert "## Step of L-BFGS" in page
    assert "## Peak memory" not in page
    assert page in capsys.readouterr().out


@pytest.mark.slow
def test_quick_controls_are_measured(tmp_path):
    benchmark.main(["--quick", "--only", "controls", "--out", str(tmp_path)])
    (path,) = tmp_path.glob("*-quick.json")
    (entry,) = json.loads(path.read_text())["tables"]["controls"]
    ratios = [value for key, value in entry.items() if key.endswith("_over_plain")]
    assert len(ratios) == 4
    assert min(ratios) > 0
    assert "## Controls" in path.with_suffix(".md").read_text()


def test_page_has_the_figures():
    page = as_markdown(RECORD)
    head, _, row = cells(page, TABLES["evaluation"].title)
    assert row == ["width 1", "0.400 s", "32.10 ms", "1.03 x", "-", "-", "-", "-"]
    assert len(head) == len(row)
    found = dict(zip(*cells(page, TABLES["memory"].title)[::2], strict=True))
    assert found["fast"] == "2.00 GB"
    assert found["predicted"] == "-"
    assert found["low / PyTorch"] == "0.25 x"


def test_page_says_where_a_run_never_got_there():
    head, _, row = cells(as_markdown(RECORD), TABLES["runs"].title)
    found = dict(zip(head, row, strict=True))
    assert found["ours"] == "30.0 s (1 of 2 never)"
    assert found["as many"] == "0.90 x"
    (entry,) = RECORD["tables"]["runs"]
    entry = {**entry, "rounds": entry["rounds"][1:]}
    assert TABLES["runs"].columns["ours"](entry) == "never"


def trace(*totals: float) -> list[dict[str, float]]:
    return [
        {"total": total, "seconds": 2.0 + i, "evaluations": i + 1.0}
        for i, total in enumerate(totals)
    ]


def test_the_loss_to_reach_is_the_lowest_of_the_other():
    records = [(10.0, 5.0), (11.0, 1.0), (12.0, 1.5)]
    found = compare(trace(5, 3, 1.2, 0.9), records, 8.0, 13.0)
    assert (found["torch_lowest"], found["torch_last"]) == (1.0, 1.5)
    # Not row 2, which is below the last loss only.
    assert (found["seconds"], found["evaluations"]) == (5.0, 4)
    assert found["over_torch"] == pytest.approx(5 / 12)
    assert found["loss_at_as_many"] == 1.2
    assert found["torch_solve_seconds_per_evaluation"] == 1.0


def test_a_loss_that_is_never_reached():
    found = compare(trace(5, 3), [(10.0, 1.0)], 8.0, 13.0)
    assert (found["seconds"], found["over_torch"]) == (None, None)
    assert found["lowest"] == 3


def test_without_pytorch_there_is_nothing_to_reach():
    assert "seconds" not in compare(trace(5, 3), None, 8.0, None)


def test_entries_of_a_case_are_replaced_or_added_to():
    record = {"tables": {}}
    for case, rounds in (("a", [1]), ("b", [2]), ("a", [3])):
        benchmark.put(record, "runs", {"case": case, "rounds": rounds})
    assert record["tables"]["runs"] == [
        {"case": "a", "rounds": [3]},
        {"case": "b", "rounds": [2]},
    ]
    benchmark.put(record, "runs", {"case": "a", "rounds": [4]}, add=True)
    assert record["tables"]["runs"][0]["rounds"] == [3, 4]


def test_records_of_one_day_and_device_are_one(tmp_path):
    stem = benchmark.stem_of(RECORD, tmp_path, quick=False)
    assert stem.name == "2026-01-01-cpu-2-cores"
    assert benchmark.earlier(stem) is None
    benchmark.write(RECORD, stem)
    assert benchmark.earlier(stem) == RECORD


def test_list_shows_the_cases_asked_for(capsys):
    benchmark.main(["--list", "--only", "memory,runs", "--case", "width 1"])
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert {line.split()[0] for line in lines} == {"memory", "runs"}
    assert all("width 1" in line for line in lines)


def test_unknown_part_is_refused(capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["--only", "speed"])
    assert "speed" in capsys.readouterr().err
