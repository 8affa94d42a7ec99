"""What lies in a package's files, told by name without importing them: a help text must not wait for libraries that it does not use."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from typing import TypeVar

T = TypeVar("T")


class Shelf(Mapping[str, T]):
    """The functions of a package, one a file and of its name, with dashes where that has underscores; a file is imported when asked for.

    Args:
        package: its name.
        names: of the functions, as the command line has them, in the order in which they are listed.
    """

    def __init__(self, package: str, names: Sequence[str]) -> None:
        self.package, self.names = package, tuple(names)

    def __getitem__(self, name: str) -> T:
        if name not in self:
            raise KeyError(name)
        module, function = self._place(name)
        found: T = getattr(import_module(module), function)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def summary(self, name: str) -> str:
        """Return the first line of a function's docstring; its file is not imported."""
        return summary(*self._place(name))

    def _place(self, name: str) -> tuple[str, str]:
        function = name.replace("-", "_")
        return f"{self.package}.{function}", function


def summary(module: str, name: str) -> str:
    """Return the first line of the docstring of a function or class that a module defines; the module is not imported.

    Raises:
        LookupError: the module defines none of this name.
    """
    for node in _source(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return (ast.get_docstring(node) or "").split("\n", 1)[0]
    raise LookupError(f"{module} defines no {name}.")


def offered(package: str) -> dict[str, str]:
    """Return {name: module} of what a package's ``__init__`` takes from its modules, which are not imported; nor is the package."""
    taken = [node for node in _source(package).body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module for node in taken if node.module for alias in node.names}


@cache
def _source(module: str) -> ast.Module:
    loader = _spec(module).loader
    assert isinstance(loader, InspectLoader)
    source = loader.get_source(module)
    assert source is not None
    return ast.parse(source)


@cache
def _spec(module: str) -> ModuleSpec:
    """Return where a module lies; ``find_spec`` alone would import the packages around it."""
    package = module.rpartition(".")[0]
    found = PathFinder.find_spec(module, _spec(package).submodule_search_locations) if package else find_spec(module)
    assert found is not None
    return found
