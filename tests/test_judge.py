"""Which network judges, and which layers runs optimised."""

import pytest

from nst_jax import judge
from nst_jax.config import Config, changed, to_yaml
from nst_jax.features.layout import layer_names
from nst_jax.judge import choose, judge_text, open_judge, optimised_by, run_config
from nst_jax.resolve import optimised_layers

DEFAULT = {"conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv4_2", "conv5_1"}


def objective(**keys) -> Config:
    return changed(Config(), objective=keys)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, DEFAULT),
        ({"preset": "novak"}, set(layer_names("vgg19"))),
        ({"preset": "crowson", "style_layers": ["conv1_2"]}, {"conv1_2", "conv4_2"}),
        (
            {"content_layers": {"conv3_2": 1, "conv4_2": 0}, "beta": 0},
            {"conv3_2"},
        ),
        ({"alpha": 0, "style_layers": {"conv1_1": 2, "conv2_1": 0}}, {"conv1_1"}),
    ],
)
def test_what_counts_in_the_objective_was_optimised(keys, expected):
    assert optimised_layers(objective(**keys)) == expected


def test_a_result_knows_its_run(tmp_path):
    folder = tmp_path / "night"
    (folder / "snapshots").mkdir(parents=True)
    (folder / "config.yaml").write_text(to_yaml(objective(style_layers=["conv1_2"])))
    lane = tmp_path / "sweep" / "lanes" / "0003"
    lane.mkdir(parents=True)
    (lane / "config.yaml").write_text(to_yaml(objective(style_layers=["conv2_2"])))
    ours = [
        folder / "result.png",
        folder / "snapshots" / "iteration_0100.png",
        tmp_path / "night.jpg",
    ]
    for path in ours:
        config = run_config(str(path))
        assert config is not None, path
        assert optimised_layers(config) == {"conv1_2", "conv4_2"}
    alone = [tmp_path / "day.jpg", folder / "content.png", tmp_path / "result.png"]
    assert [run_config(str(path)) for path in alone] == [None] * 3
    runs = judge.configs_of(map(str, [ours[0], lane / "result.png"]))
    assert optimised_by(runs) == {"conv1_2", "conv2_2", "conv4_2"}
    assert optimised_by({**runs, "alone.png": None}) == {"conv1_2", "conv2_2"} | DEFAULT


def test_the_papers_network_judges_first(monkeypatch):
    assert judge.JUDGES[0] == "vgg19-caffe"
    here = set(judge.JUDGES)
    monkeypatch.setattr(
        judge.pretrained, "locate", lambda name: name if name in here else None
    )
    for name in judge.JUDGES:
        assert choose() == name
        here.remove(name)
    assert choose() == "vgg19-tiny"


def test_the_small_network_says_that_it_judges(monkeypatch):
    monkeypatch.delenv("NST_JAX_WEIGHTS_DIR", raising=False)
    small = open_judge("auto", DEFAULT)
    lines = judge_text(small)
    layers = "conv1_2, conv2_2, conv3_3, conv4_3"
    assert lines[0] == f"judge: vgg19-tiny, at {layers} (content: conv4_3)"
    assert lines[1].endswith("conv1_1, conv2_1, conv3_1, conv4_1, conv4_2, conv5_1")
    assert "small network" in lines[2]
    assert "nst-jax weights fetch vgg19-" in lines[2]
    assert list(small.params) == list(layer_names("vgg19"))[:11]  # to conv4_3
    asked = open_judge("vgg19-tiny", DEFAULT)
    assert judge_text(asked) == lines[:2]  # who names it knows it


def test_a_file_of_its_own_judges(tiny_weights):
    own = open_judge(str(tiny_weights), {"conv1_2"})
    assert own.layers == ("conv1_1", "conv2_2", "conv3_3", "conv4_3", "conv5_1")
    assert open_judge("random", DEFAULT).layers[-1] == "conv5_2"
