import jax
import pytest

from nst_jax.host import find_device, on_device


@pytest.mark.parametrize("wanted", ["cpu", "CPU", "cpu:0"])
def test_devices_are_found_by_name(wanted):
    assert find_device(wanted) == jax.devices("cpu")[0]


def test_without_a_wish_the_best_device_is_taken():
    assert find_device(None) == jax.devices()[0]


@pytest.mark.parametrize("wanted", ["foo", "cpu:99", "cpu:-1", "cpu:x", "cpu:", ":0"])
def test_unknown_devices_are_refused_with_those_there_are(wanted):
    with pytest.raises(ValueError, match=f"device '{wanted}' is not there.*sees .*:0"):
        find_device(wanted)


def test_no_device_at_all_is_one_clear_line(monkeypatch):
    def none(platform=None):
        raise RuntimeError("Unable to initialize backend\nand so on")

    monkeypatch.setattr(jax, "devices", none)
    with pytest.raises(ValueError, match="JAX finds no device") as error:
        find_device(None)
    assert "\n" not in str(error.value)


def test_the_device_is_the_default_inside_only():
    before = jax.config.jax_default_device  # pyright: ignore
    with on_device("cpu") as device:
        assert jax.config.jax_default_device == device  # pyright: ignore
    assert jax.config.jax_default_device == before  # pyright: ignore
