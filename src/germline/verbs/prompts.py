"""Prompts for text-to-image models: from a crawled file to the rounds of the loop."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import tyro

from germline.core.cache import Cache
from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.core.progress import bars
from germline.prompts import clean as clean_table
from germline.prompts import diversify as diversify_table
from germline.prompts import encoders
from germline.prompts import judge as judge_table
from germline.prompts import rounds as rounds_of_table
from germline.prompts.clean import Cleaning, evaluation_prompts
from germline.prompts.diversify import cost_of, enough
from germline.prompts.endpoint import Endpoint
from germline.prompts.judge import Judge, unasked
from germline.prompts.log_odds import LogOdds
from germline.prompts.perplexity import Perplexity
from germline.prompts.read import read_prompts
from germline.prompts.rules import Rules
from germline.prompts.write import Outcome, beside, check_out, write
from germline.verbs.arguments import print_json
from germline.verbs.stages import act, usage_of

Sources = tyro.conf.Positional[tuple[str, ...]]
OWN: dict[str, Callable[[], Judge]] = {"rules": Rules, "smollm2": Perplexity}
EXAMPLES = (
    "germline prompts clean crawl.jsonl --near 0.95 --against parti --out clean.parquet",
    "germline prompts judge clean.parquet --by http://127.0.0.1:8000/v1 --model llama-3-8b-instruct --out judged.parquet",
    "germline prompts diversify judged.parquet --k 45000 --out diverse.parquet",
    "germline prompts rounds diverse.parquet --rounds 9 --size 5000 --out rounds.parquet",
)


ABOUT = (
    "Each reads Parquet, JSON lines, JSON, CSV, TSV, text or a folder of these. It writes what is kept to --out (.parquet or .jsonl),"
    "\nwhat is not to NAME.rejected with a reason each, and counts to NAME.report.json. A stopped stage goes on when it is run again."
)


def prompts(arguments: Sequence[str]) -> None:
    """Clean, judge, diversify prompts and deal them out to rounds."""
    act("prompts", STAGES, arguments, usage_of("prompts", STAGES, EXAMPLES, ABOUT))


def clean(
    sources: Sources,
    out: Path,
    column: str | None = None,
    markup: Literal["remove", "reject", "keep"] = "remove",
    tokenizer: Path | None = None,
    max_tokens: int | None = 75,
    min_words: int = 3,
    near: float | None = None,
    against: tuple[str, ...] = (),
    leak: float = 0.9,
    embedding: str = "minilm",
    device: str = "cpu",
    cache: Path | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Clean prompts: unicode, HTML, interface syntax, length, duplicates, and what is in an evaluation set.

    Examples:
      germline prompts clean crawl.jsonl --out clean.parquet
      germline prompts clean metadata.parquet --near 0.95 --against parti drawbench.csv --out clean.parquet

    Args:
        sources: files or folders of prompts (Lexica, DiffusionDB, Pick-a-Pic, HPS, DrawBench, GenEval as they come), or parti.
        out: what is kept, .parquet or .jsonl.
        column: the column of prompts, where it has a name of its own.
        markup: what to do with (word:1.2), <lora:name:1>, --ar 3:2 and the like.
        tokenizer: folder of the model's tokenizer, to count tokens exactly; estimated when not given.
        max_tokens: longest prompt; 75 is what CLIP reads. None: any.
        min_words: fewest words; without blanks between them (Chinese, Japanese) many count as one.
        near: cosine of an embedding from which a prompt repeats an earlier one; exact repeats only when not given.
        against: evaluation files, or parti, whose prompts are kept out, near ones too.
        leak: cosine from which a prompt counts as an evaluation prompt.
        embedding: minilm, or a folder of a CLIP or of a diffusers pipeline.
        device: where the embedding is computed: cpu, cuda.
        cache: folder of embeddings; .cache beside --out when not given.
        dry_run: print what it would take, and stop.
        json: print JSON.
    """
    check_out(out, sources)
    how = Cleaning(markup, tokenizer, max_tokens, min_words, near, leak)
    table = read_prompts(sources, column, broken="mark", but=out)
    evaluation = evaluation_prompts(read_prompts(against)) if against else []
    if dry_run:
        embedded = len(table) + len(evaluation) if near is not None or against else 0
        return say(
            json, {"prompts": len(table), "calls": 0, "embeddings": embedded, "tokens_in": characters(table) // 4 if embedded else 0}
        )
    encoder = encoder_of(embedding, device) if near is not None or against else None
    finish(clean_table(table, how, evaluation, encoder, Cache(cache_of(cache, out)), bars), out, json)


def judge(
    sources: Sources,
    out: Path,
    by: str,
    model: str = "",
    clarity: float | None = None,
    specificity: float | None = None,
    concurrency: int = 8,
    timeout: float = 60.0,
    tries: int = 4,
    schema: bool = True,
    key_variable: str = "GERMLINE_API_KEY",
    device: str = "cpu",
    dtype: str = "float32",
    batch: int = 8,
    column: str | None = None,
    cache: Path | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Judge how clear and how specific prompts are, and keep those that are both. What cannot be decided is kept, and marked.

    Raw replies are kept: other thresholds, or the same command after a stop, ask nothing again.

    Examples:
      germline prompts judge clean.parquet --by http://127.0.0.1:8000/v1 --model llama-3-8b-instruct --out judged.parquet
      germline prompts judge clean.parquet --by models/Llama-3-8B-Instruct --device cuda --dtype bfloat16 --out judged.parquet
      germline prompts judge clean.parquet --by rules --dry-run --out judged.parquet

    Args:
        sources: files of prompts.
        out: what is kept, .parquet or .jsonl.
        by: an OpenAI-compatible address; a chat model for transformers, a folder or a .gguf file; smollm2 (a perplexity filter); or rules.
            The last two are not the paper's method, and every output says so.
        model: the model's name at the address.
        clarity: least clarity; the judge's own when not given. An address counts 1 to 5, a folder or file log-odds, smollm2 nats a token.
        specificity: least specificity; smollm2 counts words.
        concurrency: requests under way at once.
        timeout: seconds until a whole reply must be there.
        tries: tries for a server's failure, and for an answer that is none.
        schema: send the JSON schema of the answer; it is checked here in any case.
        key_variable: the environment variable that holds the key of the address, if there is one.
        device: of a folder's or file's model.
        dtype: of a folder's or file's model: float32, bfloat16.
        batch: prompts at once, of a folder's or file's model.
        column: the column of prompts, where it has a name of its own.
        cache: folder of the raw replies; .cache beside --out when not given.
        dry_run: print calls and tokens, and stop.
        json: print JSON.
    """
    check_out(out, sources)
    judging: Judge
    if by.startswith(("http://", "https://")):
        judging = Endpoint(by, model, concurrency, timeout, tries, schema=schema, key_variable=key_variable)
    elif by in OWN:
        judging = OWN[by]()
    elif Path(by).exists():
        judging = LogOdds(Path(by), device, dtype, batch)
    else:
        raise BadInput(f"--by is http://ADDRESS/v1, a folder or .gguf file of a chat model, {' or '.join(OWN)}; {by!r} is none of these.")
    table, folder = read_prompts(sources, column, but=out), cache_of(cache, out)
    if dry_run:
        missing = unasked(table["prompt"].to_pylist(), judging, folder)
        cost = judging.cost(missing)
        return say(json, {"judge": judging.name, "note": judging.note, "prompts": len(table), "to_ask": len(missing), **vars(cost)})
    finish(judge_table(table, judging, folder, clarity, specificity, bars), out, json)


def diversify(
    sources: Sources,
    out: Path,
    k: int,
    seed: int = 0,
    embedding: str = "minilm",
    method: Literal["auto", "lloyd", "mini-batch"] = "auto",
    device: str = "cpu",
    column: str | None = None,
    cache: Path | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Choose k prompts that differ: k-means on their embeddings, and the prompt closest to each centre.

    Examples:
      germline prompts diversify judged.parquet --k 45000 --out diverse.parquet
      germline prompts diversify judged.parquet --k 500 --embedding models/stable-diffusion-v1-4 --out diverse.jsonl

    Args:
        sources: files of prompts.
        out: what is kept, .parquet or .jsonl.
        k: how many.
        seed: of the clusters' start.
        embedding: minilm, or a folder of a CLIP or of a diffusers pipeline.
        method: full k-means (lloyd) or mini-batches; by cost when not given.
        device: where the embedding is computed: cpu, cuda.
        column: the column of prompts, where it has a name of its own.
        cache: folder of embeddings; .cache beside --out when not given.
        dry_run: print what it would take, and stop.
        json: print JSON.
    """
    check_out(out, sources)
    table = read_prompts(sources, column, but=out)
    if dry_run:
        enough(table["prompt"].to_pylist(), k)
        return say(json, {"prompts": len(table), "calls": 0, "tokens_in": characters(table) // 4, **cost_of(len(table), k, method)})
    encoder = encoder_of(embedding, device)
    finish(diversify_table(table, k, encoder, seed, method, Cache(cache_of(cache, out)), bars), out, json)


def rounds(
    sources: Sources,
    out: Path,
    rounds: int = 9,
    size: int | None = None,
    seed: int = 0,
    column: str | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Deal prompts out to rounds: disjoint slices, drawn once by seed, in a column of their own.

    Examples:
      germline prompts rounds diverse.parquet --rounds 9 --size 5000 --out rounds.parquet

    Args:
        sources: files of prompts.
        out: the prompts with their round, .parquet or .jsonl.
        rounds: how many rounds: one more than the generations that are trained, for generation 0.
        size: prompts a round; as many as there are when not given.
        seed: of the draw.
        column: the column of prompts, where it has a name of its own.
        dry_run: print the rounds, and write nothing.
        json: print JSON.
    """
    check_out(out, sources)
    found = rounds_of_table(read_prompts(sources, column, but=out), rounds, size, seed)
    say(json, found.report()) if dry_run else finish(found, out, json)


STAGES: dict[str, Callable[..., None]] = {"clean": clean, "judge": judge, "diversify": diversify, "rounds": rounds}


def encoder_of(name: str, device: str) -> encoders.TextEncoder:
    """Return the text encoder of a name: minilm, or a folder."""
    if name == "minilm":
        return encoders.MiniLM(device=device)
    if not Path(name).is_dir():
        raise BadInput(f"--embedding is minilm, or a folder of a CLIP or of a diffusers pipeline, but is {name!r}.")
    return encoders.ClipText(Path(name), device)


def cache_of(given: Path | None, out: Path) -> Path:
    """Return where replies and embeddings are kept."""
    return given or out.parent / ".cache"


def characters(table: pa.Table) -> int:
    """Return the number of characters of all prompts."""
    return sum(len(text) for text in table["prompt"].to_pylist())


def finish(outcome: Outcome, out: Path, json: bool) -> None:
    """Write an outcome and say what it came to."""
    write(outcome, out)
    rejected, report = beside(out)
    say(json, {"out": str(out), "rejected_in": str(rejected), "report": str(report), **outcome.report()})


def say(json: bool, facts: dict[str, Json]) -> None:
    """Print facts as JSON, or one a line."""
    if json:
        return print_json(facts)
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):>22}: {shown(name, value)}")


def shown(name: str, value: Json) -> str:
    """Return a fact as people read it."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {count:,}" for key, count in value.items()) or "none"
    if name == "bytes" and isinstance(value, int):
        return f"{value / 1e9:.2g} GB"
    if name == "multiply_adds" and isinstance(value, int):
        return f"{value:.2g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
