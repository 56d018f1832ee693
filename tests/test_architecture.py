"""The house rules, held by tests: data flows one way through the stages."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "nst_jax"
# Stages in order; a module imports only from its own stage or earlier ones.
STAGES = (
    ("nst_jax.types", "nst_jax.yamltext", "nst_jax.fields"),
    ("nst_jax.config",),
    ("nst_jax.images",),
    ("nst_jax.features",),
    ("nst_jax.objective",),
    ("nst_jax.scores",),
    ("nst_jax.solve",),
    ("nst_jax.modes",),
    ("nst_jax.outputs",),
    (
        "nst_jax.resolve",
        "nst_jax.inputs",
        "nst_jax.sweep_spec",
        "nst_jax.host",
        "nst_jax.memory",
        "nst_jax.signals",
    ),
    ("nst_jax.sources", "nst_jax.colours", "nst_jax.encoding"),
    ("nst_jax.photorealism",),
    ("nst_jax.loading", "nst_jax.styles", "nst_jax.regions"),
    ("nst_jax.sizes", "nst_jax.judge"),
    ("nst_jax.prepare",),
    ("nst_jax.prepare_sweep", "nst_jax.team"),
    ("nst_jax.sweep_plan", "nst_jax.sweep_scores"),
    ("nst_jax.sweep_lanes", "nst_jax.sweep_result"),
    ("nst_jax.sweep_store",),
    ("nst_jax.result",),
    ("nst_jax.resume",),
    ("nst_jax.tell",),
    ("nst_jax.run",),
    ("nst_jax.sweep_run",),
    ("nst_jax.sweep_api", "nst_jax.sweep_cli", "nst_jax.score_cli"),
    ("nst_jax.cli_keys",),
    ("nst_jax.cli",),
    ("nst_jax.__main__",),
)
# Only these may look at the config: the stages between take plain arguments.
READ_CONFIG = (
    "config",
    "resolve",
    "inputs",
    "styles",
    "sources",
    "regions",
    "sizes",
    "sweep_spec",
    "colours",
    "photorealism",
    "encoding",
    "loading",
    "judge",
    "prepare",
    "result",
    "resume",
    "run",
    "prepare_sweep",
    "sweep_lanes",
    "sweep_result",
    "sweep_store",
    "sweep_run",
    "sweep_api",
    "sweep_cli",
    "score_cli",
    "cli",
)
# weights_convert is called from here, and from the command line.
CALL_CONVERTERS = {"features/cache.py", "features/pretrained.py", "cli.py"}


def modules() -> list[Path]:
    return [p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py"]


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def stage(module: str) -> int:
    for rank, prefixes in enumerate(STAGES):
        if any(module == p or module.startswith(p + ".") for p in prefixes):
            return rank
    raise AssertionError(f"{module} belongs to no stage")


def violations(name: str, imported: set[str]) -> list[str]:
    ours = {i for i in imported if i.startswith("nst_jax.")}
    return [i for i in ours if stage(i) > stage(name)]


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_come_from_earlier_stages(path):
    assert violations(name_of(path), imports(path)) == []


def test_the_stage_rule_can_fail():
    assert violations("nst_jax.solve.loop", {"nst_jax.run.run"}) == ["nst_jax.run.run"]


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_nobody_imports_the_package_root(path):
    # cli and __getattr__ aside, `import nst_jax` would tie every module to every other.
    roots = {i for i in imports(path) if i == "nst_jax"}
    names = {i for i in imports(path) if i.count(".") == 1 and i.startswith("nst_jax.")}
    packages = {f"nst_jax.{p.name}" for p in PACKAGE.iterdir() if p.is_dir()}
    modules_ = {f"nst_jax.{p.stem}" for p in PACKAGE.glob("*.py")}
    assert roots == set()
    assert names <= packages | modules_


def test_jaxopt_is_named_in_one_file():
    naming = {
        str(p.relative_to(PACKAGE))
        for p in modules()
        if any(i.split(".")[0] == "jaxopt" for i in imports(p))
    }
    assert naming == {"solve/lbfgs.py"}


def test_only_the_ends_of_the_program_read_the_config():
    readers = {
        name_of(p).split(".")[1]
        for p in modules()
        if any(i.startswith("nst_jax.config") for i in imports(p))
    }
    assert readers <= set(READ_CONFIG)


def test_converters_are_called_from_one_place():
    callers = {
        str(p.relative_to(PACKAGE))
        for p in modules()
        if any(i.split(".")[0] == "weights_convert" for i in imports(p))
    }
    assert callers <= CALL_CONVERTERS


def test_modules_stay_short():
    long = {
        name_of(p): n
        for p in [*modules(), *(ROOT / "weights_convert").glob("*.py")]
        if (n := len(p.read_text().splitlines())) > 400
    }
    assert long == {}


@pytest.mark.parametrize(
    "module", ["nst_jax", "nst_jax.config", "nst_jax.signals", "nst_jax.cli"]
)
def test_mistakes_and_help_do_not_wait_for_jax(module):
    code = f"import sys, {module}; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_jax_check_can_fail():
    code = "import sys, nst_jax.solve.state; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 1


def public_functions():
    for path in modules():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield path, node


def test_options_with_defaults_are_keyword_only():
    allowed = {"main", "read", "load", "override"}  # one natural second argument
    positional = [
        f"{name_of(path)}.{node.name}"
        for path, node in public_functions()
        if node.args.defaults and node.name not in allowed
    ]
    assert positional == []
