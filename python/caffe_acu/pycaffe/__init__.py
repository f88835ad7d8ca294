"""Modules of pycaffe without libcaffe, which its package loads when any of its modules is imported.

They are loaded from their files. If ``caffe`` is imported later, Python takes these modules for it and loads none of
them twice, so there is one class of each message, and they are attributes of their packages as always.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location, spec_from_loader
from pathlib import Path
from types import ModuleType


class _Loaded(MetaPathFinder, Loader):
    """What stands ready for ``import caffe``, by the name that it has there."""

    def __init__(self) -> None:
        self.modules: dict[str, ModuleType] = {}

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return spec_from_loader(name, self) if name in self.modules else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """It has been executed."""


_LOADED = _Loaded()
sys.meta_path.insert(0, _LOADED)


def load(name: str, find: Callable[[], Path]) -> ModuleType:
    """The module that pycaffe calls ``name``: if it is not imported yet, from the file that ``find`` returns.

    What the file imports from its own package it gets from this one.
    """
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(f"{__name__}.{name.rpartition('.')[2]}", find())
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    _LOADED.modules[name] = module
    return module
