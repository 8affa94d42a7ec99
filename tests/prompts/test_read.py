"""Files of prompts in the layouts that their makers publish, written here at a small size."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from germline.core.errors import BadInput
from germline.prompts.clean import Cleaning, clean
from germline.prompts.read import PARTI, read_prompts
from germline.prompts.write import write_table

TWO = ["a red fox in the snow", 'a sign that says "HELLO"']


def lexica(path):
    images = [{"id": str(i), "prompt": text, "width": 512, "promptid": "p", "nsfw": False} for i, text in enumerate(TWO)]
    (path / "lexica.json").write_text(json.dumps({"images": images}))


def lexica_parquet(path):
    pq.write_table(pa.table({"Prompt": TWO}), path / "train.parquet")


def diffusiondb(path):
    when = pa.array([datetime(2022, 8, 7, 22, 57, tzinfo=UTC)] * 2, pa.timestamp("ns", tz="UTC"))
    columns = {
        "image_name": ["a.png", "b.png"],
        "prompt": TWO,
        "part_id": pa.array([1, 1], pa.uint16()),
        "cfg": [7.0, 7.0],
        "timestamp": when,
    }
    pq.write_table(pa.table(columns), path / "metadata.parquet")


def diffusiondb_parts(path):
    rows = {f"{i}.png": {"p": text, "se": 1, "c": 7.0, "st": 50, "sa": "k_lms"} for i, text in enumerate(TWO)}
    (path / "part-000001").mkdir()
    (path / "part-000001" / "part-000001.json").write_text(json.dumps(rows))


def pick_a_pic(path):
    images = pa.array([b"jpeg", b"jpeg"])
    pq.write_table(pa.table({"are_different": [True, True], "jpg_0": images, "caption": TWO, "label_0": [1.0, 0.5]}), path / "pick.parquet")


def hps(path):
    (path / "anime.json").write_text(json.dumps(TWO))


def hpdv2(path):
    rows = [{"human_preference": [1, 0], "prompt": text, "file_path": ["a.jpg", "b.jpg"]} for text in TWO]
    (path / "train.json").write_text(json.dumps(rows))


def drawbench(path):
    (path / "drawbench.csv").write_text('Prompts,Category\na red fox in the snow,Colors\n"a sign that says ""HELLO""",Text\n')


def geneval(path):
    rows = [{"tag": "single_object", "include": [{"class": "fox", "count": 1}], "prompt": text} for text in TWO]
    (path / "evaluation_metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def geneval_text(path):
    (path / "generation_prompts.txt").write_text("".join(text + "\n" for text in TWO))


def parti_like(path):
    (path / "parti.tsv").write_text("Prompt\tCategory\n" + "".join(f"{text}\tAnimals\n" for text in TWO))


LAYOUTS = [
    lexica,
    lexica_parquet,
    diffusiondb,
    diffusiondb_parts,
    pick_a_pic,
    hps,
    hpdv2,
    drawbench,
    geneval,
    geneval_text,
    parti_like,
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
def test_prompts_of_known_layouts_are_found(layout, tmp_path):
    layout(tmp_path)
    table = read_prompts([tmp_path])
    assert table["prompt"].to_pylist() == TWO
    assert table["row"].to_pylist() == [0, 1]
    assert len(set(table["source"].to_pylist())) == 1


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
def test_what_was_read_can_be_written_and_read_again(layout, suffix, tmp_path):
    """DiffusionDB's metadata holds times, which JSON does not know."""
    layout(tmp_path)
    table = read_prompts([tmp_path])
    write_table(table, tmp_path / f"again{suffix}")
    again = read_prompts([tmp_path / f"again{suffix}"])
    assert again.select(["prompt", "source", "row"]).equals(table.select(["prompt", "source", "row"]))
    assert set(again.column_names) == set(table.column_names)


def test_images_in_a_preference_file_are_not_read(tmp_path):
    pick_a_pic(tmp_path)
    assert read_prompts([tmp_path]).column_names == ["prompt", "are_different", "label_0", "source", "row"]


def test_parti_prompts_come_with_germline_whole_and_unquoted():
    """The public file has 1,632 prompts; 22 hold straight quotes and one begins with one, which default CSV readers strip."""
    table = read_prompts(["parti"])
    texts = table["prompt"].to_pylist()
    assert len(texts) == 1632
    assert sum('"' in text for text in texts) == 22
    assert sum(text.startswith('"') for text in texts) == 1
    assert len(set(table["Category"].to_pylist())) == 12
    assert PARTI.with_name("LICENSE-PartiPrompts.txt").read_text().lstrip().startswith("Apache License")


def test_files_of_several_kinds_become_one_table(tmp_path):
    drawbench(tmp_path)
    hps(tmp_path)
    table = read_prompts([tmp_path / "anime.json", tmp_path / "drawbench.csv"])
    assert table["prompt"].to_pylist() == TWO + TWO
    assert table["Category"].to_pylist() == [None, None, "Colors", "Text"]
    assert table["source"].to_pylist() == ["anime.json"] * 2 + ["drawbench.csv"] * 2


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (
            "a.jsonl",
            '{"prompt": "x"}\n{"prompt": \n[7]',
            "a.jsonl, line 2: no JSON .*, and 1 more. Mend the file, or run germline prompts clean",
        ),
        ("a.jsonl", '{"prompt": 7}\n', "row 0: a prompt must be text, but is 7"),
        ("a.jsonl", '{"words": "x"}\n', r"no column of prompts .* but words; name it with --column"),
        ("a.json", '{"a": 1}', "neither a list of prompts, nor a Lexica reply"),
        ("a.json", '{"prompt": "x"}\n{"prompt": "y"}\n', "a.json is no JSON .*; if it holds one object a line, name it .jsonl"),
        ("a.jsonl", "a red fox\na blue fox\n", "no row that can be read, starting with line 1: no JSON .* Is its ending the right one"),
        ("a.jsonl", "{}\n", "has no column of prompts"),
        ("a.csv", "prompt,style\na red fox, asleep,oil\na cat,oil\n", "row 0: 1 more fields than the header has; put quotes around"),
        ("a.csv", b"prompt\n\xff\xfe\n", "is not UTF-8 text"),
        ("a.parquet", b"PAR1 no", "no readable Parquet"),
        ("a.docx", "x", "of no known kind"),
        ("a.txt", "\n\n", "holds no prompts"),
        ("a.csv", 'prompt\na dog\n"A cat, red\na hen\na bird\n', "the quote in '\"A cat, red' is never closed, so all after it is one row"),
    ],
)
def test_what_cannot_be_read_is_named(name, content, says, tmp_path):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadInput, match=says):
        read_prompts([path])


def test_broken_rows_are_set_aside_by_cleaning_with_what_is_wrong(tmp_path):
    """One cut line of a crawl must not stop the rest of it."""
    (tmp_path / "a.jsonl").write_text(
        '{"prompt": "a red fox asleep"}\n{"prompt": "cut\n{"prompt": 7, "style": "oil"}\n[1]\n{"prompt": null}\n'
    )
    (tmp_path / "b.csv").write_text("prompt,style\na blue fox asleep,oil\na green fox, asleep,oil\n")
    found = clean(read_prompts([tmp_path / "a.jsonl", tmp_path / "b.csv"], broken="mark"), Cleaning())
    assert found.kept["prompt"].to_pylist() == ["a red fox asleep", "a blue fox asleep"]
    assert found.report()["reasons"] == {"unreadable": 4, "empty": 1}
    said = [(row["source"], row["row"], row["detail"].split(":")[0]) for row in found.rejected.to_pylist() if row["reason"] == "unreadable"]
    assert said == [("a.jsonl", 1, "line 2"), ("a.jsonl", 2, "row 2"), ("a.jsonl", 3, "row 3"), ("b.csv", 1, "row 1")]
    assert not any(name.startswith("_") for name in found.kept.column_names + found.rejected.column_names)


def test_a_broken_row_keeps_its_text(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt": "a red fox asleep"}\n{"prompt": "cut\n{"prompt": 7}\n')
    (tmp_path / "b.csv").write_text("prompt,style\na blue fox asleep,oil\na green fox, asleep,oil\n")
    found = clean(read_prompts([tmp_path / "a.jsonl", tmp_path / "b.csv"], broken="mark"), Cleaning())
    assert found.rejected["original"].to_pylist() == ['{"prompt": "cut', "7", "a green fox, asleep,oil"]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_the_column_that_is_named_counts_and_not_one_called_prompt(suffix, tmp_path):
    pq.write_table(pa.table({"id": [1], "caption": ["a red fox"], "prompt": ["a blue car"]}), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text('{"id": 1, "caption": "a red fox", "prompt": "a blue car"}\n')
    (tmp_path / "a.csv").write_text("id,caption,prompt\n1,a red fox,a blue car\n")
    table = read_prompts([tmp_path / f"a{suffix}"], column="caption")
    assert table["prompt"].to_pylist() == ["a red fox"]
    assert table["given_prompt"].to_pylist() == ["a blue car"]


def test_columns_of_two_types_and_a_source_of_the_users_own(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt": "x", "id": 7, "source": "web", "row": "first"}\n')
    (tmp_path / "b.csv").write_text("prompt,id,source\ny,eight,book\n")
    table = read_prompts([tmp_path])
    assert table["id"].to_pylist() == ["7", "eight"]
    assert table["source"].to_pylist() == ["a.jsonl", "b.csv"]
    assert table["given_source"].to_pylist() == ["web", "book"]
    assert table["given_row"].to_pylist() == ["first", None]


def test_an_empty_parquet_file_holds_no_prompts(tmp_path):
    pq.write_table(pa.table({"prompt": pa.array([], pa.string())}), tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="a.parquet holds no prompts"):
        read_prompts([tmp_path / "a.parquet"])


def test_a_column_of_another_name_is_named_by_the_user(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"words": "a red fox"}\n')
    assert read_prompts([tmp_path / "a.jsonl"], column="words")["prompt"].to_pylist() == ["a red fox"]
    with pytest.raises(BadInput, match="no column 'wrds'; it has words"):
        read_prompts([tmp_path / "a.jsonl"], column="wrds")


def test_a_missing_file_and_nothing_at_all(tmp_path):
    with pytest.raises(BadInput, match="does not exist; name a file of prompts, a folder of them, or one of parti"):
        read_prompts([tmp_path / "no.jsonl"])
    with pytest.raises(BadInput, match="holds no file of prompts"):
        read_prompts([tmp_path])
    with pytest.raises(BadInput, match="Name a file of prompts"):
        read_prompts([])


def test_half_a_surrogate_pair_is_replaced_and_a_whole_one_kept(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt": "a \\ud83d\\ude00 b \\ud800 c"}\n')
    assert read_prompts([tmp_path])["prompt"].to_pylist() == ["a \U0001f600 b \ufffd c"]


def test_rows_with_other_keys_and_our_own_side_files(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt": "x"}\n{"prompt": null, "style": "oil", "tags": ["a"]}\n{"style": 7}\n')
    for name in ("a.rejected.jsonl", "a.report.json", ".cache/judged-0.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('{"prompt": "not a prompt"}\n')
    table = read_prompts([tmp_path])
    assert table["prompt"].to_pylist() == ["x", "", ""]
    assert table["style"].to_pylist() == [None, "oil", "7"]
    assert "tags" not in table.column_names
