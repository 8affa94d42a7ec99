"""Prompts by round: those of the file or of the real rows, each in one generation only, and told when they run out."""

import json
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from germline.cli import main
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.splits import Splits
from germline.prompts.rounds import rounds
from germline.samplers import Rounds

WORDS = np.array([f"cat number {i}" for i in range(12)])


@dataclass(frozen=True)
class Says:
    """Draws grey pictures of the real rows' prompts, as pipelines are asked for them."""

    n: int = 4
    images_a_prompt: int = 1

    def __call__(self, model, rows, ctx):
        prompts = ctx.data.real.condition[np.asarray(rows) // self.images_a_prompt % len(ctx.data.real)]
        return Pool.of(np.full((len(rows), *ctx.data.image_shape), 9, np.uint8), prompts, ctx.generation)


@pytest.fixture
def ctx():
    pool = Pool.of(np.zeros((len(WORDS), 4, 4, 3), np.uint8), WORDS)
    return Context(0, 0, Splits("words", (), pool, pool, pool, pool))


def drawn(part, ctx, generation, rows=range(4)):
    return part(None, np.array(rows), replace(ctx, generation=generation)).condition.tolist()


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_a_file_of_the_verb_gives_each_generation_its_own(suffix, ctx, tmp_path):
    table, file = rounds(pa.table({"prompt": WORDS.tolist()}), 3, 4).kept, tmp_path / f"rounds{suffix}"
    if suffix == ".parquet":
        pq.write_table(table, file)
    else:
        file.write_text("".join(f'{{"prompt": "{row["prompt"]}", "round": {row["round"]}}}\n' for row in table.to_pylist()))
    found = [drawn(Rounds(Says(), file), ctx, generation) for generation in range(3)]
    assert [*chain(*found)] == table["prompt"].to_pylist(), "round after round, all of them"
    assert sorted([*chain(*found)]) == sorted(WORDS)
    assert drawn(Rounds(Says(), file), ctx, 1, [2]) == [found[1][2]], "a row alone has the prompt that it has among others"
    with pytest.raises(BadInput, match=r"generation 3 draws 4 prompts, but .*have 0 left"):
        drawn(Rounds(Says(), file), ctx, 3)


def test_without_a_file_the_real_rows_are_the_rounds(ctx):
    assert [*chain(*(drawn(Rounds(Says()), ctx, generation) for generation in range(3)))] == WORDS.tolist()
    pairs = Rounds(Says(4, images_a_prompt=2), template="a photo of {noun}")
    assert drawn(pairs, ctx, 1) == [f"a photo of {WORDS[i]}" for i in (2, 2, 3, 3)]
    with pytest.raises(BadInput, match="real rows have 0 left"):
        drawn(Rounds(Says()), ctx, 3)


def test_bad_files_and_templates_are_told(ctx, tmp_path):
    file = tmp_path / "a.parquet"
    with pytest.raises(BadInput, match="there is no file"):
        Rounds(Says(), file)
    pq.write_table(pa.table({"prompt": ["a"]}), file)
    with pytest.raises(BadInput, match="no column round"):
        drawn(Rounds(Says(), file), ctx, 0)
    file.write_bytes(b"PAR1 broken")
    with pytest.raises(BadInput, match="cannot be read"):
        drawn(Rounds(Says(), file), ctx, 0)
    with pytest.raises(BadInput, match="has no {noun}"):
        Rounds(Says(), template="a photo")


def test_too_few_rounds_are_refused_before_anything_is_made(tmp_path, capsys):
    rounds = tmp_path / "rounds.jsonl"
    rounds.write_text("".join(json.dumps({"prompt": f"a cat {i}", "round": i % 2}) + "\n" for i in range(8)))
    asked = ["run", "rsidiff", "--n", "4", "--kept", "4", "--prompts", str(rounds), "--out", str(tmp_path / "run")]
    for more in (["--generations", "2"], ["--generations", "2", "--dry-run"]):
        assert main([*asked, *more]) == 1
        assert "generation 2 draws 4 prompts, but" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
