"""The folders that the benchmarks of HPS and GenEval read, and whose prompts they are."""

import json

import numpy as np
import pytest
from PIL import Image

from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.evaluate import layouts
from germline.evaluate.drawing import Task
from germline.evaluate.questions import questions


def painted(task):
    """Image k of prompt i is grey 10 i + k."""
    values = [10 * i + k for i in range(len(task.questions)) for k in range(task.images_a_prompt)]
    return Pool.of(np.array(values, np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8), task.prompts)


@pytest.fixture
def lists(tmp_path):
    folder = tmp_path / "lists"
    folder.mkdir()
    for style in layouts.STYLES:
        (folder / f"{style}.json").write_text(json.dumps([f"{style} {i}" for i in range(2)]))
    return folder


def test_hps_is_a_folder_a_style_with_one_picture_a_prompt(lists, tmp_path):
    task = Task(questions([lists]), 3)
    layouts.export("hps", task, painted(task), tmp_path / "out", [str(lists)], a_style=2)
    found = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*"))
    assert found == [f"{style}/{i:05d}.jpg" for style in layouts.STYLES for i in range(2)]
    for number, (style, i) in enumerate((style, i) for style in layouts.STYLES for i in range(2)):
        assert task.questions.prompts[number] == f"{style} {i}", "the picture's number is the prompt's place in its list"
        assert np.asarray(Image.open(tmp_path / "out" / style / f"{i:05d}.jpg")).mean() == pytest.approx(10 * number, abs=1)


def test_hps_refuses_what_its_script_would_score_wrongly(lists):
    whole = Task(questions([lists]), 1)
    with pytest.raises(BadInput, match="800 prompts of each of anime.*anime: 2; concept-art: 2"):
        layouts.check("hps", whole, [str(lists)])
    layouts.check("hps", whole, [str(lists)], 2)
    (lists / "drawbench.json").write_text(json.dumps(["one more"]))
    with pytest.raises(BadInput, match="here are drawbench: 1"):
        layouts.check("hps", Task(questions([lists]), 1), [str(lists)], 2)
    with pytest.raises(BadInput, match="here are concept-art: 1"):
        layouts.check("hps", Task(questions([lists / f"{s}.json" for s in layouts.STYLES]).spread(7), 1), [], 2)


LINES = [
    {"tag": "single_object", "include": [{"class": "bench", "count": 1}], "prompt": "a photo of a bench"},
    {"tag": "counting", "include": [{"class": "cup", "count": 3}], "exclude": [{"class": "cup", "count": 4}], "prompt": "three cups"},
]


def test_geneval_has_each_prompts_own_line_and_four_pictures(tmp_path):
    file = tmp_path / "evaluation_metadata.jsonl"
    file.write_text("\n".join(map(json.dumps, LINES)) + "\n")
    task = Task(questions([file]), 4)
    assert task.questions.categories == ("single_object", "counting")
    layouts.export("geneval", task, painted(task), tmp_path / "out", [str(file)])
    found = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*"))
    assert found == [name for i in range(2) for name in (f"{i:05d}/metadata.jsonl", *(f"{i:05d}/samples/{k:04d}.png" for k in range(4)))]
    for i, line in enumerate(LINES):
        assert json.loads((tmp_path / "out" / f"{i:05d}" / "metadata.jsonl").read_text()) == line, "lists too, which a table drops"
        for k in range(4):
            assert np.asarray(Image.open(tmp_path / "out" / f"{i:05d}" / "samples" / f"{k:04d}.png")).max() == 10 * i + k
    before = (tmp_path / "out" / "00000" / "samples" / "0000.png").stat().st_mtime_ns
    layouts.export("geneval", task, painted(task), tmp_path / "out", [str(file)])
    assert (tmp_path / "out" / "00000" / "samples" / "0000.png").stat().st_mtime_ns == before


def test_geneval_needs_its_own_file(tmp_path):
    with pytest.raises(BadInput, match="evaluation_metadata.jsonl"):
        layouts.check("geneval", Task(questions(["parti"]), 4), ["parti"])
    file = tmp_path / "other.jsonl"
    file.write_text('{"prompt": "a cat"}\n')
    with pytest.raises(BadInput, match="row 0: a line of GenEval has a tag"):
        layouts.check("geneval", Task(questions([file]), 4), [str(file)])


def test_categories_of_prompts(lists, tmp_path):
    parti = questions(["parti"])
    assert (len(parti), len(set(parti.categories))) == (1632, 12)
    assert "Linguistic Structures" in questions(["parti"], category="Challenge").categories
    assert questions([lists]).categories[:3] == ("anime", "anime", "concept-art")
    assert set(questions([lists / "anime.json"]).categories) == {""}
    some = parti.spread(24)
    assert len(some) == 24
    assert len(set(some.categories)) > 8
    assert some.prompts[0] == parti.prompts[0]
    assert some.prompts[-1] == parti.prompts[-1]
    with pytest.raises(BadInput, match="no column 'Kind'"):
        questions(["parti"], category="Kind")
    with pytest.raises(BadInput, match="at least 1"):
        parti.spread(0)
    (tmp_path / "some.txt").write_text("a cat\n")
    (tmp_path / "gap.csv").write_text("prompt\na cat\n  \n")
    assert questions([tmp_path / "some.txt"]).prompts == ("a cat",)
    with pytest.raises(BadInput, match="gap.csv, row 1: the prompt is empty"):
        questions([tmp_path / "gap.csv"])
