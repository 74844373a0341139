"""What of the package a function reaches: its definition, the definitions that those name, and so on.

The closure is static: it follows names, attributes of modules and imports (also those inside functions)
through the source, definition by definition. A class counts whole. Of every module that is reached, the
statements that act without binding a name, and definitions that a decorator enters into a table, count too.
A text such as "medtl_core.data.splits:split" counts as the name of what it names.
"""

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from medtl_core.errors import MedtlError
from medtl_core.source_hash import PACKAGE, without_docstrings

EVERYTHING = "*"
ACTIONS = "<actions>"
Place = tuple[str, str]  # module, name of a definition in it
_DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_COMPOUND = (ast.For, ast.While, ast.With, ast.Try)
_HARMLESS = (
    "cache",
    "cached_property",
    "contextmanager",
    "dataclass",
    "functools",
    "lru_cache",
    "runtime_checkable",
)


@dataclass(frozen=True)
class Closure:
    """What was reached: the normalised source of each definition, and the libraries that they use."""

    sources: dict[Place, str]
    libraries: frozenset[str]

    @property
    def modules(self) -> list[str]:
        """Modules of the package that were reached, sorted."""
        return sorted({module for module, _ in self.sources})

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of all sources."""
        digest = hashlib.sha256()
        for (module, name), source in sorted(self.sources.items()):
            for text in (module, name, source):
                encoded = text.encode()
                digest.update(f"{len(encoded)}:".encode() + encoded)
        return digest.hexdigest()


class SourceTree:
    """The source of a package, read once: what runs is what was read, even if files change later."""

    def __init__(self, root: Path = PACKAGE) -> None:
        self.package = root.name
        self._files = {_module_name(root, path): path for path in sorted(root.rglob("*.py"))}
        self._texts = {name: path.read_text("utf-8") for name, path in self._files.items()}
        self._modules: dict[str, _Module] = {}
        self._contents: dict[Place, _Content] = {}
        self._closures: dict[frozenset[Place], Closure] = {}

    def closure(self, roots: Iterable[Place]) -> Closure:
        """All that `roots` reach. A root is a module and a name in it, or EVERYTHING that it defines.

        The source does not change, so each set of roots is followed once.
        """
        wanted = frozenset(roots)
        if wanted not in self._closures:
            self._closures[wanted] = _Walk(self).run(wanted)
        return self._closures[wanted]

    def digest(self, module: str) -> str:
        """SHA-256 (hex) of a module's text as it was read."""
        return hashlib.sha256(self._texts[module].encode()).hexdigest()

    def require_unchanged_if_not_loaded(self, modules: Iterable[str]) -> None:
        """MedtlError if a module that is yet to be imported changed on disk since it was read."""
        for module in modules:
            path = self._files[module]
            if module not in sys.modules and path.read_text("utf-8") != self._texts[module]:
                raise MedtlError(
                    f"{path.name}: found other source than when this process started, expected the code that "
                    "the trial's key stands for; restart the kernel, or run again"
                )

    def require(self, digests: Mapping[str, str]) -> None:
        """MedtlError unless this process reads the modules as another did, which gives their `digest`s."""
        for module, digest in digests.items():
            if module not in self._texts or self.digest(module) != digest:
                raise MedtlError(
                    f"{module}: found other source than when the study began, expected the same in all "
                    "of its processes; run the study again"
                )

    def __contains__(self, module: str) -> bool:
        return module in self._texts

    def module(self, name: str) -> "_Module":
        if name not in self._modules:
            self._modules[name] = _Module(self._texts[name])
        return self._modules[name]

    def content(self, place: Place) -> "_Content":
        """The normalised source of a definition, and what it names; worked out once for all closures."""
        if place not in self._contents:
            module, name = place
            found = self.module(module)
            statements = found.actions if name == ACTIONS else found.definitions[name]
            source = "\n".join(ast.unparse(statement) for statement in statements)
            self._contents[place] = _Content(source, [_uses(statement) for statement in statements])
        return self._contents[place]


@cache
def package_source() -> SourceTree:
    """The source of this package, read at the first call."""
    return SourceTree()


@dataclass
class _Uses:
    """What a piece of code names: chains of a name and its attributes, imports of its own, texts."""

    chains: set[tuple[str, ...]] = field(default_factory=set)
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    texts: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Content:
    """A definition, or the actions of a module: normalised source, and what each statement names."""

    source: str
    uses: list[_Uses]


class _Module:
    """A module's definitions by name, its imports, and the statements that only act."""

    def __init__(self, text: str) -> None:
        self.definitions: dict[str, list[ast.stmt]] = {}
        self.imports: dict[str, tuple[str, str | None]] = {}
        self.actions: list[ast.stmt] = []
        for statement in without_docstrings(text).body:
            names = set(_bound(statement))
            for name in names:
                self.definitions.setdefault(name, []).append(statement)
            found = {} if isinstance(statement, _DEFINES) else _imports(statement)
            self.imports |= found
            if not (names or found) or isinstance(statement, _COMPOUND) or _registers(statement):
                self.actions.append(statement)

    @cached_property
    def lazy(self) -> dict[str, str]:
        """Names that `lazy_loader.attach` exports, with the sub-module that has each."""
        for statement in self.definitions.get("__getattr__", []):
            for call in (node for node in ast.walk(statement) if isinstance(node, ast.Call)):
                for keyword in call.keywords:
                    if keyword.arg == "submod_attrs":
                        mapping: dict[str, list[str]] = ast.literal_eval(keyword.value)
                        return {name: module for module, names in mapping.items() for name in names}
        return {}


class _Walk:
    def __init__(self, tree: SourceTree) -> None:
        self._tree = tree
        self._sources: dict[Place, str] = {}
        self._libraries: set[str] = set()
        self._waiting: list[Place] = []

    def run(self, roots: Iterable[Place]) -> Closure:
        for module, name in roots:
            self._member(module, name)
        while self._waiting:
            module, _ = place = self._waiting.pop()
            if place in self._sources:
                continue
            content = self._tree.content(place)
            self._sources[place] = content.source
            for uses in content.uses:
                self._follow(module, uses)
            self._waiting.append((module, ACTIONS))
        return Closure(self._sources, frozenset(self._libraries))

    def _follow(self, module: str, uses: _Uses) -> None:
        imports = self._tree.module(module).imports | uses.imports
        for base, *attributes in uses.chains:
            if base in uses.imports or (
                base in imports and base not in self._tree.module(module).definitions
            ):
                self._imported(*imports[base], attributes)
            elif base in self._tree.module(module).definitions:
                self._waiting.append((module, base))
        for text in uses.texts:
            target, _, name = text.partition(":")
            if target in self._tree:
                self._member(target, name or EVERYTHING)

    def _imported(self, module: str, member: str | None, attributes: list[str]) -> None:
        """Follow an imported name with the attributes that are taken of it."""
        if module.partition(".")[0] != self._tree.package:
            self._libraries.add(module.partition(".")[0])
            return
        path = [*([member] if member else []), *attributes]
        while path and f"{module}.{path[0]}" in self._tree:
            module = f"{module}.{path.pop(0)}"
        self._member(module, path[0] if path else EVERYTHING)

    def _member(self, module: str, name: str) -> None:
        """Follow one name of a module, or all of them."""
        content = self._tree.module(module)
        if name == EVERYTHING:
            self._waiting += [(module, defined) for defined in content.definitions]
            self._waiting.append((module, ACTIONS))
        elif name in content.definitions:
            self._waiting.append((module, name))
        elif name in content.imports:
            self._imported(*content.imports[name], [])
        elif name in content.lazy:
            self._member(f"{module}.{content.lazy[name]}", name)
        elif f"{module}.{name}" in self._tree:
            self._member(f"{module}.{name}", EVERYTHING)
        else:
            self._member(module, EVERYTHING)


def _module_name(root: Path, path: Path) -> str:
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _bound(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement at the top of a module binds, imports apart."""
    if isinstance(statement, _DEFINES):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name


def _registers(statement: ast.stmt) -> bool:
    """Whether a decorator may enter the definition into a table, so that others find it without its name."""
    decorators = statement.decorator_list if isinstance(statement, _DEFINES) else []
    return any(next(iter(_uses(d).chains))[0] not in _HARMLESS for d in decorators)


def _imports(node: ast.AST) -> dict[str, tuple[str, str | None]]:
    """Names that imports within `node` bind: to a module, or to a member of a module."""
    found: dict[str, tuple[str, str | None]] = {}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Import):
            for alias in inner.names:
                name = alias.asname or alias.name.partition(".")[0]
                found[name] = (alias.name if alias.asname else name, None)
        elif isinstance(inner, ast.ImportFrom) and inner.module and inner.module != "__future__":
            found |= {alias.asname or alias.name: (inner.module, alias.name) for alias in inner.names}
    return found


def _uses(node: ast.AST) -> _Uses:
    uses = _Uses(imports=_imports(node))
    inner: set[int] = set()
    for found in ast.walk(node):  # outer attributes come before the ones that they are taken of
        if isinstance(found, ast.Attribute | ast.Name) and id(found) not in inner:
            attributes: list[str] = []
            base: ast.expr = found
            while isinstance(base, ast.Attribute):
                attributes.insert(0, base.attr)
                base = base.value
                inner.add(id(base))
            if isinstance(base, ast.Name):
                uses.chains.add((base.id, *attributes))
        elif isinstance(found, ast.Constant) and isinstance(found.value, str):
            uses.texts.add(found.value)
    return uses
