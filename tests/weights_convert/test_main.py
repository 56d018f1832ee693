import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from nst_jax.features.weights import read
from tests.reference import torch_files as make
from tests.reference.vgg_arrays import (
    random_layers,
    under_caffe_names,
    under_torchvision_names,
)
from weights_convert.__main__ import main


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.pth"
    make.write_zip(path, under_torchvision_names(random_layers(count=5), "vgg19"))
    return str(path)


def fails(capsys, *arguments) -> str:
    """Exit code 2, nothing on stdout, one line on stderr: that line."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("command", ["auto", "torchvision"])
def test_convert_and_verify(source, tmp_path, capsys, command):
    target = str(tmp_path / "x.h5")
    assert main([command, source, target, "--name", "mine", "--licence", "MIT"]) == 0
    assert "mine, 5 layers to conv3_1" in capsys.readouterr().out
    assert (read(target).name, read(target).licence) == ("mine", "MIT")
    assert main(["verify", target, "--source", source]) == 0
    assert "source's hash is right" in capsys.readouterr().out


def test_caffe_and_keras_commands(source, tmp_path, capsys):
    other = str(tmp_path / "caffe.pth")
    make.write_legacy(other, under_caffe_names(random_layers(count=2)))
    target = str(tmp_path / "x.h5")
    assert main(["caffe", other, target]) == 0
    assert read(target).input.channel_order == "BGR"
    capsys.readouterr()
    assert "not a readable HDF5" in fails(capsys, "keras", other, target + "2")
    assert "front of no known network" in fails(capsys, "caffe", source, target + "2")


def test_existing_files_are_kept(source, tmp_path, capsys):
    target = tmp_path / "x.h5"
    target.write_text("precious")
    assert "--overwrite" in fails(capsys, "auto", source, str(target))
    assert target.read_text() == "precious"
    assert main(["auto", source, str(target), "--overwrite"]) == 0
    assert len(read(target).params) == 5


def test_calibrate(source, tmp_path, capsys):
    target, other = str(tmp_path / "x.h5"), str(tmp_path / "y.h5")
    main(["auto", source, target])
    capsys.readouterr()
    pictures = str(tmp_path)
    assert "no pictures" in fails(capsys, "calibrate", target, "--pictures", pictures)
    Image.fromarray(np.full((16, 24, 3), 99, np.uint8)).save(tmp_path / "a.png")
    arguments = ["calibrate", target, "--pictures", pictures, "--out", other]
    assert main(arguments) == 0
    assert "of 1 pictures" in capsys.readouterr().out
    assert set(read(other).mu) == {"avg", "max"}
    assert "--overwrite" in fails(capsys, *arguments)


def test_errors(source, tmp_path, capsys):
    target = str(tmp_path / "x.h5")
    missing = str(tmp_path / "none")
    assert missing in fails(capsys, "auto", missing, target)
    assert missing in fails(capsys, "verify", missing)
    assert str(tmp_path) in fails(capsys, "auto", str(tmp_path), target)
    fails(capsys, "auto", source, f"{missing}/x.h5")
    evil = tmp_path / "evil.pth"
    make.write_zip(evil, {}, body=make.call("os", "system", make.plain("true")))
    assert fails(capsys, "auto", str(evil), target) == (
        f"error: {evil}: refuses to load os.system: a weights file holds tensors only\n"
    )


def test_as_a_program_without_jax(source, tmp_path):
    """Converting needs neither jax nor PyTorch."""
    program = (
        "import runpy, sys\n"
        "sys.modules['torch'] = sys.modules['jax'] = None\n"
        "runpy.run_module('weights_convert', run_name='__main__', alter_sys=True)\n"
    )
    arguments = ["auto", source, str(tmp_path / "x.h5")]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    usage = subprocess.run(
        [sys.executable, "-m", "weights_convert", "convert"],
        capture_output=True,
        text=True,
    )
    assert usage.returncode == 2
    assert "Traceback" not in usage.stderr
