"""The exceptions of a library, found by looking, so that those of its next version are found too."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType


def exceptions_of(package: str, *, below: bool = True) -> list[type[Exception]]:
    """Give the exceptions that a package defines, warnings left out, by name.

    Args:
        package: Its name, or that of one of its modules.
        below: Whether to look into all modules below it; those whose own requirements are missing are left out.
    """
    root = importlib.import_module(package)
    found = {
        kind
        for module in (root, *(_modules_below(root) if below else ()))
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and not issubclass(kind, Warning)
    }
    library = package.partition(".")[0]
    return sorted((kind for kind in found if kind.__module__.partition(".")[0] == library), key=_name)


def _modules_below(root: ModuleType) -> list[ModuleType]:
    modules = []
    for found in pkgutil.walk_packages(root.__path__, f"{root.__name__}.", onerror=lambda _: None):
        try:
            modules.append(importlib.import_module(found.name))
        except ImportError:
            continue
    return modules


def _name(kind: type[Exception]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
