"""Imports point one way, and what must be light is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import germline

ROOT = Path(germline.__file__).parent
PARTS = ("data", "mixers", "features", "scorers", "weighters", "selectors", "trainers", "samplers", "metrics", "prompts", "theory")
LAYERS = [
    ("core", "diffusion"),
    ("pipelines",),
    PARTS,
    ("chain",),
    ("loop", "measure", "readings", "verdict", "cluster", "adopt"),
    ("recipes", "studies", "report", "studio"),
]
LAYERS += [
    ("judge", "hacking", "guidance", "captioned", "standard", "estimate", "doctor", "evaluate", "pools", "audit", "study", "plan"),
    ("plugins",),
    ("registry", "flags", "sweep"),
    ("verbs",),
    ("cli",),
    ("__main__",),
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
FILES = sorted(ROOT.rglob("*.py"))
FOREIGN = ROOT / "core" / "foreign.py"  # the one file that may open a pickle, with an allow-list; see tests/core/test_foreign.py


def top(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Top-level germline names that a file imports, wherever in the file the import stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module] if node.module != "germline" else [f"germline.{alias.name}" for alias in node.names]
        names |= {module.split(".")[1] for module in modules if module.startswith("germline.")}
    return names


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name != "__init__.py" or path.parent != ROOT], ids=lambda p: str(p.relative_to(ROOT))
)
def test_imports_point_one_way(path):
    here = top(path)
    assert here in RANK, f"{here} has no place in the layers; give it one in DESIGN.md and here"
    for name in imported(path):
        assert RANK[name] <= RANK[here], f"{path.relative_to(ROOT)} imports germline.{name}, which is above it"
        if here in PARTS and name in PARTS:
            assert name == here, f"{path.relative_to(ROOT)} imports germline.{name}: parts in one folder do not import parts in another"


def test_the_diffusion_core_knows_nothing_of_loops():
    for path in (ROOT / "diffusion").glob("*.py"):
        assert imported(path) <= {"diffusion"}, path.name


def test_the_core_knows_no_part():
    for path in (ROOT / "core").glob("*.py"):
        assert imported(path) <= {"core"}, path.name


@pytest.mark.parametrize("module", ["core", "chain", "verdict", "report"])
def test_imports_without_torch(module):
    files = FILES if module in ("chain", "verdict") else sorted((ROOT / module).glob("*.py"))
    names = (
        [f"germline.{module}"]
        if module in ("chain", "verdict")
        else [f"germline.{module}.{file.stem}" for file in files if file.stem != "__init__"]
    )
    code = f"import sys; sys.modules['torch'] = None; import importlib; [importlib.import_module(n) for n in {names!r}]"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_can_be_held_in_the_head(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_swallowed_arguments_and_no_unpickling(path):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert node.args.kwarg is None, f"{path.name}: {node.name} takes **kwargs"
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            unpicklers = {"pickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"} & set(modules)
            assert unpicklers <= ({"pickle"} if path == FOREIGN else set()), f"{path.name} imports an unpickler"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            call = f"{node.value.id}.{node.attr}"
            assert call not in ("pickle.load", "pickle.loads"), f"{path.name} unpickles without an allow-list"
            assert call != "torch.load" or path == FOREIGN, f"{path.name} opens a checkpoint; core/foreign.py does that"
        if isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "weights_only"):
            safe = node.arg == "weights_only"
            assert isinstance(node.value, ast.Constant), path.name
            assert node.value.value is safe, f"{path.name}: {node.arg}={node.value.value}"
