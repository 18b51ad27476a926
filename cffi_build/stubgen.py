"""Writes vmm/_native.pyi from the cdef: mypy then knows every C function, constant and structure.

`python -m cffi_build.stubgen` writes the file, `--check` only says whether it is the one that
belongs to the cdef (status 1 and a diff if not).

How C looks from Python: a structure and a pointer to it have the same attributes, so one class
`struct_NAME` stands for both; it exists for the type checker alone. Function pointers, `void *` and
unions are `Any`. Constants are `int`; their values are the compiler's business.
"""

from __future__ import annotations

import difflib
import keyword
import sys
from collections.abc import Iterator
from typing import Any

from cffi import model
from cffi.cparser import Parser

from cffi_build.build import HERE, cdef_source

STUB = HERE.parent / "vmm" / "_native.pyi"

HEAD = '''\
"""The C extension, for the type checker. Written by cffi_build/stubgen.py; do not edit."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, Literal, TypeVar, overload

_T = TypeVar("_T")
_F = TypeVar("_F", bound=Callable[..., Any])

class Cdata:
    """Anything that lives in C."""
    def __bool__(self) -> bool: ...

class Array(Cdata, Generic[_T]):
    """An array, or a pointer to the first of several."""
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[_T]: ...
    @overload
    def __getitem__(self, index: int) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> Array[_T]: ...
    def __setitem__(self, index: int | slice, value: Any) -> None: ...

class Struct(Cdata):
    """A structure, or a pointer to one or several."""
    def __getitem__(self, index: int) -> Any: ...
    def __setitem__(self, index: int, value: Any) -> None: ...
'''

FFI_HEAD = """\
class FFI:
    NULL: Any
    CData: type[Any]
    CType: type[Any]
    error: type[Exception]
    errno: int
    def addressof(self, cdata: Any, *path: str | int) -> Any: ...
    def buffer(self, cdata: Any, size: int = ...) -> Any: ...
    @overload
    def callback(self, cdecl: str, function: Callable[..., Any], *, error: Any = ...) -> Any: ...
    @overload
    def callback(self, cdecl: str, *, error: Any = ...) -> Callable[[_F], Any]: ...
    def cast(self, cdecl: str, value: Any) -> Any: ...
    def def_extern(
        self,
        name: str = ...,
        error: Any = ...,
        onerror: Callable[[Any, Any, Any], Any] | None = ...,
    ) -> Callable[[_F], _F]: ...
    def from_buffer(self, buffer: Any, require_writable: bool = ...) -> Any: ...
    def from_handle(self, handle: Any) -> Any: ...
    def gc(self, cdata: _T, destructor: Callable[[_T], Any] | None, size: int = ...) -> _T: ...
    def memmove(self, dest: Any, src: Any, n: int) -> None: ...
    def new_handle(self, obj: object) -> Cdata: ...
    def offsetof(self, cdecl: str, *path: str | int) -> int: ...
    def release(self, cdata: Any) -> None: ...
    def sizeof(self, cdecl: Any) -> int: ...
    def string(self, cdata: Any, maxlen: int = ...) -> Any: ...
    def typeof(self, cdecl: Any) -> Any: ...
    def unpack(self, cdata: Any, length: int) -> Any: ...
"""


def type_text(ctype: model.BaseTypeByIdentity, *, parameter: bool = False) -> str:
    """The Python type of a value of `ctype`; a `parameter` also takes what cffi converts."""
    if isinstance(ctype, model.PrimitiveType):
        return primitive(ctype.name)
    if isinstance(ctype, model.EnumType):
        return "int"
    if isinstance(ctype, model.StructType):
        return "Any" if ctype.name.startswith("$") else f"struct_{ctype.name}"
    if isinstance(ctype, model.VoidType):
        return "None"
    if isinstance(ctype, model.PointerType | model.ArrayType):
        return pointed_text(ctype, parameter=parameter)
    return "Any"


def primitive(name: str) -> str:
    if name == "_Bool":
        return "bool"
    if name == "char":
        return "bytes"
    return "float" if name in ("float", "double", "long double") else "int"


def pointed_text(ctype: model.PointerType | model.ArrayType, *, parameter: bool) -> str:
    inner = ctype.item if isinstance(ctype, model.ArrayType) else ctype.totype
    if isinstance(inner, model.VoidType | model.BaseFunctionType | model.UnionType):
        return "Any"
    if isinstance(inner, model.StructType) and not isinstance(ctype, model.ArrayType):
        return type_text(inner)
    text = f"Array[{type_text(inner)}]"
    if parameter and isinstance(inner, model.PrimitiveType):
        return "Any"  # bytes, buffers and lists are taken as well
    return text


def struct_lines(struct: model.StructType) -> Iterator[str]:
    fields = [
        f"    {name}: {type_text(ctype)}"
        for name, ctype in zip(struct.fldnames or (), struct.fldtypes or (), strict=True)
        if not keyword.iskeyword(name)
    ]
    yield f"class struct_{struct.name}(Struct):"
    yield from fields or ["    pass"]
    yield ""


def function_line(name: str, ctype: model.FunctionPtrType | model.RawFunctionType) -> str:
    """All parameters are positional, as in C."""
    arguments = ", ".join(type_text(argument, parameter=True) for argument in ctype.args)
    return f"    {name}: Callable[[{arguments}], {type_text(ctype.result)}]"


def new_lines(structs: list[model.StructType]) -> Iterator[str]:
    for struct in structs:
        yield "    @overload"
        yield (
            f'    def new(self, cdecl: Literal["struct {struct.name} *"], init: Any = ...)'
            f" -> struct_{struct.name}: ..."
        )
    yield "    @overload"
    yield "    def new(self, cdecl: str, init: Any = ...) -> Any: ..."


def stub(source: str) -> str:
    """The text of the stub for the declarations in `source`."""
    parser = Parser()
    parser.parse(source)
    kinds = ("macro", "function", "extern_python_plus_c", "struct", "enum")
    named: dict[str, list[tuple[str, Any]]] = {kind: [] for kind in kinds}
    for key, (ctype, _quals) in sorted(parser._declarations.items()):
        kind, _, name = key.partition(" ")
        named.get(kind, named["enum"]).append((name, ctype))
    enumerators = [each for _, ctype in named["enum"] for each in ctype.enumerators]
    structs = [struct for name, struct in named["struct"] if not name.startswith("$")]
    lines = [HEAD]
    for struct in structs:
        lines += struct_lines(struct)
    lines += ["class Lib:"]
    lines += [f"    {name}: int" for name in sorted([*dict(named["macro"]), *enumerators])]
    lines += [function_line(*each) for each in named["function"]]
    lines += [f"    {name}: Any" for name, _ in named["extern_python_plus_c"]]
    lines += ["", FFI_HEAD.rstrip("\n")]
    lines += new_lines([struct for struct in structs if struct.fldnames])
    lines += ["", "ffi: FFI", "lib: Lib", ""]
    return "\n".join(lines)


def main(argv: list[str]) -> int:
    wanted = stub(cdef_source())
    if argv != ["--check"]:
        STUB.write_text(wanted)
        return 0
    found = STUB.read_text() if STUB.exists() else ""
    difference = "".join(
        difflib.unified_diff(
            found.splitlines(True), wanted.splitlines(True), STUB.name, "from the cdef"
        )
    )
    if difference:
        print(f"{difference}vmm/_native.pyi is stale; run: make stub", file=sys.stderr)
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
