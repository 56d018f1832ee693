"""The pages say what is true: links, commands, keys."""

import re
from pathlib import Path

import pytest
import yaml

from nst_jax.cli import main
from nst_jax.config import from_tree, load, override
from nst_jax.inputs import mask_files, picture_files
from nst_jax.objective.presets import STYLE_LOSSES
from nst_jax.scores.card import MEANING
from nst_jax.yamltext import parse_yaml

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


CONTROLS = (ROOT / "docs" / "controls.md").read_text()


def blocks(kind: str, page: str = README) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", page, flags=re.DOTALL)


def test_two_commands_set_it_up():
    commands = [block for block in blocks("bash") if "pip install" in block]
    assert len(commands) == 2
    assert "scripts/stylize.py --config configs/starry.yaml" in commands[0]
    assert "pytest" in commands[1]


def test_the_config_shown_is_one():
    (shown,) = blocks("yaml")
    from_tree(parse_yaml(shown, where="README"))


def test_each_control_has_its_lines_a_picture_and_a_config():
    sections = CONTROLS.split("\n## ")[1:-1]
    assert len(sections) == 11
    for section in sections:
        (shown,) = blocks("yaml", section)
        from_tree(parse_yaml(shown, where="docs/controls.md"))
        (picture,) = re.findall(r"!\[[^]]+\]\((controls/\w+\.jpg)\)", section)
        assert (ROOT / "docs" / picture).stat().st_size <= 100_000
        assert "../configs/" in section
    for name in STYLE_LOSSES:
        assert f"`{name}`" in CONTROLS


def test_each_score_is_explained_and_has_examples():
    page, folder = (ROOT / "docs" / "scores.md").read_text(), ROOT / "docs" / "scores"
    table = (folder / "examples.md").read_text().split("\n\n")[1]
    assert table.strip() in page
    for name in MEANING:
        assert f"| `{name}` |" in page
        assert f" {name} |" in table.splitlines()[0]
    assert (folder / "examples.jpg").stat().st_size < 150_000


def test_settings_named_in_the_readme_exist():
    found = re.findall(
        r"`'?((?:objective|solver|network|output)\.\w+=[^`']+)'?`", README
    )
    assert len(found) >= 4
    for setting in found:
        override(from_tree({}), [setting])


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.name
)
def test_every_config_loads_and_says_how_to_run_it(path):
    config = load(path)
    for file in [*picture_files(config).values(), *mask_files(config).values()]:
        assert Path(file).is_file()
    header = path.read_text().split("\n\n")[0]
    assert f"--config configs/{path.name}" in header
    assert "Time:" in header


@pytest.mark.parametrize(
    "command",
    ["stylize", "texture", "demo", "sweep", "score", "weights", "presets", "info"],
)
def test_commands_of_the_readme_have_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out


def test_the_citation_is_whole():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    years = [reference["year"] for reference in citation["references"]]
    assert years == [2015, 2016]
