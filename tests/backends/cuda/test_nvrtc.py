"""Our own call of NVIDIA's compiler: what it gives, what is kept, what is said of errors. No GPU is needed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from graphdsl.backends.cuda import nvrtc
from graphdsl.backends.cuda.softmax import softmax_args
from graphdsl.backends.cuda.unit import Arguments, Unit, address, source
from graphdsl.report import Failed
from tests.support.cuda.budget import needs_compiler, within

WARP = Unit("softmax", "softmax_by_warp<8>", softmax_args)
SPILLING = """
extern "C" __global__ void __launch_bounds__(1024) spilling(volatile float *x) {
    float v[96];
    _Pragma("unroll") for (int i = 0; i < 96; i++) v[i] = x[i * 1024 + threadIdx.x];
    _Pragma("unroll") for (int i = 0; i < 96; i++) x[i * 1024 + threadIdx.x] = v[95 - i];
}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing was compiled before, and what is compiled is kept here."""
    monkeypatch.setenv("GRAPHDSL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "cuda"


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def compile(*_: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(nvrtc, "compile", compile)


@pytest.fixture
def fresh() -> Iterator[None]:
    """The library is looked for again, now and afterwards."""
    nvrtc.library.cache_clear()
    yield
    nvrtc.library.cache_clear()


@needs_compiler
def test_a_kernel_for_every_architecture() -> None:
    for made in within(WARP, registers=32):
        assert made.cubin.startswith(b"\x7fELF")
        assert made.name.startswith("_Z15softmax_by_warp")
        assert made.name.encode() in made.cubin
        assert made.registers > 8
    (block,) = within(Unit("softmax", "softmax_by_block<256>", softmax_args), 40, ["sm_80"])
    assert block.shared == 256 // 32 * 4 * 2  # two reductions


@needs_compiler
def test_spills_are_counted() -> None:
    made = nvrtc.compile(SPILLING, "spilling", "sm_90")
    assert made.name == "spilling"
    assert made.registers == 64
    assert made.spills > 64


@needs_compiler
def test_the_version_and_the_architectures() -> None:
    assert nvrtc.version() >= (12, 0)
    assert {80, 90} <= set(nvrtc.architectures())


@needs_compiler
@pytest.mark.parametrize(
    ("unit", "said"),
    [
        (Unit("softmax", "softmax_by_nobody<8>", softmax_args), r"softmax_by_nobody"),
        (
            Unit("softmax", "softmax_by_warp<8>", softmax_args, code="float broken(float x) { return y; }"),
            r'"y" is undef',
        ),
        (
            Unit("softmax", "softmax_by_warp<8>", type("softmax_args", (Arguments,), {"_fields_": (("x", address),)})),
            "is not what it is in Python",
        ),
    ],
)
@pytest.mark.triggers("E0807")
def test_a_kernel_that_does_not_compile(unit: Unit, said: str, folder: Path) -> None:
    with pytest.raises(Failed, match=rf"(?s)E0807.*softmax\.cu does not compile.*for sm_90a.*{said}"):
        nvrtc.compiled(unit, "sm_90a")
    assert not folder.exists()


@needs_compiler
def test_what_was_compiled_is_kept(folder: Path, request: pytest.FixtureRequest) -> None:
    first = nvrtc.compiled(WARP, "sm_90a")
    assert [f.name.partition("-")[0] for f in folder.iterdir()] == ["softmax"]
    request.getfixturevalue("no_compiler")
    assert nvrtc.compiled(WARP, "sm_90a") == first


@needs_compiler
def test_everything_that_matters_is_in_the_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvrtc.compiled(WARP, "sm_90a")
    nvrtc.compiled(WARP, "sm_80")
    nvrtc.compiled(Unit("softmax", "softmax_by_warp<4>", softmax_args), "sm_80")
    nvrtc.compiled(Unit("softmax", "softmax_by_warp<8>", softmax_args, code="struct other {};"), "sm_80")
    monkeypatch.setattr(nvrtc, "version", lambda: (99, 0))
    nvrtc.compiled(WARP, "sm_80")
    assert len(list(folder.iterdir())) == 5


@needs_compiler
@pytest.mark.parametrize(
    "damage", [lambda d: d[:-1], lambda d: b"", lambda d: b"[]\n", lambda d: b"{}" + d, lambda d: d + b"\0"]
)
def test_damaged_files_are_compiled_again(folder: Path, damage, request: pytest.FixtureRequest) -> None:
    first = nvrtc.compiled(WARP, "sm_90")
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert nvrtc.compiled(WARP, "sm_90").cubin == first.cubin
    assert nvrtc._parsed(file.read_bytes()) is not None


@needs_compiler
def test_where_nothing_can_be_written_it_compiles_all_the_same(folder: Path) -> None:
    folder.parent.write_text("a file where the folder should be")
    assert nvrtc.compiled(WARP, "sm_90").cubin


@pytest.mark.triggers("E0808")
def test_without_a_compiler(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "_places", lambda: iter([Path("libnvrtc_of_nobody.so")]))
    with pytest.raises(Failed, match=r"E0808.*it is not installed") as caught:
        nvrtc.compiled(WARP, "sm_90a")
    assert caught.value.diagnostics[0].help == 'pip install "graphdsl[gpu]"'


def test_a_library_that_does_not_load(fresh: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    damaged = tmp_path / "libnvrtc.so.13"
    damaged.write_bytes(b"damaged")
    monkeypatch.setattr(nvrtc, "_places", lambda: iter([damaged]))
    with pytest.raises(Failed, match=r"E0808.*libnvrtc\.so\.13"):
        nvrtc.version()


@needs_compiler
def test_several_at_a_time() -> None:
    """As the device asks for them: every thread gets its own kernel, and what one thread alone would get."""
    units = [Unit("softmax", f"softmax_by_warp<{warps}>", softmax_args) for warps in (1, 2, 4, 8)] * 2
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda unit: nvrtc.compile(source(unit), unit.expression, "sm_90a"), units))
    alone = [nvrtc.compile(source(unit), unit.expression, "sm_90a") for unit in units]
    assert [m.cubin for m in made] == [m.cubin for m in alone]
