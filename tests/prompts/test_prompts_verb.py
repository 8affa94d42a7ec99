"""germline prompts as a user meets it: four stages in a row, a kill in the middle, what it says and writes."""

import json
import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
from misbehaving import GOOD, completion, serving

from germline.cli import main
from germline.core import sealed


@pytest.mark.parametrize("stage", ["clean", "judge", "diversify", "rounds"])
def test_every_stage_has_help_with_examples_first(stage, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["prompts", stage, "--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert text.index("Examples:") < text.index(f"germline prompts {stage} ", text.index("Examples:")) < text.index("--out PATH")
    assert "--dry-run" in text


def test_a_mistyped_stage_is_answered_with_what_was_meant(capsys):
    assert main(["prompts", "cleen"]) == 1
    assert "There is no stage of prompts 'cleen'. Did you mean clean?" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_from_parti_to_rounds(suffix, tmp_path, capsys):
    clean, judged, dealt = (tmp_path / f"{name}{suffix}" for name in ("clean", "judged", "dealt"))
    assert main(["prompts", "clean", "parti", "--out", str(clean), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["in"], said["kept"] + said["rejected"]) == (1632, 1632)
    assert main(["prompts", "judge", str(clean), "--by", "rules", "--out", str(judged)]) == 0
    assert "NOT the paper's method" in capsys.readouterr().out
    assert main(["prompts", "rounds", str(judged), "--rounds", "3", "--size", "100", "--out", str(dealt), "--json"]) == 0
    rows = pq.read_table(dealt).to_pylist() if suffix == ".parquet" else [json.loads(line) for line in dealt.read_text().splitlines()]
    assert [row["round"] for row in rows] == [0] * 100 + [1] * 100 + [2] * 100
    assert {"prompt", "original", "source", "row", "Category", "clarity", "specificity", "reply"} <= set(rows[0])
    assert all("NOT the paper's method" in row["judge"] for row in rows)
    report = sealed.read(tmp_path / "judged.report.json")
    assert report["in"] == said["kept"]
    assert "NOT the paper's method" in report["note"]
    rejected = pq.read_table(tmp_path / "clean.rejected.parquet") if suffix == ".parquet" else None
    assert rejected is None or set(rejected["reason"].to_pylist()) <= {"short", "long", "duplicate", "empty", "markup"}


def test_dry_runs_count_calls_and_tokens_and_write_nothing(tmp_path, capsys):
    source = tmp_path / "a.txt"
    source.write_text("a red fox\na blue fox\na red fox\n")
    out = str(tmp_path / "out.jsonl")
    for stage, more, expected in (
        ("clean", ["--near", "0.9"], {"prompts": 3, "calls": 0, "embeddings": 3}),
        ("judge", ["--by", "http://127.0.0.1:9/v1", "--model", "m"], {"prompts": 3, "to_ask": 2, "calls": 2, "tokens_out": 30}),
        ("diversify", ["--k", "2"], {"calls": 0, "method": "lloyd"}),
        ("rounds", ["--rounds", "1", "--size", "1"], None),
    ):
        code = main(["prompts", stage, str(source), *more, "--out", out, "--dry-run", "--json"])
        if expected is None:
            assert code == 1  # the repeated prompt
            continue
        assert code == 0
        said = json.loads(capsys.readouterr().out)
        assert expected.items() <= said.items()
        if stage != "clean":
            assert said.get("tokens_in", 1) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_dry_run_of_diversity_is_read_by_people_and_refuses_what_the_run_would(tmp_path, capsys):
    flags = ["prompts", "diversify", "parti", "--out", str(tmp_path / "x.jsonl"), "--dry-run", "--method", "mini-batch"]
    assert main([*flags, "--k", "100"]) == 0
    said = capsys.readouterr().out
    assert "multiply adds: 3.8e+08" in said
    assert "bytes: 0.0059 GB" in said
    assert main([*flags, "--k", "2000"]) == 1
    assert "Asked for 2000 of 1632 distinct prompts" in capsys.readouterr().err


def test_another_format_is_refused_before_the_work(tmp_path, capsys):
    assert main(["prompts", "clean", "parti", "--out", str(tmp_path / "x.csv")]) == 1
    assert "--out must end in .parquet or .jsonl" in capsys.readouterr().err


def test_a_judge_of_no_known_kind_is_answered_with_those_there_are(tmp_path, capsys):
    assert main(["prompts", "judge", "parti", "--by", "rulez", "--out", str(tmp_path / "x.jsonl")]) == 1
    assert "chat model, rules or smollm2; 'rulez' is none of these" in capsys.readouterr().err


def test_a_killed_judge_goes_on_without_asking_twice(tmp_path):
    """Killed without warning at a third of the way, run again: every prompt is answered, and at most those under way twice."""
    source, out = tmp_path / "a.txt", tmp_path / "out.jsonl"
    source.write_text("".join(f"a red fox number {i}\n" for i in range(60)))

    def act(prompt, times):
        time.sleep(0.02)
        return 200, completion(GOOD)

    with serving(act) as (url, server):
        flags = ["prompts", "judge", str(source), "--by", url, "--model", "tiny", "--concurrency", "2", "--out", str(out), "--json"]
        code = "import sys; from germline.cli import main; sys.exit(main(sys.argv[1:]))"
        first = subprocess.Popen([sys.executable, "-c", code, *flags], env={**os.environ, "OMP_NUM_THREADS": "1"})
        while len(server.asked) < 20 and first.poll() is None:
            time.sleep(0.01)
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert not out.exists()
        assert 20 <= len(server.asked) < 60
        assert main(flags) == 0
        assert sorted(server.asked) == sorted(source.read_text().splitlines())
        twice = [prompt for prompt, times in server.asked.items() if times > 1]
        assert len(twice) <= 2, "only what was under way when it was killed"
        assert main(flags) == 0
        assert sum(server.asked.values()) == 60 + len(twice)
        unkilled = tmp_path / "unkilled" / out.name
        assert main([str(unkilled) if flag == str(out) else flag for flag in flags]) == 0
        assert sum(server.asked.values()) == 120 + len(twice), "that run has a cache of its own"
    assert out.read_bytes() == unkilled.read_bytes()
    assert len(out.read_text().splitlines()) == 60


def test_out_is_never_a_source_and_is_not_read_with_its_folder(tmp_path, capsys):
    crawl = tmp_path / "crawl.jsonl"
    crawl.write_text('{"prompt": "a red fox asleep"}\n')
    assert main(["prompts", "clean", str(crawl), "--out", str(crawl)]) == 1
    assert "is a file that is read, and would be overwritten" in capsys.readouterr().err
    assert crawl.read_text() == '{"prompt": "a red fox asleep"}\n'
    for _ in range(2):
        assert main(["prompts", "clean", str(tmp_path), "--out", str(tmp_path / "clean.jsonl"), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["in"] == 1
