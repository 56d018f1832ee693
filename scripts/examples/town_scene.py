"""The scene of the town: what stands where, and tables of it for shading."""

from typing import NamedTuple

import numpy as np

from . import raster, town_mesh
from .fields import colour
from .town_mesh import QUAY

# x, z, heading, colour of each boat.
BOATS = (
    (-25.5, -11.0, 0.10, "6a4a32"),
    (-14.0, -2.2, 0.0, "3f5560"),
    (-5.0, -13.0, 0.35, "7a5636"),
    (8.0, -2.0, 0.0, "5b3d2c"),
    (18.0, -2.2, 0.02, "6a4a32"),
    (30.0, -8.0, -0.10, "4c3a30"),
)
# x, z, height, radius, colour of each tree on the quay.
TREES = (
    (-31.0, 2.6, 8.5, 2.7, "55682f"),
    (-10.5, 2.6, 7.0, 2.3, "667534"),
    (3.0, 2.6, 9.0, 2.9, "4a5f2c"),
    (21.0, 2.6, 9.0, 3.2, "5f7033"),
    (27.0, 2.6, 11.5, 3.4, "465a2b"),
    (45.0, 2.6, 11.0, 4.2, "4c602d"),
    (58.0, 2.6, 12.0, 4.6, "55682f"),
    (75.0, 2.6, 12.0, 5.0, "465a2b"),
)
# from x, to x, z, how far it hangs, colour of each hedge.
HEDGES = (
    (-38.0, -33.0, 0.1, 2.2, "4f6b2f"),
    (-24.0, -20.5, 0.1, 2.6, "5d7434"),
    (-3.0, 1.0, 0.0, 2.0, "4a6030"),
    (9.0, 14.0, 0.1, 2.4, "55702f"),
    (30.0, 40.0, 0.1, 2.4, "4a6030"),
    (-20.0, -12.0, 4.3, 0.0, "4a5a2e"),
    (6.0, 17.0, 4.3, 0.0, "44562c"),
)
# z, ground, height of the eaves and first x of each row of houses.
ROWS = ((5.0, 3.0, 11.5, -62), (24.0, 9.0, 12.0, -62), (42.0, 15.0, 11.0, -40))
MATERIALS = (
    *("plaster", "timber", "dormer", "church", "tiles", "slate"),
    *("stone", "ashlar", "brick", "paving", "wood", "leaf"),
)


class Scene(NamedTuple):
    """Faces and leaves, and per face or leaf (faces first) what shading needs."""

    faces: list[town_mesh.Face]
    leaves: town_mesh.Leaves
    normals: np.ndarray
    colours: np.ndarray
    origins: np.ndarray
    u_axes: np.ndarray
    v_axes: np.ndarray
    sizes: np.ndarray
    materials: np.ndarray


def build(seed: int = 4) -> Scene:
    """The whole town."""
    rng = np.random.default_rng(seed)
    faces = town_mesh.quay(-80, 220)
    for z, ground, height, start in ROWS:
        faces += town_mesh.row_of_houses(rng, start, 220, z, ground, height)
    faces += town_mesh.church(14.0, 36.0, 13.5)
    for x, z, heading, tone in BOATS:
        faces += town_mesh.boat(x, z, heading, colour(tone))
    for x, z, height, _, _ in TREES:
        faces += town_mesh.trunk((x, QUAY, z), height * 0.5, 0.35)
    return _tables(faces, town_mesh.joined([*_greenery(rng), *_people(rng)]))


def _greenery(rng) -> list[town_mesh.Leaves]:
    trees = [
        town_mesh.tree(rng, (x, QUAY, z), height, radius, colour(tone))
        for x, z, height, radius, tone in TREES
    ]
    hedges = [
        town_mesh.hedge(rng, start, stop, QUAY + 0.5, z, colour(tone), fall)
        for start, stop, z, fall, tone in HEDGES
    ]
    return trees + hedges


def _people(rng) -> list[town_mesh.Leaves]:
    aboard = [
        (x - 3.0 * np.cos(heading), 0.45, z - 3.0 * np.sin(heading))
        for x, z, heading, _ in BOATS
    ]
    ashore = [(x, QUAY, rng.uniform(0.9, 3.5)) for x in rng.uniform(-36, 50, 26)]
    return [town_mesh.person(rng, *place) for place in aboard + ashore]


def _tables(faces: list[town_mesh.Face], leaves: town_mesh.Leaves) -> Scene:
    origins = np.array([face.corners[0] for face in faces])
    u = np.array([face.corners[1] - face.corners[0] for face in faces])
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v = np.array([face.corners[-1] - face.corners[0] for face in faces])
    v -= (v * u).sum(axis=1, keepdims=True) * u
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    sizes = []
    for face, right, up in zip(faces, u, v, strict=True):
        local = face.corners - face.corners[0]
        sizes.append(((local @ right).max(), face.eave, (local @ up).max()))
    count = len(leaves.centres)
    return Scene(
        faces,
        leaves,
        np.concatenate([np.cross(u, v), leaves.normals]),
        np.concatenate([[face.colour for face in faces], leaves.colours]),
        np.concatenate([origins, leaves.centres]),
        np.concatenate([u, np.zeros((count, 3))]),
        np.concatenate([v, np.zeros((count, 3))]),
        np.concatenate([sizes, np.ones((count, 3))]),
        np.array(
            [MATERIALS.index(face.material) for face in faces]
            + [MATERIALS.index("leaf")] * count
        ),
    )


def draw(scene: Scene, height: int, width: int, project, per_metre) -> raster.Buffer:
    """The scene under a projection; ``per_metre(q)`` is the scale in pixels."""
    buffer = raster.empty(height, width)
    raster.draw_faces(buffer, [face.corners for face in scene.faces], project)
    leaves = scene.leaves
    raster.draw_particles(
        buffer,
        leaves.centres,
        lambda q: leaves.radii * per_metre(q),
        len(scene.faces),
        project,
    )
    return buffer
