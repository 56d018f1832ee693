import logging
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest

from nst_jax.host import (
    CACHE_OPTIONS,
    compile_cache_folder,
    find_device,
    on_device,
    use_compile_cache,
)


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


# --- compiled programs ----------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A place for programs, in a process whose user has not chosen one."""
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    before = jax.config.values["jax_compilation_cache_dir"]
    jax.config.update("jax_compilation_cache_dir", None)
    yield tmp_path / "compiled"
    jax.config.update("jax_compilation_cache_dir", before)


@pytest.fixture
def hits():
    """Counts programs that were found in the cache."""
    seen = []

    def listen(name, **_):
        if name == "/jax/compilation_cache/cache_hits":
            seen.append(name)

    jax.monitoring.register_event_listener(listen)
    yield seen
    jax.monitoring.unregister_event_listener(listen)


def square_sum():
    """Compiled anew each time, as in a new process: JAX looks by function."""

    @jax.jit
    def a_program(x):
        return (x * x).sum()

    return float(a_program(np.arange(5.0)))


def programs(folder):
    return sorted(folder.glob("jit_a_program-*-cache"))


def settings():
    names = [*CACHE_OPTIONS, "jax_compilation_cache_dir", "jax_logging_level"]
    return {name: jax.config.values[name] for name in names}


def test_programs_are_kept_for_the_next_process(folder, hits, capfd):
    for _ in range(2):
        with use_compile_cache(True, folder=folder):
            assert square_sum() == 30
    assert len(programs(folder)) == 1
    assert len(hits) >= 1
    assert capfd.readouterr().err == ""


def test_the_settings_of_jax_are_changed_inside_only(folder):
    before, handlers = settings(), list(logging.getLogger("jax").handlers)
    with use_compile_cache(True, folder=folder):
        assert settings() != before
    assert settings() == before
    assert logging.getLogger("jax").handlers == handlers
    square_sum()
    assert programs(folder) == []


def test_the_settings_come_back_after_an_error(folder):
    before = settings()
    with pytest.raises(ZeroDivisionError), use_compile_cache(True, folder=folder):
        raise ZeroDivisionError
    assert settings() == before


def test_off_means_off(folder):
    before = settings()
    with use_compile_cache(False, folder=folder):
        assert settings() == before
        square_sum()
    assert not folder.exists()


def test_a_cache_of_the_users_own_is_left_alone(folder, tmp_path):
    own = tmp_path / "own"
    jax.config.update("jax_compilation_cache_dir", str(own))
    before = settings()
    with use_compile_cache(True, folder=folder):
        assert settings() == before
    assert not folder.exists()


def test_a_folder_that_cannot_be_made_costs_nothing_but_time(folder):
    folder.write_text("a file stands in the way")
    with use_compile_cache(True, folder=folder / "compiled"):
        assert square_sum() == 30


def test_a_folder_that_others_may_write_to_is_not_used(folder):
    folder.mkdir()
    folder.chmod(0o777)
    with use_compile_cache(True, folder=folder):
        square_sum()
    assert programs(folder) == []


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_cache_is_emptied_without_a_word(folder, hits, capfd, damage):
    with use_compile_cache(True, folder=folder):
        square_sum()
    for file in folder.glob("*-cache"):
        data = file.read_bytes()
        file.write_bytes(data[: len(data) // 2] if damage is None else damage)
    with use_compile_cache(True, folder=folder):
        assert square_sum() == 30
    assert hits == []
    assert not folder.exists()
    assert capfd.readouterr().err == ""
    for _ in range(2):
        with use_compile_cache(True, folder=folder):
            assert square_sum() == 30
    assert hits != []


def test_other_warnings_are_shown_as_ever(folder):
    with pytest.warns(UserWarning, match="of another kind"):  # noqa: SIM117
        with use_compile_cache(True, folder=folder):
            warnings.warn("of another kind", UserWarning, stacklevel=1)


def test_processors_that_share_a_home_folder_do_not_share_programs(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("NST_JAX_CACHE_DIR", str(tmp_path))
    here = compile_cache_folder()
    assert here == compile_cache_folder()
    assert here.parent == tmp_path / "compiled"
    monkeypatch.setattr(Path, "read_text", lambda self: "flags : sse2\nother : 1")
    elsewhere = compile_cache_folder()
    assert elsewhere != here
    monkeypatch.setattr(Path, "read_text", lambda self: "flags : sse2\nother : 2")
    assert elsewhere == compile_cache_folder()
