import math
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from nst_jax import config as configs
from nst_jax.config import Config, changed
from nst_jax.sweep_spec.command_line import from_command_line, load, read, split
from nst_jax.sweep_spec.groups import groups, shape_key, union_layers, weights_over
from nst_jax.sweep_spec.keys import find_key, keys
from nst_jax.sweep_spec.labels import labels, path_labels
from nst_jax.sweep_spec.spec import OPTIONS, parse
from nst_jax.yamltext import parse_yaml

ROOT = Path(__file__).resolve().parent.parent
BASE = Config(content="c.png", style="s.png")


def sweep_of(text: str, base: Config = BASE, **options):
    return parse(parse_yaml(text, where="test"), base, **options)


def alphas(sweep) -> list:
    return [lane.config.objective.alpha for lane in sweep.lanes]


def refused(text: str, base: Config = BASE) -> str:
    with pytest.raises(ValueError, match=r"^sweep: ") as error:
        sweep_of(text, base)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix("sweep: ")


# --- combining --------------------------------------------------------------------


def test_a_grid_has_the_last_axis_fastest():
    sweep = sweep_of("{alpha: [1e-4, 1e-3], seed: [5, 6, 7]}")
    assert sweep.combine == "grid"
    assert [lane.index for lane in sweep.lanes] == [0, 1, 2, 3, 4, 5]
    assert alphas(sweep) == [1e-4] * 3 + [1e-3] * 3
    assert [lane.config.seed for lane in sweep.lanes] == [5, 6, 7, 5, 6, 7]
    assert sweep.lanes[4].labels == {"alpha": "1e-3", "seed": "6"}
    assert [(a.name, a.key) for a in sweep.axes] == [
        ("alpha", "objective.alpha"),
        ("seed", "seed"),
    ]


def test_what_is_no_axis_is_as_in_the_base():
    base = changed(BASE, size=64, objective={"tv": 0.5, "alpha": 7.0})
    (first, _) = sweep_of("alpha: [1, 2]", base).lanes
    assert first.config == changed(base, objective={"alpha": 1.0})


def test_zip_takes_values_together_and_may_repeat_them():
    sweep = sweep_of("{alpha: [1, 2, 1], seed: [4, 4, 5], combine: zip}")
    pairs = [(lane.config.objective.alpha, lane.config.seed) for lane in sweep.lanes]
    assert pairs == [(1, 4), (2, 4), (1, 5)]
    assert sweep.axes[0].values == (1.0, 2.0)
    assert sweep.axes[0].labels == ("1", "2")


LIST = """
list:
  - {alpha: 1e-3, style_layers: [conv1_1]}
  - alpha: 1e-2
  - {seed: 3, style: other.png}
"""


def test_a_list_gives_lanes_one_by_one():
    base = changed(BASE, objective={"alpha": 1e-3})
    first, second, third = sweep_of(LIST, base).lanes
    assert first.config == changed(base, objective={"style_layers": ["conv1_1"]})
    assert second.config == changed(base, objective={"alpha": 1e-2})
    assert third.config == changed(base, seed=3, style="other.png")
    assert list(third.labels) == ["alpha", "style_layers", "seed", "style"]
    assert third.labels["alpha"] == first.labels["alpha"] != second.labels["alpha"]
    assert third.labels["style_layers"] == "default"
    assert sweep_of(LIST, base).axes[1].values == (("conv1_1",), None)


def test_a_list_leaves_the_bases_own_paths_alone(tmp_path):
    tree = parse_yaml("list: [{style: a.png}, {seed: 1}]", where="")
    first, second = parse(tree, BASE, folder=tmp_path).lanes
    assert first.config.style == str(tmp_path / "a.png")
    assert second.config.style == "s.png"


RANDOM = """
combine: random
samples: 400
alpha: {log_uniform: [1e-5, 1e-1]}
tv: {uniform: [0, 0.5]}
seed: {uniform: [0, 3]}
start: [noise, content]
"""


def test_random_samples_fill_their_ranges():
    sweep = sweep_of(RANDOM)
    assert len(sweep.lanes) == len({lane.config.objective for lane in sweep.lanes})
    logs = [math.log10(alpha) for alpha in alphas(sweep)]
    tvs = [lane.config.objective.tv or 0.0 for lane in sweep.lanes]
    # Means of 400 draws: their standard errors are 0.058 and 0.0072.
    assert statistics.mean(logs) == pytest.approx(-3, abs=0.25)
    assert statistics.mean(tvs) == pytest.approx(0.25, abs=0.03)
    assert -5 <= min(logs) < -4.9
    assert -1.1 < max(logs) <= -1
    seeds = [lane.config.seed for lane in sweep.lanes]
    assert {seeds.count(seed) > 60 for seed in range(4)} == {True}
    starts = [lane.config.start for lane in sweep.lanes]
    assert 150 < starts.count("noise") < 250


def test_axes_of_random_samples_are_sorted_and_labels_exact():
    axis, *_ = sweep_of(RANDOM).axes
    assert list(axis.values) == sorted(axis.values)
    assert [float(label) for label in axis.labels] == list(axis.values)
    for lane in sweep_of(RANDOM).lanes:
        assert float(lane.labels["alpha"]) == lane.config.objective.alpha


def test_random_samples_are_the_same_again_and_others_with_another_seed():
    assert sweep_of(RANDOM) == sweep_of(RANDOM)
    assert sweep_of(RANDOM) != sweep_of(RANDOM + "sample_seed: 1")


def test_random_samples_differ_and_can_be_exhausted():
    text = "{combine: random, seed: [0, 1, 2], start: [noise, content], samples: %d}"
    lanes = sweep_of(text % 6).lanes
    assert len({(lane.config.seed, lane.config.start) for lane in lanes}) == 6
    assert "700 draws gave only 6 different lanes" in refused(text % 7)


def test_values_from_one_to_the_other():
    alpha = "{alpha: {log: [1e-5, 1e-1, 9]}}"
    (axis,) = sweep_of(alpha).axes
    expected = [10 ** (power / 2) for power in range(-10, -1)]
    assert axis.values == pytest.approx(expected, rel=1e-3)
    assert axis.labels[:3] == ("1e-5", "3.162e-5", "1e-4")
    assert sweep_of("tv: {linear: [0, 0.2, 3]}").axes[0].values == (0, 0.1, 0.2)
    assert sweep_of("tv: {linear: [1, 0, 5]}").axes[0].labels == (
        ("1", "0.75", "0.5", "0.25", "0")
    )
    assert sweep_of("size: {log: [128, 512, 3]}").axes[0].values == (128, 256, 512)


def test_values_may_have_names():
    sweep = sweep_of("{alpha: {little: 1e-4, much: 1e-2}}")
    assert [lane.labels["alpha"] for lane in sweep.lanes] == ["little", "much"]
    assert alphas(sweep) == [1e-4, 1e-2]


def test_lanes_at_a_time():
    assert sweep_of("{seed: [1, 2], lanes: 8}").batch == 8
    assert sweep_of("{seed: [1, 2]}").batch is None


# --- layers -----------------------------------------------------------------------


def test_sets_of_layers_have_names_or_stand_for_themselves():
    text = "style_layers: {A: [conv1_1], B: {conv1_1: 0.5, conv2_1: 2}}"
    first, second = sweep_of(text).lanes
    assert first.config.objective.style_layers == ("conv1_1",)
    assert second.config.objective.style_layers == {"conv1_1": 0.5, "conv2_1": 2.0}
    assert (first.labels, second.labels) == (
        {"style_layers": "A"},
        {"style_layers": "B"},
    )
    (axis,) = sweep_of(
        "content_layers: [conv4_2, [conv3_1, conv4_1], {conv1_1: 0.5}, null]"
    ).axes
    assert axis.labels == ("conv4_2", "conv3_1 + conv4_1", "0.5 conv1_1", "default")


def test_the_weight_of_one_layer_leaves_the_others():
    zero, one = sweep_of("style_layers.conv1_1: [0, 1]").lanes
    others = {f"conv{block}_1": 0.2 for block in range(2, 6)}
    assert zero.config.objective.style_layers == {"conv1_1": 0.0, **others}
    assert one.config.objective.style_layers == {"conv1_1": 1.0, **others}
    assert one.labels == {"style_layers.conv1_1": "1"}


def test_the_weight_of_one_layer_joins_lists_and_mappings():
    listed = changed(BASE, objective={"content_layers": ["conv4_1", "conv4_2"]})
    text = "objective.content_layers.conv5_1: [0.5]"
    (lane,) = sweep_of(text, listed).lanes
    expected = {"conv4_1": 0.5, "conv4_2": 0.5, "conv5_1": 0.5}
    assert lane.config.objective.content_layers == expected
    mapped = changed(BASE, objective={"content_layers": {"conv4_2": 3}})
    (lane,) = sweep_of(text, mapped).lanes
    assert lane.config.objective.content_layers == {"conv4_2": 3.0, "conv5_1": 0.5}


def test_weights_are_set_in_the_set_of_the_lane_wherever_their_axis_stands():
    text = """
    style_layers.conv1_1: [0, 3]
    style_layers.conv3_1: [1]
    style_layers: {A: [conv1_1], B: [conv2_1, conv4_1]}
    """
    lanes = sweep_of(text).lanes
    assert [lane.config.objective.style_layers for lane in lanes] == [
        {"conv1_1": 0, "conv3_1": 1},
        {"conv2_1": 0.5, "conv4_1": 0.5, "conv1_1": 0, "conv3_1": 1},
        {"conv1_1": 3, "conv3_1": 1},
        {"conv2_1": 0.5, "conv4_1": 0.5, "conv1_1": 3, "conv3_1": 1},
    ]


def test_weights_that_depend_on_the_network_are_not_guessed():
    base = changed(BASE, objective={"preset": "neural-style"})
    assert "preset neural-style depend on the network: give objective.style_l" in (
        refused("style_layers.conv1_1: [0, 1]", base)
    )
    sweep_of("content_layers.conv4_2: [0, 1]", base)
    literal = changed(BASE, objective={"preset": "gatys2016-literal"})
    assert "depend on the network" in refused("content_layers.conv4_2: [1]", literal)


def test_the_union_of_layers_is_in_the_order_of_the_network():
    text = """
    style_layers: {A: [conv4_1], B: [conv2_1, conv1_1]}
    content_layers: [null, conv3_2]
    """
    union = union_layers(sweep_of(text).lanes)
    assert union == (("conv3_2", "conv4_2"), ("conv1_1", "conv2_1", "conv4_1"))
    assert union_layers(sweep_of("seed: [1]").lanes) == (
        ("conv4_2",),
        tuple(f"conv{block}_1" for block in range(1, 6)),
    )
    assert weights_over({"conv2_1": 0.5}, ("conv1_1", "conv2_1")) == {
        "conv1_1": 0.0,
        "conv2_1": 0.5,
    }


# --- names and labels --------------------------------------------------------------


def test_short_names_mean_their_keys():
    names = {
        "alpha": "objective.alpha",
        "objective.alpha": "objective.alpha",
        "preset": "objective.preset",
        "pooling": "network.pooling",
        "history": "solver.history",
        "content": "content",
        "style_layers": "objective.style_layers",
        "style_layers.conv1_1": "objective.style_layers.conv1_1",
    }
    assert {name: find_key(name, where="") for name in names} == names


def test_no_option_hides_a_key():
    shorts = {key.rpartition(".")[2] for key in keys()}
    assert not shorts & set(OPTIONS)


def test_labels_of_numbers():
    assert labels([1e-5, 1e-4, 1e-3, 1e-2]) == ("1e-5", "1e-4", "1e-3", "1e-2")
    assert labels([0.0, 1e-3, 1e-2]) == ("0", "1e-3", "1e-2")
    assert labels([0.0, 0.5, 1.0, 100.0]) == ("0", "0.5", "1", "100")
    assert labels([1e9, 2.5e9]) == ("1e9", "2.5e9")
    assert labels([0.1, 0.100001, None]) == ("0.1", "0.100001", "default")
    near = [0.1, math.nextafter(0.1, 1)]
    assert [float(label) for label in labels(near)] == near
    assert labels([100, 2000]) == ("100", "2000")


def test_labels_of_other_values():
    assert labels([True, False, None]) == ("yes", "no", "default")
    assert labels(["avg", "max"]) == ("avg", "max")
    assert labels([(128, 256), "auto"]) == ("128 + 256", "auto")
    assert labels([(), ("conv1_1",), {}]) == ("none", "conv1_1", "none")


def test_pictures_are_named_by_as_much_of_their_path_as_it_takes():
    assert path_labels(["/a/mosaic.jpg", "/b/waves.png"]) == ("mosaic", "waves")
    assert path_labels(["/x/a/m.jpg", "/x/b/m.jpg", "/x/b/n.jpg"]) == (
        "a/m",
        "b/m",
        "n",
    )
    assert path_labels(["/x/m.jpg", "/x/m.png"]) == ("m.jpg", "m.png")
    assert path_labels(["noise", "/x/noise.png", None]) == (
        "noise",
        "x/noise",
        "default",
    )
    assert path_labels(["/a/c/m.jpg", "/b/c/m.jpg"]) == ("a/c/m", "b/c/m")
    odd = path_labels(["a.png", "./a.png", "/a.png", "/"])
    assert len(set(odd)) == 4


def test_paths_are_relative_to_the_file(tmp_path):
    tree = parse_yaml("{style: [a.png, ../b.png], start: [noise, c.png]}", where="")
    sweep = parse(tree, BASE, folder=tmp_path)
    assert sweep.axes[0].values == (str(tmp_path / "a.png"), f"{tmp_path}/../b.png")
    assert sweep.axes[1].values == ("noise", str(tmp_path / "c.png"))
    assert sweep.axes[1].labels == ("noise", "c")


# --- groups ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "axis",
    [
        "seed: [1, 2]",
        "alpha: [1, 2]",
        "start: [noise, style, x.png]",
        "content: [a.png, b.png]",
        "style: [a.png, b.png]",
        "style_layers: [conv1_1, conv2_1]",
        "style_layers.conv1_1: [0, 1]",
        "preset: [gatys2016, gatys2016-literal]",
    ],
)
def test_numbers_and_pictures_share_a_program(axis):
    sweep = sweep_of(axis)
    (group,) = groups(sweep)
    assert (group.lanes, group.apart) == (sweep.lanes, {})


@pytest.mark.parametrize(
    ("axis", "apart"),
    [
        ("size: [64, 128]", [{"size": "64"}, {"size": "128"}]),
        ("pooling: [avg, max]", [{"pooling": "avg"}, {"pooling": "max"}]),
        ("solver.name: [lbfgs, adam]", [{"solver.name": s} for s in ("lbfgs", "adam")]),
        ("history: [5, 9]", [{"history": "5"}, {"history": "9"}]),
        ("iterations: [5, 9]", [{"iterations": "5"}, {"iterations": "9"}]),
        ("rescale: [true, false]", [{"rescale": "yes"}, {"rescale": "no"}]),
        ("scales: [[64, 128], auto]", [{"scales": s} for s in ("64 + 128", "auto")]),
    ],
)
def test_what_changes_the_program_splits(axis, apart):
    found = groups(sweep_of(f"{axis}\nseed: [1, 2]"))
    assert [group.apart for group in found] == apart
    assert [[lane.index for lane in group.lanes] for group in found] == [[0, 1], [2, 3]]


def test_a_group_keeps_the_order_of_the_lanes():
    found = groups(sweep_of("seed: [1, 2]\nsize: [64, 128]"))
    assert [[lane.index for lane in group.lanes] for group in found] == [[0, 2], [1, 3]]


def test_the_pooling_that_a_preset_means_is_no_other_pooling():
    (group,) = groups(sweep_of("pooling: [null, avg]"))
    assert len(group.lanes) == 2


def test_a_preset_splits_by_what_it_sets():
    text = "preset: [gatys2016, neural-style, gatys-notebook, gatys2016-literal]"
    found = groups(sweep_of(text))
    assert [group.apart["preset"] for group in found] == [
        "gatys2016, gatys2016-literal",
        "neural-style, gatys-notebook",
    ]
    network = {"pooling": "avg", "rescale": False, "weights": "vgg19-tiny"}
    plain = changed(BASE, network=network)
    assert len(groups(sweep_of(text, plain))) == 1


def test_auto_may_be_other_weights_for_presets_of_another_scale():
    """Even where rescaling, which else sets them apart, is the same for all."""
    same = changed(BASE, network={"rescale": False})
    text = "preset: [gatys2016, gatys-normalised, gatys-notebook]"
    own = [lane.config for lane in sweep_of(text, same).lanes]
    weights = [dict(shape_key(config))["network.weights"] for config in own]
    assert weights[0] == weights[1] != weights[2]
    named = changed(same, network={"weights": "vgg19"})
    keys = {
        dict(shape_key(lane.config))["network.weights"]
        for lane in sweep_of(text, named).lanes
    }
    assert keys == {"vgg19"}


def test_an_axis_that_only_goes_along_is_not_blamed():
    found = groups(sweep_of("{size: [64, 128], alpha: [1, 2], combine: zip}"))
    assert [group.apart for group in found] == [{"size": "64"}, {"size": "128"}]


def test_where_a_run_happens_is_no_part_of_its_program():
    other = changed(BASE, device="cpu", output={"dir": "x", "every": 3})
    assert shape_key(other) == shape_key(BASE)


# --- the command line -----------------------------------------------------------------


@pytest.fixture
def yaml_file(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(
        "content: a.png\nstyle: b.png\nsize: 64\n"
        "sweep: {alpha: [1, 2], tv: [0, 1, 2], style: [m.png], lanes: 2}\n"
    )
    return path


def test_the_files_sweep(yaml_file):
    base, sweep = load(yaml_file)
    assert base == configs.load(yaml_file)
    assert len(sweep.lanes) == 6
    assert sweep.lanes[0].config.style == str(yaml_file.parent / "m.png")


def test_axes_of_the_command_line_replace_all_of_the_files(yaml_file):
    base, sweep = load(yaml_file, ["alpha=1e-5,1e-4", "size=32", "seed=0,1"])
    assert base.size == 32
    assert [axis.key for axis in sweep.axes] == ["objective.alpha", "seed"]
    assert alphas(sweep) == [1e-5, 1e-5, 1e-4, 1e-4]
    assert {lane.config.size for lane in sweep.lanes} == {32}
    assert sweep.batch is None
    assert {lane.config.style for lane in sweep.lanes} == {base.style}


def test_settings_and_options_leave_the_files_axes(yaml_file):
    base, sweep = load(yaml_file, ["beta=3", "lanes=5", "output.dir=a,b"])
    assert (base.objective.beta, base.output.dir) == (3.0, "a,b")
    assert (len(sweep.lanes), sweep.batch) == (6, 5)


def test_one_value_for_an_axis_of_the_file_is_refused(yaml_file):
    with pytest.raises(ValueError, match="alpha has one value on the command line"):
        load(yaml_file, ["alpha=1"])
    assert len(load(yaml_file, ["alpha=1", "seed=1,2"])[1].lanes) == 2


def test_forms_of_axes_on_the_command_line():
    texts = [
        "alpha={log: [1e-4, 1e-2, 3]}",
        "style_layers={A: [conv1_1], B: [conv1_1, conv2_1]}",
        "content_layers=[conv4_2, conv5_1],conv4_2",
        'style=x.png,"a,b.png", 1e3',
        "style_layers.conv1_1=0,1",
        "pooling=avg,null",
        "start=null,noise",
    ]
    assert split(texts) == ([], texts)
    axes = from_command_line(texts, BASE).axes
    assert [axis.values for axis in axes] == [
        (1e-4, 1e-3, 1e-2),
        (("conv1_1",), ("conv1_1", "conv2_1")),
        (("conv4_2", "conv5_1"), ("conv4_2",)),
        ("x.png", "a,b.png", "1e3"),
        (0.0, 1.0),
        ("avg", None),
        (None, "noise"),
    ]
    assert axes[1].labels == ("A", "B")


def test_one_value_is_a_setting():
    texts = [
        "alpha=1e-2",
        "style_layers=[conv1_1, conv2_1]",
        "content_layers={conv4_2: 0.5, conv5_1: 1}",
        'style="a,b.png"',
        "content=a: b #1.png",
        "start=",
        "beta=null",
        "start=null",
        "device=cpu",
    ]
    settings, rest = split(texts)
    assert rest == []
    config = configs.override(changed(BASE, start="noise"), settings)
    assert config.objective.alpha == 0.01
    assert config.objective.style_layers == ("conv1_1", "conv2_1")
    assert config.objective.content_layers == {"conv4_2": 0.5, "conv5_1": 1.0}
    assert (config.style, config.content) == ("a,b.png", "a: b #1.png")
    assert (config.start, config.device) == (None, "cpu")


def test_ways_of_combining_on_the_command_line():
    zipped = from_command_line(["alpha=1,2", "seed=3,4", "combine=zip"], BASE)
    assert (zipped.combine, len(zipped.lanes)) == ("zip", 2)
    texts = ["alpha={log_uniform: [1, 9]}", "combine=random", "samples=5"]
    assert len(from_command_line(texts, BASE).lanes) == 5


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["alfa=1,2"], "alfa=1,2: unknown axis alfa; did you mean alpha"),
        (["1,2"], "1,2: expected an axis, as alpha=1e-4,1e-3, or a setting"),
        (["=1,2"], "=1,2: expected an axis"),
        (["alpha=1,2", "alpha=3,4"], "alpha=3,4: alpha is given twice"),
        (["alpha=1,[2"], r"alpha=1,\[2: "),
        (['style="a.png,b.png'], "quotes or lines that do not end"),
        (["style=a\nb,c"], "quotes or lines that do not end"),
        (["style_layers.conv1_1=0"], "one weight is no axis; give several"),
        (["name=vgg16"], "name may be network.name or solver.name: write which"),
        (["samples=5"], "samples is for combine: random"),
        ([], "command line: no axes; give one"),
    ],
)
def test_bad_command_lines(texts, message):
    with pytest.raises(ValueError, match=message):
        read(None, split(texts)[1], BASE)


@pytest.mark.parametrize("text", ["size: 3\n", "size: 3\nsweep:\n", "", "sweep: 3\n"])
def test_a_file_without_a_sweep(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"run.yaml: sweep: expected axes, as alpha: "):
        load(path)
    assert len(load(path, ["seed=1,2"])[1].lanes) == 2


# --- what is refused --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alpha: []", "axis alpha: no values; give at least one, or leave it out"),
        ("alpha: {}", "axis alpha: no values"),
        ("alpha: 1", "axis alpha: expected a list of values, as [1, 2], not 1"),
        ("style: a.png", "axis style: expected a list of values, as [1, 2], not the"),
        ("alpha:", "axis alpha: expected a list of values, as [1, 2], not nothing"),
        ("alfa: [1]", "unknown axis alfa; did you mean alpha?"),
        ("stile: [1]", "unknown axis stile; did you mean style?"),
        (
            "objective.alfa: [1]",
            "unknown axis objective.alfa; did you mean objective.a",
        ),
        ("zzz: [1]", "unknown axis zzz (known: content, style, style_scale"),
        (
            "objective: {alpha: [1]}",
            "unknown axis objective; write objective.preset, f",
        ),
        ("1: [1]", "unknown axis 1"),
        ("name: [vgg16]", "name may be network.name or solver.name: write which"),
        (
            "style_layers.conv1_9: [1]",
            "unknown layer conv1_9; known are conv1_1, conv1",
        ),
        ("device: [cpu, gpu]", "axis device: device is the same for all lanes"),
        ("output.dir: [a, b]", "axis output.dir: output.dir is the same for all lanes"),
        ("alpha: [1e-3, 0.001]", "axis alpha: 0.001 is given twice"),
        ("style: {a: x.png, b: x.png}", "axis style: x.png is given twice"),
        ("style: {1: x.png, '1': y.png}", "axis style: a name is given twice in 1, 1"),
        ("style_layers: [conv1_1, [conv1_1]]", "axis style_layers: ['conv1_1'] is giv"),
        (
            "style_layers: [{conv1_1: 1}, {conv1_1: 1.0}]",
            "axis style_layers: {'conv1_1'",
        ),
        ("alpha: [-1]", "axis alpha, value -1: objective.alpha: a weight must be 0 or"),
        (
            "alpha: [1, x]",
            "axis alpha, value x: objective.alpha: expected a number, not",
        ),
        (
            "alpha: ['1e-3']",
            "axis alpha, value 1e-3: objective.alpha: expected a number",
        ),
        ("alpha: [[1]]", "axis alpha, value [1]: objective.alpha: expected a number"),
        ("alpha: {a: {b: 1}}", "axis alpha, value {'b': 1}: objective.alpha: expected"),
        ("alpha: {[1]: 2}", ""),
        ("size: [1.5]", "axis size, value 1.5: size: expected a whole number"),
        ("size: [0]", "axis size, value 0: size must be from 1"),
        (
            "pooling: [mean]",
            "axis pooling, value mean: network.pooling: expected one of",
        ),
        (
            "preset: [gatys]",
            "axis preset, value gatys: unknown preset 'gatys'; known a",
        ),
        ("style_layers: [relu]", "axis style_layers, value relu: unknown layer relu"),
        ("style_layers.conv1_1: [null]", "axis style_layers.conv1_1, value None: "),
        ("style_layers: {conv1_1: [0, 1]}", "axis style_layers: a mapping names sets"),
        (
            "style_layers: {conv1_1: 0.5}",
            "one layer write style_layers.conv1_1: [0, 1]",
        ),
        (
            "{alpha: [1], objective.alpha: [2]}",
            "alpha and objective.alpha are the same",
        ),
        ("{}", "no axes; give one, as alpha: [1e-4, 1e-3]"),
        ("{lanes: 3}", "no axes; give one"),
        ("[1, 2]", "expected axes, as alpha: [1e-4, 1e-3], not a list [1, 2]"),
        (
            "{alpha: [1], combine: cross}",
            "combine must be one of grid, zip, random, li",
        ),
        ("{alpha: [1], combine: [grid]}", "combine must be one of grid"),
        ("{alpha: [1], combine: null}", "combine must be one of grid"),
        ("{alpha: [1], samples: 3}", "samples is for combine: random"),
        ("{alpha: [1], sample_seed: 3}", "sample_seed is for combine: random"),
        ("{alpha: [1], lanes: 0}", "lanes must be from 1 up, not 0"),
        ("{alpha: [1], lanes: many}", "lanes: expected a whole number"),
        (
            "{alpha: [1, 2], seed: [1], combine: zip}",
            "zip needs axes with as many value",
        ),
        ("{alpha: [1, 1], seed: [2, 2], combine: zip}", "lanes 1 and 2 are equal"),
        ("{alpha: {a: 1, b: 1}, combine: zip}", "axis alpha: 1 is given twice"),
        (
            "{alpha: [1], combine: random}",
            "combine: random needs samples, as samples: 24",
        ),
        (
            "{alpha: [1], combine: random, samples: 0}",
            "samples must be from 1 up, not 0",
        ),
        (
            "{alpha: [1], combine: random, samples: x}",
            "samples: expected a whole number",
        ),
        ("{combine: random, samples: 2}", "no axes"),
        (
            "{alpha: [1], combine: random, samples: 1, sample_seed: -1}",
            "sample_seed mus",
        ),
        (
            "alpha: {uniform: [0, 1]}",
            "axis alpha: uniform and log_uniform are for combin",
        ),
        (
            "alpha: {log: [1, 2]}",
            "axis alpha: expected log: [from, to, count], not [1, 2",
        ),
        ("alpha: {log: 3}", "axis alpha: expected log: [from, to, count], not 3"),
        ("alpha: {log: [0, 1, 3]}", "axis alpha: log needs 0 < from < to, not [0, 1]"),
        (
            "alpha: {log: [a, 1, 3]}",
            "axis alpha: log: expected a number, not the text a",
        ),
        ("alpha: {log: [true, 2, 3]}", "axis alpha: log: expected a number"),
        ("alpha: {log: [1, 1, 3]}", "axis alpha: log needs 0 < from < to, not [1, 1]"),
        ("alpha: {log: [1, 2, 1]}", "axis alpha: count must be from 2 to 10000, not 1"),
        (
            "alpha: {log: [1, 2, 1000000000]}",
            "axis alpha: count must be from 2 to 10000",
        ),
        ("alpha: {linear: [1, .nan, 3]}", "axis alpha: linear: nan is not a finite"),
        ("seed: {linear: [0, 2, 9]}", "axis seed: 0 is given twice"),
        (
            "list: []",
            "list: expected lanes, as - {alpha: 1e-3, seed: 1}, not a list []",
        ),
        (
            "list: {alpha: 1}",
            "list: expected lanes, as - {alpha: 1e-3, seed: 1}, not a",
        ),
        (
            "combine: list",
            "list: expected lanes, as - {alpha: 1e-3, seed: 1}, not nothing",
        ),
        (
            "list: [3]",
            "list, lane 1: expected keys and values, as {alpha: 1e-3}, not 3",
        ),
        ("list: [{}]", "list, lane 1: expected keys and values"),
        (
            "list: [{seed: 1}, {sead: 2}]",
            "list, lane 2: unknown axis sead; did you mean",
        ),
        ("list: [{seed: 1}, {seed: 1}]", "lanes 1 and 2 are equal"),
        ("list: [{seed: 1}, {seed: -1}]", "axis seed, value -1: seed must be from 0"),
        (
            "list: [{alpha: 1, objective.alpha: 2}]",
            "list, lane 1: alpha and objective.a",
        ),
        ("{list: [{seed: 1}], alpha: [1]}", "a list has no other axes, such as alpha"),
        ("{list: [{seed: 1}], combine: zip}", "list is for combine: list"),
        (
            "list: [{style_layers.conv1_1: 1}, {seed: 1}]",
            "list, lane 2: style_layers.c",
        ),
    ],
)
def test_bad_sweeps(text, message):
    if not message:  # no YAML at all
        with pytest.raises(ValueError, match="hashable"):
            sweep_of(text)
        return
    assert message in refused(text)


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ("alpha: {uniform: [0]}", "axis alpha: expected uniform: [from, to], not [0]"),
        ("alpha: {uniform: [1, 0]}", "axis alpha: uniform needs from < to, not [1, 0]"),
        ("alpha: {log_uniform: [0, 1]}", "log_uniform needs 0 < from < to, not [0, 1]"),
        (
            "alpha: {uniform: [-1, 1]}",
            "axis alpha, value -1: objective.alpha: a weight",
        ),
        ("seed: {uniform: [0, 1.5]}", "axis seed, value 1.5: seed: expected a whole"),
        ("style: {uniform: [0, 1]}", "axis style holds text: give a list of values"),
        (
            "rescale: {uniform: [0, 1]}",
            "axis rescale, value 0: network.rescale: expect",
        ),
        ("seed: [1, 1]", "axis seed: 1 is given twice"),
    ],
)
def test_bad_ranges(ends, message):
    assert message in refused(f"{ends}\ncombine: random\nsamples: 4")


def test_a_wrong_base_is_not_blamed_on_an_axis():
    base = changed(BASE, objective={"preset": "gatys"})
    assert refused("seed: [1]", base).startswith("unknown preset 'gatys'")


def test_a_million_lanes_are_counted_not_made():
    axes = {name: list(range(100)) for name in ("alpha", "seed", "tv")}
    with pytest.raises(
        ValueError, match=r"1,000,000 lanes, more than 10,000: give few"
    ):
        parse(axes, BASE)
    with pytest.raises(ValueError, match="20,000 lanes"):
        parse({"combine": "random", "samples": 20_000, "seed": [1]}, BASE)
    with pytest.raises(ValueError, match="10,001 lanes"):
        parse({"combine": "zip", "seed": range(10_001)}, BASE)
    with pytest.raises(ValueError, match="10,001 lanes"):
        parse({"list": [{"seed": seed} for seed in range(10_001)]}, BASE)


def test_many_lanes_can_be_asked_for():
    axes = {"alpha": list(range(101)), "seed": list(range(100))}
    sweep = parse(axes, BASE, many=True)
    assert len(sweep.lanes) == 10_100
    assert sweep.lanes[-1].config == changed(BASE, seed=99, objective={"alpha": 100})


# --- the examples -----------------------------------------------------------------

EXAMPLES = {
    "grid_alpha_beta": (12, {"tv": 3, "alpha": 4}),
    "grid_layers_ratio": (20, {"style_layers": 5, "alpha": 4}),
    "seeds": (6, {"seed": 6}),
    "styles_x_contents": (8, {"content": 2, "style": 4}),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_have_the_lanes_they_say(name):
    base, sweep = load(ROOT / "configs" / f"{name}.yaml")
    lanes, axes = EXAMPLES[name]
    assert len(sweep.lanes) == lanes
    assert {axis.name: len(axis.values) for axis in sweep.axes} == axes
    assert len(groups(sweep)) == 1
    assert base.size == 256
    for lane in sweep.lanes:
        for path in (lane.config.content, lane.config.style):
            assert Path(path or "").is_file()


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_lane_runs_alone_from_its_own_file(name, tmp_path):
    _, sweep = load(ROOT / "configs" / f"{name}.yaml")
    texts = set()
    for lane in sweep.lanes:
        path = tmp_path / "lane.yaml"
        path.write_text(configs.to_yaml(lane.config))
        assert configs.load(path) == lane.config
        texts.add(path.read_text())
    assert len(texts) == len(sweep.lanes)


def test_figure_3_of_the_2015_paper():
    _, sweep = load(ROOT / "configs" / "grid_layers_ratio.yaml")
    layers, ratio = sweep.axes
    assert layers.labels == ("A", "B", "C", "D", "E")
    for depth, value in enumerate(layers.values, start=1):
        assert value == tuple(f"conv{block}_1" for block in range(1, depth + 1))
    assert ratio.values == (1e-5, 1e-4, 1e-3, 1e-2)
    assert sweep.lanes[0].config.objective.beta == 1


def test_mistakes_do_not_wait_for_jax():
    code = (
        "import sys, nst_jax.sweep_spec.command_line, nst_jax.sweep_spec.groups;"
        "sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
