"""The example that needs no files: `nst-jax demo`, and what `auto` says."""

import json

import yaml


def small(run_cli, *arguments):
    return run_cli(
        "demo", "--size", "48", "--iterations", "2", "--out", "out", *arguments
    )


def test_the_demo_runs_on_the_embedded_network_and_says_so(run_cli, workdir):
    ran = small(run_cli)
    assert ran.code == 0
    first, note, *_ = ran.out.splitlines()
    assert "vgg19-tiny" in first
    assert note.startswith("weights: vgg19-tiny")
    assert "nst-jax weights fetch vgg19-8bit (18.5 MB)" in note
    manifest = json.loads((workdir / "out" / "manifest.json").read_text())
    assert manifest["weights"]["note"] == note
    assert len(manifest["weights"]["sha256"]) == 64


def test_the_resolved_config_names_the_network_that_was_used(run_cli, workdir):
    assert small(run_cli).code == 0
    config = yaml.safe_load((workdir / "out" / "config.yaml").read_text())
    assert config["network"]["weights"] == "vgg19-tiny"
    again = run_cli("stylize", "--config", "out/config.yaml", "--out", "again")
    assert again.code == 0
    pictures = [(workdir / n / "result.png").read_bytes() for n in ("out", "again")]
    assert pictures[0] == pictures[1]
    # Named, it is no fallback any more.
    assert "weights: vgg19-tiny" not in again.out


def test_vgg19_by_name_never_falls_back(run_cli, workdir, monkeypatch):
    from nst_jax.features import download

    def offline(*arguments, **options):
        raise ConnectionError("no connection")

    monkeypatch.setattr(download, "retrieve", offline)
    monkeypatch.setattr("nst_jax.features.pretrained.retrieve", offline, raising=False)
    ran = small(run_cli, "network.weights=vgg19")
    assert ran.code == 2
    assert "vgg19-dcbb9e9d.pth" in ran.err or "no connection" in ran.err
    assert not (workdir / "out").exists()
