"""All experiments, in the order of the page."""

from scripts.papers import (
    course,
    layers,
    networks,
    ratios,
    reconstructions,
    solvers,
    starts,
)
from scripts.papers.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    one.name: one
    for module in (reconstructions, ratios, layers, starts, course, solvers, networks)
    for one in module.EXPERIMENTS
}
