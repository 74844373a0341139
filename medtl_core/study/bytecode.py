"""What a function's code says of itself: its source, the names that it loads, the modules that it imports."""

import ast
import dis
import functools
import linecache
from collections.abc import Iterator
from types import CodeType

from medtl_core.source_hash import normalised_source
from medtl_core.study.source_closure import EVERYTHING, Place

_LOADS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_FROM_DICT_OR_GLOBALS")


@functools.lru_cache(maxsize=64)
def _functions(text: str) -> dict[tuple[str, int], list[str]]:
    """Normalised source of each function of a file or cell, by name and first line (decorators included)."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return {}
    found: dict[tuple[str, int], list[ast.AST]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            line = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found.setdefault((node.name, line), []).append(node)
        elif isinstance(node, ast.Lambda):
            found.setdefault(("<lambda>", node.lineno), []).append(node)
    return {place: [normalised_source(ast.unparse(n)) for n in nodes] for place, nodes in found.items()}


def code_text(code: CodeType) -> str:
    """Source of a function as Python keeps it for files and notebook cells, else bytecode and constants."""
    text = "".join(linecache.getlines(code.co_filename))
    source = _functions(text).get((code.co_name, code.co_firstlineno))
    if source:
        return "\n".join(source)
    nested = [code_text(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return repr((code.co_code, code.co_names, code.co_varnames, nested))


def _instructions(code: CodeType) -> Iterator[list[dis.Instruction]]:
    """The instructions of a piece of code, and those of the functions inside it."""
    yield [found for found in dis.get_instructions(code) if found.opname != "EXTENDED_ARG"]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _instructions(constant)


@functools.lru_cache(maxsize=4096)
def global_chains(code: CodeType) -> frozenset[tuple[str, ...]]:
    """Each global or enclosed name that code loads, with the attributes that are taken of it.

    A local variable that an inner function or comprehension uses is neither, whatever else has its name.
    """
    chains = set()
    for instructions in _instructions(code):
        for i, instruction in enumerate(instructions):
            own = instruction.opname == "LOAD_DEREF" and instruction.argval not in code.co_freevars
            if instruction.opname in _LOADS and not own:
                chain = [instruction.argval]
                while instructions[i + len(chain)].opname in ("LOAD_ATTR", "LOAD_METHOD"):
                    chain.append(instructions[i + len(chain)].argval)
                chains.add(tuple(chain))
    return frozenset(chains)


@functools.lru_cache(maxsize=4096)
def imports(code: CodeType) -> frozenset[Place]:
    """Modules that code imports itself, with each name that it takes of them."""
    found = set()
    for instructions in _instructions(code):
        module = ""
        for i, instruction in enumerate(instructions):
            if instruction.opname == "IMPORT_NAME":
                module = instruction.argval
                if instructions[i + 1].opname != "IMPORT_FROM":
                    found.add((module, EVERYTHING))
            elif instruction.opname == "IMPORT_FROM":
                found.add((module, instruction.argval))
    return frozenset(found)
