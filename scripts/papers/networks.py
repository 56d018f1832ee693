"""What needs weights that do not come along: they are never fetched for it."""

from scripts.papers import laws
from scripts.papers.experiment import Experiment, Found, Law
from scripts.papers.figures import curves, strip
from scripts.papers.lab import Lab
from scripts.papers.ratios import scored
from scripts.papers.settings import EARLY, SWAPPED

# Losses that the authors' PyTorch notebook shows for Starry Night on Tuebingen; label k
# is the loss of evaluation k - 1, and the trace begins with evaluation 1 at place 0.
NOTEBOOK = {
    50: 1388532.5, 100: 707860.75, 150: 538045.44, 200: 469374.88, 250: 433804.63,
    300: 411657.56, 350: 395248.25, 400: 383885.31, 450: 375128.75, 500: 368493.78,
}  # fmt: skip
# The original network, with each layer's kernel clustered to 256 values.
NOTEBOOK_WEIGHTS = "vgg19-8bit"
NOTEBOOK_SIZE = 682  # 682 x 512: the notebook's shorter side is 512


def vgg16(lab: Lab) -> Found:
    """800 pixels with VGG-16."""
    size = 800 if not lab.settings.quick else lab.settings.size
    (run,) = lab.with_weights("vgg16").run([{"alpha": 1e-3, "size": size,
                                             "scales": [size]}])  # fmt: skip
    marks = [lab.iterations(n) for n in (100, 300, 500)]
    rows = [
        {"iteration": n, **{t: run.at(n, t) for t in ("total", "content", "style")}}
        for n in marks
    ]
    return Found(rows, {"": strip([(f"{size} px, vgg16", run.picture)], columns=1)})


def pretrained(lab: Lab) -> Found:
    """The same run with VGG-19, VGG-16, and the authors' own VGG-19."""
    rows, tiles = [], []
    for name in ("vgg19", "vgg16", "vgg19-caffe"):
        (run,) = lab.with_weights(name).run([{"alpha": 1e-3}])
        rows.append(scored(lab, {"weights": name}, run))
        tiles.append((name, run.picture))
    return Found(rows, {"": strip(tiles)})


def notebook(lab: Lab) -> Found:
    """The recipe of the authors' notebook, evaluation by evaluation.

    With L-BFGS on the pixels, as the notebook has it, and in this project's basis.
    """
    size = NOTEBOOK_SIZE
    settings = {
        "size": size,
        "scales": [size],
        "start": "content",
        "objective": {"preset": "gatys-notebook"},
    }
    bases = {"pixels": False, "large forms first": True}
    runs = lab.with_weights(NOTEBOOK_WEIGHTS).alone(
        [
            {**settings, "solver": {"history": 100, "preconditioned": preconditioned}}
            for preconditioned in bases.values()
        ]
    )
    rows = []
    for n, loss in NOTEBOOK.items():
        losses = {name: run.at(n - 2) for name, run in zip(bases, runs, strict=True)}
        ratios = {f"{name} / published": losses[name] / loss for name in bases}
        rows.append({"evaluations": n, "published": loss, **losses, **ratios})
    lines = {"published": list(NOTEBOOK.items())}
    for name, run in zip(bases, runs, strict=True):
        lines[name] = [(i + 1, row["total"]) for i, row in enumerate(run.trace)]
    tiles = [(name, run.picture) for name, run in zip(bases, runs, strict=True)]
    return Found(rows, {"curves": curves(lines), "": strip(tiles, columns=2)})


EXPERIMENTS = (
    Experiment(
        "vgg16",
        "800 x 600 with VGG-16",
        "500 iterations from noise with another network, as many tutorials have it.",
        vgg16,
        (Law(laws.falls, {"column": "total", "factor": 1.0}, EARLY),),
        needs=("vgg16",),
    ),
    Experiment(
        "pretrained",
        "Another pretrained network",
        "vgg19, vgg16 and the authors' own weights (vgg19-caffe), all rescaled to unit "
        "mean activation, so that one alpha/beta means about the same.",
        pretrained,
        (Law(laws.at_most, {"column": "random_filters", "most": 0.3}, SWAPPED),),
        needs=("vgg19", "vgg16", "vgg19-caffe"),
    ),
    Experiment(
        "notebook",
        "The losses of the authors' notebook",
        "The preset gatys-notebook on the authors' own weights (in 8 bits) and pair, "
        "against the losses that their published notebook shows. Give the pair with "
        "--content and --style.",
        notebook,
        (
            Law(
                laws.at_most,
                {
                    "column": "large forms first / published",
                    "most": 1.05,
                    "only": ("evaluations", 500),
                },
                EARLY,
                None,  # a fifth of the evaluations is another run
            ),
        ),
        needs=(NOTEBOOK_WEIGHTS,),
        pair=True,
    ),
)
