"""The stub belongs to the cdef, and says what the extension really has."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from cffi_build import stubgen
from cffi_build.build import cdef_source
from vmm.native import ffi, lib


@pytest.fixture(scope="module")
def stub() -> ast.Module:
    return ast.parse(stubgen.STUB.read_text())


def members(stub: ast.Module, name: str) -> set[str]:
    """Names annotated or defined in a class of the stub."""
    body = next(n.body for n in stub.body if isinstance(n, ast.ClassDef) and n.name == name)
    annotated = {n.target.id for n in body if isinstance(n, ast.AnnAssign)}  # type: ignore[union-attr]
    return annotated | {n.name for n in body if isinstance(n, ast.FunctionDef)}


def test_stub_is_the_one_of_the_cdef() -> None:
    assert stubgen.main(["--check"]) == 0, "run: make stub"


def test_check_shows_what_a_stale_stub_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = tmp_path / "_native.pyi"
    stale.write_text(stubgen.stub(cdef_source().replace("#define KVM_RUN ...", "")))
    monkeypatch.setattr(stubgen, "STUB", stale)

    assert stubgen.main(["--check"]) == 1
    assert "+    KVM_RUN: int" in capsys.readouterr().err


def test_stub_lists_exactly_what_lib_has(stub: ast.Module) -> None:
    assert members(stub, "Lib") == set(dir(lib))


def test_stub_lists_methods_that_ffi_has(stub: ast.Module) -> None:
    assert [name for name in members(stub, "FFI") if not hasattr(ffi, name)] == []


def test_stub_lists_every_field_of_every_structure(stub: ast.Module) -> None:
    names = [n.name for n in stub.body if isinstance(n, ast.ClassDef) and "struct_" in n.name]
    complete = [name for name in names if members(stub, name)]
    for name in complete:
        fields = ffi.typeof(name.replace("_", " ", 1)).fields

        assert members(stub, name) == {field for field, _ in fields}

    assert len(complete) > 50


@pytest.mark.parametrize(
    ("declaration", "line"),
    [
        ("struct s { bool b; char c; float f; int64_t i; ...; };", "b: bool"),
        ("struct s { bool b; char c; float f; int64_t i; ...; };", "f: float"),
        ("struct s { char c[4]; ...; };", "c: Array[bytes]"),
        ("struct t; struct s { struct t *t; ...; };", "t: struct_t"),
        ("struct s { struct { int a; } inner; ...; };", "inner: Any"),
        ("struct s { void *p; ...; };", "p: Any"),
        (
            "int f(const void *p, uint8_t *q, struct s *r);",
            "f: Callable[[Any, Any, struct_s], int]",
        ),
        ("void f(void);", "f: Callable[[], None]"),
        ("enum e { ONE, TWO, ... };", "TWO: int"),
        ("#define LIMIT ...", "LIMIT: int"),
    ],
)
def test_declaration_becomes_its_python_type(declaration: str, line: str) -> None:
    assert f"    {line}\n" in stubgen.stub(declaration)
