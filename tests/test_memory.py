"""The memory plan.

PEAKS are ``peak_memory_bytes`` of the manifests of whole processes, jax 0.10.1 on two
cores, measured by::

    nst-jax stylize --content configs/pictures/town.jpg
        --style configs/pictures/night_sky.jpg --size SIZE --weights WEIGHTS
        --iterations M solver.history=M compile_cache=false scales=[SIZE]
        solver.checkpoint_seconds=0

and solver.memory=fast, or low for the blocks that are computed again. With compiled
programs in the cache peaks are up to 0.2 GB lower; a checkpoint copies the solver's
state.
"""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from nst_jax import memory
from nst_jax.features.layout import BLOCK_CHANNELS, block, up_to_deepest
from nst_jax.features.vgg import Network
from nst_jax.memory import Work, available_bytes, largest_size, plan, predict

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("conv4_2", "conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
FULL = BLOCK_CHANNELS
QUARTER = tuple(channels // 4 for channels in FULL)
TINY = (12, 24, 48, 96, 96)  # vgg19-tiny
ALL = (1, 2, 3, 4, 5)
# Both pictures as read: 768 x 576 and 768 x 599.
READ = 12 * 768 * (576 + 599)

# widths, size, history, blocks computed again, megabytes
PEAKS = [
    (TINY, 128, 40, (), 694),
    (TINY, 256, 5, (), 729),
    (TINY, 512, 40, (), 1059),
    (TINY, 1024, 40, (), 1436),
    (TINY, 2048, 40, (), 3709),
    (QUARTER, 256, 40, (), 827),
    (QUARTER, 512, 5, (), 954),
    (QUARTER, 512, 5, (1, 2), 1010),
    (QUARTER, 512, 40, (), 1053),
    (QUARTER, 512, 100, (), 1265),
    (QUARTER, 1024, 5, (), 1214),
    (QUARTER, 1024, 5, (1, 2), 1116),
    (QUARTER, 1024, 40, (), 1514),
    (QUARTER, 2048, 5, (), 2719),
    (QUARTER, 2048, 5, (1, 2), 2402),
    (QUARTER, 2048, 40, (), 4041),
    (FULL, 256, 40, (), 1001),
    (FULL, 512, 5, (), 1251),
    (FULL, 512, 5, (1, 2), 1174),
]


def work(widths=QUARTER, size=512, history=20, remat=(), **changes) -> Work:
    names = up_to_deepest("vgg19", frozenset(LAYERS))
    network = Network(
        "vgg19", tuple((name, widths[block(name) - 1]) for name in names), remat=remat
    )
    content, style = (size * 3 // 4, size), (size * 49 // 64, size * 251 // 256)
    asked = Work(network, content, style, LAYERS, history, pictures=READ, rounded=True)
    return asked._replace(**changes)


@pytest.mark.parametrize(("widths", "size", "history", "remat", "peak"), PEAKS)
def test_the_formula_is_within_a_fifth_of_what_was_measured(
    widths, size, history, remat, peak
):
    predicted = predict(work(widths, size, history, remat)) / 1e6
    assert 0.8 < predicted / peak < 1.2


def run_and_measure(tmp_path, size: int, *overrides: str) -> int:
    pictures = ROOT / "configs" / "pictures"
    arguments = (
        *("--content", pictures / "town.jpg", "--style", pictures / "night_sky.jpg"),
        *("--size", size, "--iterations", 2, "--out", tmp_path / "run", "--quiet"),
        *("solver.history=2", "compile_cache=false", *overrides),
    )
    command = [sys.executable, "-m", "nst_jax", "stylize", *map(str, arguments)]
    subprocess.run(command, check=True, cwd=ROOT)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    return manifest["peak_memory_bytes"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no peak in the manifest")
def test_the_formula_still_holds_for_a_run(tmp_path):
    peak = run_and_measure(tmp_path, 128, "network.weights=vgg19-tiny")
    assert 0.65 < predict(work(TINY, 128, 2)) / peak < 1.5


@pytest.mark.slow
@pytest.mark.parametrize("size", [512, 1024])
def test_the_formula_still_holds_for_larger_runs(tmp_path, size):
    peak = run_and_measure(tmp_path, size, "network.weights=random")
    assert 0.75 < predict(work(FULL, size, 2)) / peak < 1.35


# --- the formula ----------------------------------------------------------------


def test_more_of_anything_needs_more():
    for smaller, larger in [
        ({"size": 256}, {"size": 264}),
        ({"history": 5}, {"history": 6}),
        ({"widths": QUARTER}, {"widths": FULL}),
        ({"history": None}, {"history": 20}),
        ({"lanes": 1}, {"lanes": 2}),
        ({"pictures": 0}, {"pictures": 10**8}),
        ({"history": 5, "remat": ALL}, {"history": 5, "remat": ()}),
        ({"history": 5, "remat": (1, 2)}, {"history": 5, "remat": ()}),
    ]:
        assert predict(work(**smaller)) < predict(work(**larger)), (smaller, larger)


def test_a_large_history_is_counted_twice():
    # A checkpoint copies it: 12 bytes per pixel and pair, or 24, by hand.
    one, other = (predict(work(history=m)) for m in (1000, 1100))
    assert other - one == 2 * 12 * 100 * 512 * 384
    one, other = (predict(work(history=m, rounded=False)) for m in (1000, 1100))
    assert other - one == 2 * 24 * 100 * 512 * 384


def test_a_large_style_picture_counts_while_targets_are_made():
    asked = work(history=1, style=(4000, 4000))
    assert predict(asked) - predict(asked._replace(style=(3000, 4000))) == (
        memory.FORWARD * 4 * 16 * 4_000_000
    )


def test_layers_below_the_deepest_target_do_not_count():
    shallow = work(history=2, layers=("conv1_1",))
    assert predict(shallow) < predict(work(history=2))


def test_pooling_padding_and_precision_count():
    asked = work(history=2)

    def changed(**option):
        return predict(asked._replace(network=asked.network._replace(**option)))

    assert changed(pooling="max") > predict(asked)
    assert changed(padding="reflect") > predict(asked)
    assert changed(precision="bfloat16") < predict(asked)


def test_an_accelerator_holds_no_process_and_no_read_pictures():
    here, there = (predict(work(pictures=size), platform="gpu") for size in (0, 10**9))
    assert here == there
    assert here < predict(work(pictures=0))


# --- the choice -----------------------------------------------------------------


def chosen(available, **options):
    made = plan(work(FULL, 512, 20), available=available, **options)
    return made.work.network.remat, made.work.history


def test_auto_takes_the_first_that_fits_in_the_documented_order():
    order = [(remat, m) for m in (20, 10, 5) for remat in ((), (1, 2), ALL)]
    needs = [predict(work(FULL, 512, m, remat)) for remat, m in order]
    for available in needs:
        first = next(i for i, need in enumerate(needs) if need <= available)
        assert chosen(available) == order[first]
    assert len({chosen(available) for available in needs}) >= 4
    assert chosen(10**12) == ((), 20)
    assert chosen(None) == ((), 20)


def test_low_takes_the_one_that_needs_least_in_any_case():
    assert chosen(10**12, memory="low") == ((1, 2), 5)
    short = plan(work(history=3), memory="low", available=None)
    assert short.work.history == 3
    assert plan(work(history=None), memory="low", available=None).work.history is None


def test_fast_is_as_asked_and_says_so_if_it_will_not_fit():
    made = plan(work(size=2048), memory="fast", available=10**9)
    assert made.work == work(size=2048)
    assert made.text.endswith("of 1.0 GB free, which is not enough by this estimate")


def test_the_line_says_what_is_needed_and_what_was_chosen():
    made = plan(work(), available=20 * 10**9)
    assert made.text == f"memory: about {made.predicted / 1e9:.1f} GB of 20.0 GB free"
    low = plan(work(), memory="low", available=20 * 10**9).text
    assert low.endswith("to save memory: blocks 1 and 2 computed twice, history 5")
    few = predict(work(history=5, remat=(1, 2)))
    twice = plan(work(history=5), available=few).text
    assert twice.endswith("to save memory: blocks 1 and 2 computed twice")
    assert "not known" in plan(work(), available=None).text


@pytest.mark.parametrize("available", [10**9, 2 * 10**9, 5 * 10**9])
def test_when_nothing_fits_a_size_is_named_that_does(available):
    asked = work(FULL, 4096)
    with pytest.raises(ValueError, match="the largest size that fits is ") as error:
        plan(asked, available=available)
    assert "size 4096 needs about" in str(error.value)
    size = int(str(error.value).rsplit(" ", 1)[1])
    assert 32 <= size < 4096
    assert plan(work(FULL, size), available=available).predicted <= available
    with pytest.raises(ValueError, match="the largest size"):
        plan(work(FULL, size + 24), available=available)


def test_when_no_size_fits_that_is_said():
    with pytest.raises(ValueError, match="no size fits: free some memory"):
        plan(work(), available=10**8)
    assert largest_size(work(), available=10**8) is None


# --- what is available ------------------------------------------------------------


def device(platform, stats=None):
    return SimpleNamespace(platform=platform, memory_stats=lambda: stats)


def test_a_device_is_asked_for_its_own_memory():
    stats = {"bytes_limit": 80, "bytes_in_use": 30}
    assert available_bytes(device("gpu", stats)) == 50
    assert available_bytes(device("tpu", None)) is None
    assert available_bytes(device("gpu", {"bytes_in_use": 3})) is None


def test_a_cpu_has_what_is_free_and_what_this_process_has(monkeypatch):
    whole = memory.psutil.virtual_memory().total
    assert 0 < available_bytes(device("cpu")) <= whole
    monkeypatch.setattr(memory, "_free_in_groups", lambda root: [1000, 500])
    held = available_bytes(device("cpu"))
    assert 500 < held < whole


def write_tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_control_groups_of_version_2(tmp_path):
    group = "sys/fs/cgroup/outer/inner"
    write_tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/outer/inner\n",
            f"{group}/memory.max": "max\n",
            f"{group}/memory.current": "5\n",
            f"{group}/memory.stat": "anon 5\n",
            "sys/fs/cgroup/outer/memory.max": "1000\n",
            "sys/fs/cgroup/outer/memory.current": "600\n",
            "sys/fs/cgroup/outer/memory.stat": "anon 500\ninactive_file 100\n",
        },
    )
    assert memory._free_in_groups(tmp_path) == [500]


def test_control_groups_of_version_1_as_seen_inside_a_container(tmp_path):
    # The path is the host's; inside, the group is mounted at the root.
    write_tree(
        tmp_path,
        {
            "proc/self/cgroup": "9:cpu:/docker/x\n4:memory:/docker/x\n0::/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "1000\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "1200\n",
            "sys/fs/cgroup/memory/memory.stat": "cache 0\n",
        },
    )
    assert memory._free_in_groups(tmp_path) == [0]


def test_without_control_groups_there_is_nothing_to_heed(tmp_path):
    assert memory._free_in_groups(tmp_path) == []
