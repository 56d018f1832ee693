import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from nst_jax.features.random_weights import random_weights
from nst_jax.features.rescale import mean_activations, rescale
from nst_jax.features.vgg import device_params, network_of
from nst_jax.features.weights import read
from scripts import train_tiny
from scripts.tiny import distill
from scripts.tiny import pictures as made
from scripts.tiny import teacher as imitated
from scripts.tiny.start import he_normal
from scripts.tiny.teacher import make_teacher, strongest
from scripts.train_tiny import Plan, Recorder, parse, train

PLAN = Plan(
    widths=(4, 8, 16, 1, 1), steps=8, batch=2, size=32, procedural=4, made_size=64
)
FULL = (8, 16, 32, 1, 1)


@pytest.fixture(scope="module", autouse=True)
def _shallow():
    """Five layers instead of thirteen: most of the time goes into compiling."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imitated, "DEEPEST", "conv3_1")
        patch.setattr(train_tiny, "CALIBRATION", 8)
        yield


@pytest.fixture(scope="module")
def teacher_weights():
    return random_weights("vgg19", seed=1, width=1 / 8, deepest="conv3_1")


@pytest.fixture(scope="module")
def photos():
    rng = np.random.default_rng(5)
    return [made.regions(rng, 64), made.strokes(rng, 64)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, teacher_weights, photos):
    """A folder with the weights file and the log of a training, and its last state."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "others").mkdir()
    picture = made.gradients(np.random.default_rng(6), 64)
    Image.fromarray((picture * 255).astype(np.uint8)).save(folder / "others" / "a.png")
    options = parse(
        [
            *("--teacher", str(folder / "teacher.h5"), "--checkpoint", "4"),
            *("--holdout", str(folder / "others"), "--holdout-size", "64"),
            *("--output", str(folder / "tiny.h5"), "--log", str(folder / "log.json")),
        ]
    )
    plan = PLAN._replace(layerwise=0.5)
    return folder, train(plan, teacher_weights, photos, Recorder(options), every=2)


def test_log_tells_the_phases_and_the_errors(trained):
    log = json.loads((trained[0] / "log.json").read_text())
    rows = [(row["step"], row["layerwise"]) for row in log["training"]]
    assert rows == [(2, True), (4, True), (6, False), (8, False)]
    assert [row["step"] for row in log["validation"]] == [4, 8]
    assert set(log["validation"][-1]["errors"]) == set(trained[1].params)
    assert log["held_out"] == ["a.png"]


def test_log_names_no_folders(trained):
    text = (trained[0] / "log.json").read_text()
    assert "teacher.h5" in text
    assert str(trained[0]) not in text


def test_file_is_read_back(trained):
    weights = read(trained[0] / "tiny.h5")
    widths = [arrays["bias"].size for arrays in weights.params.values()]
    assert widths == [4, 4, 8, 8, 16]
    assert weights.name == "vgg19-tiny"
    assert "Huan Wang" in weights.licence
    assert len(weights.sha256) == 64
    assert not weights.mu


def test_network_in_the_file_answers_in_the_teachers_units(trained, photos):
    """Its responses are the scaled ones of the training times the scale."""
    folder, last = trained
    weights = read(folder / "tiny.h5")
    network = network_of(weights)
    params = device_params(weights)
    answers = network(params, photos[0], network.layers)
    scaled = network(last.params, photos[0], network.layers)
    for layer, answer in answers.items():
        expected = np.asarray(scaled[layer] * last.teacher.scale[layer])
        # The file holds float16.
        np.testing.assert_allclose(answer, expected, atol=5e-3 * expected.max())


def test_same_seed_same_weights_and_another_seed_others(teacher_weights, photos):
    plan = PLAN._replace(steps=3)
    first, again, other = (
        train(p, teacher_weights, photos).params["conv3_1"]["kernel"]
        for p in (plan, plan, plan._replace(seed=1))
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


@pytest.fixture(scope="module")
def pictures():
    return np.stack(made.procedural(np.random.default_rng(2), 4, 32))


@pytest.fixture(scope="module")
def teacher(teacher_weights, pictures):
    """Half of the channels chosen."""
    return make_teacher(teacher_weights, PLAN.widths, pictures)


@pytest.fixture(scope="module")
def whole(teacher_weights, pictures):
    """All of the channels chosen."""
    return make_teacher(teacher_weights, FULL, pictures)


@pytest.mark.parametrize("layerwise", [True, False])
def test_each_phase_reduces_the_loss(teacher, pictures, layerwise):
    params = he_normal(teacher, seed=0)
    state, losses = distill.OPTIMISER.init(params), []
    for _ in range(40):
        params, state, loss, _ = distill.step(
            teacher, params, state, 3e-3, pictures, layerwise=layerwise
        )
        losses.append(float(loss))
    assert losses[-1] < 0.6 * losses[0]


def test_strongest_by_hand():
    means = jnp.array([3.0, 1.0, 2.0, 5.0])
    np.testing.assert_array_equal(strongest(means, 2), [0, 3])
    np.testing.assert_array_equal(strongest(means, 4), [0, 1, 2, 3])


def test_teacher_keeps_the_channels_that_respond_most(teacher, pictures):
    layers = tuple(teacher.params)
    for layer in layers:
        responses = [
            np.asarray(teacher.network(teacher.params, p, layers)[layer])
            for p in pictures
        ]
        means = np.mean(responses, (0, 1, 2))
        kept = np.asarray(teacher.chosen[layer])
        dropped = np.setdiff1d(np.arange(means.size), kept)
        assert kept.size == dropped.size == means.size // 2
        assert means[kept].min() >= means[dropped].max()


def test_the_first_weights_are_random_and_hardly_a_channel_is_dead(teacher, pictures):
    params, others = (he_normal(teacher, seed=seed) for seed in (0, 1))
    first, second = (p["conv1_2"]["kernel"].ravel() for p in (params, others))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.2
    kernel = params["conv1_2"]["kernel"]
    expected = np.sqrt(2 / (9 * kernel.shape[2])) / 2
    np.testing.assert_allclose(kernel.std(), expected, rtol=0.2)
    for layer, response in imitated.run(teacher.student, params, pictures).items():
        alive = (np.asarray(response).max((0, 1, 2)) > 0).mean()
        assert alive > 0.8, layer


def test_unscaled_undoes_the_scale(whole):
    scaled = rescale(whole.params, whole.scale)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        distill.unscaled(scaled, whole),
        whole.params,
    )


def test_held_out_error_of_the_teacher_itself_is_zero(whole, photos):
    perfect = rescale(whole.params, whole.scale)
    for layerwise in (True, False):
        errors = distill.held_out_errors(perfect, whole, photos, layerwise=layerwise)
        assert max(errors.values()) < 1e-9


def test_held_out_error_of_the_best_constant_is_one(whole, photos):
    means = mean_activations(whole.network, whole.params, photos)
    constant = {
        layer: {
            "kernel": jnp.zeros_like(arrays["kernel"]),
            "bias": means[layer] / whole.scale[layer],
        }
        for layer, arrays in whole.params.items()
    }
    errors = distill.held_out_errors(constant, whole, photos)
    np.testing.assert_allclose(list(errors.values()), 1, rtol=1e-3)


def test_layerwise_a_fault_stays_in_its_layer(whole, photos):
    params = rescale(whole.params, whole.scale)
    params["conv2_1"] = {k: 0.5 * v for k, v in params["conv2_1"].items()}
    alone = distill.held_out_errors(params, whole, photos, layerwise=True)
    together = distill.held_out_errors(params, whole, photos)
    assert [k for k, error in alone.items() if error > 1e-3] == ["conv2_1"]
    wrong = [k for k, error in together.items() if error > 1e-3]
    assert wrong == ["conv2_1", "conv2_2", "conv3_1"]


def test_learning_rate_rises_and_falls():
    rates = [distill.learning_rate(3.0, s) for s in (0, distill.WARM_UP, 0.51, 1)]
    np.testing.assert_allclose(rates, [0, 3, 1.5, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ((2, 2, 2, 2), "5 positive numbers"),
        ((2, 2, 2, 2, 0), "5 positive numbers"),
        ((8, 17, 2, 2, 2), "conv2_1 of the teacher has 16 channels, not 17"),
    ],
)
def test_bad_widths_are_refused(teacher_weights, pictures, widths, message):
    with pytest.raises(ValueError, match=message):
        make_teacher(teacher_weights, widths, pictures)


@pytest.mark.parametrize("seed", range(3))
def test_procedural_pictures_are_in_range(seed):
    first, again = (
        made.procedural(np.random.default_rng(seed), 8, 48) for _ in range(2)
    )
    for picture, same in zip(first, again, strict=True):
        assert picture.shape == (48, 48, 3)
        assert picture.dtype == np.float32
        assert picture.min() >= 0
        assert picture.max() <= 1
        assert picture.std() > 0.01
        np.testing.assert_array_equal(picture, same)


def test_power_noise_has_its_slope():
    noise = made.power_noise(np.random.default_rng(0), 256, 1.0)
    assert noise.std() == pytest.approx(1, abs=1e-3)
    power = np.abs(np.fft.fft2(noise)) ** 2
    cycles = np.fft.fftfreq(256, 1 / 256)
    radius = np.round(np.hypot(cycles[:, None], cycles))
    # Power 1/f^2: a quarter of the frequency, 16 times the power.
    ratio = power[radius == 16].mean() / power[radius == 64].mean()
    assert ratio == pytest.approx(16, rel=0.4)


def test_batches_are_pictures(photos):
    stream = made.batches(np.random.default_rng(0), photos, photos, batch=3, size=32)
    drawn = [next(stream) for _ in range(10)]
    assert {batch.shape for batch in drawn} == {(3, 32, 32, 3)}
    assert min(batch.min() for batch in drawn) >= 0
    assert max(batch.max() for batch in drawn) <= 1


@pytest.mark.parametrize("shape", [(20, 30), (40, 200), (500, 400)])
def test_crop_of_a_ramp_is_a_ramp(shape):
    """Position and scale vary, straight lines stay straight."""
    ramp = np.broadcast_to(np.arange(shape[1])[:, None] / shape[1] * 255, (*shape, 3))
    picture = Image.fromarray(ramp.astype(np.uint8))
    drawn = [made.crop(np.random.default_rng(s), picture, 32) for s in range(8)]
    slopes = [row[:, 16, 0].std() for row in drawn]
    assert max(slopes) < 0.01
    steps = [(part[16, 31, 0] - part[16, 0, 0]) for part in drawn]
    assert min(steps) >= 0
    assert len({round(float(step), 3) for step in steps}) > 1


def test_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no pictures"):
        made.read_folders([tmp_path])
