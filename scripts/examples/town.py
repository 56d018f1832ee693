"""An old town by a river on a summer afternoon, rendered from planar faces.

The scene is rasterised from the camera, from the camera's mirror image below the
water, from the sun (shadows) and from many places in the sky (soft light), and
then shaded pixel by pixel.
"""

from typing import NamedTuple

import numpy as np

from . import raster, town_mesh, town_surfaces
from .fields import blur, colour, film, fractal, mix, noise, pixels, sample, shrink
from .fields import smoothstep

SCALE = 2
ASPECT = 0.75
EYE = np.array([-40.0, 7.5, -44.0])
YAW = np.radians(29.0)
FOCUS = 0.92  # focal length in widths of the picture
HORIZON = 0.60  # height of the horizon from the top, as a share
SUN = np.array([0.50, 0.55, -0.62])
SUN = SUN / np.linalg.norm(SUN)
SUNLIGHT = np.array([1.0, 0.86, 0.66]) * 3.0
SKYLIGHT = np.array([0.50, 0.66, 1.0]) * 0.85
HAZE = np.array([0.66, 0.76, 0.90])
FORWARD = np.array([np.sin(YAW), 0, np.cos(YAW)])
SIDEWAYS = np.array([np.cos(YAW), 0, -np.sin(YAW)])


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


MATERIALS = (
    "plaster timber dormer church tiles slate stone ashlar brick paving wood leaf".split()
)


def build(seed: int = 4) -> Scene:
    """The whole town."""
    rng = np.random.default_rng(seed)
    faces = town_mesh.quay(-80, 220)
    first, second, third = (town_mesh.FACADES, 3.0, 11.5), (24, 9.0, 12.0), (42, 15.0, 11.0)
    faces += town_mesh.row_of_houses(rng, -62, 200, *first)
    faces += town_mesh.row_of_houses(rng, -62, 220, *second)
    faces += town_mesh.row_of_houses(rng, -40, 240, *third)
    faces += town_mesh.church(14.0, 36.0, 12.0)
    groups = []
    for x, z, heading, tone in BOATS:
        faces += town_mesh.boat(x, z, heading, colour(tone))
        groups.append(town_mesh.person(rng, x - 3.0 * np.cos(heading), 0.45, z - 3.0 * np.sin(heading)))
    for x, z, height, radius, tone in TREES:
        base = (x, town_mesh.QUAY, z)
        faces += town_mesh.trunk(base, height * 0.5, 0.35)
        groups.append(town_mesh.tree(rng, base, height, radius, colour(tone)))
    for start, stop, z, fall, tone in HEDGES:
        groups.append(town_mesh.hedge(rng, start, stop, town_mesh.QUAY + 0.5, z, colour(tone), fall))
    for x in rng.uniform(-36, 50, 26):
        groups.append(town_mesh.person(rng, x, town_mesh.QUAY, rng.uniform(0.9, 3.5)))
    return _tables(faces, town_mesh.joined(groups))


def _tables(faces, leaves) -> Scene:
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
        np.concatenate([[face.colour for face in faces], leaves.colours]) ** 2.2,
        np.concatenate([origins, leaves.centres]),
        np.concatenate([u, np.zeros((count, 3))]),
        np.concatenate([v, np.zeros((count, 3))]),
        np.concatenate([sizes, np.ones((count, 3))]),
        np.array(
            [MATERIALS.index(face.material) for face in faces]
            + [MATERIALS.index("leaf")] * count
        ),
    )


def look(scene: Scene, height: int, width: int, mirror: bool) -> raster.Buffer:
    """The scene from the camera, or mirrored in the water."""
    flip = np.array([1, -1 if mirror else 1, 1])

    def project(points):
        local = points * flip - EYE
        depth = local @ FORWARD
        q = np.where(depth > 1.0, 1 / np.maximum(depth, 1.0), np.nan)
        x = width * (0.5 + FOCUS * (local @ SIDEWAYS) * q)
        return x, height * HORIZON - width * FOCUS * local[:, 1] * q, q

    return _draw(scene, height, width, project, lambda q: width * FOCUS * q)


def _draw(scene, height, width, project, per_metre) -> raster.Buffer:
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


class Lamp(NamedTuple):
    """A depth map along a direction, to tell what lies in shadow."""

    axes: np.ndarray
    low: np.ndarray
    step: float
    depth: np.ndarray


def lamp(scene: Scene, direction: np.ndarray, step: float) -> Lamp:
    """Depth map of the scene seen from far along ``direction``; ``step`` in metres."""
    across = np.cross(direction, [0.3, 1, 0.2])
    across /= np.linalg.norm(across)
    axes = np.stack([across, np.cross(direction, across), direction])
    corners = np.array(
        [[x, y, z] for x in (-60, 110) for y in (0, 45) for z in (-20, 60)]
    )
    flat = corners @ axes[:2].T
    low = flat.min(axis=0)
    width, height = np.ceil((flat.max(axis=0) - low) / step).astype(int)

    def project(points):
        local = points @ axes.T
        return (local[:, 0] - low[0]) / step, (local[:, 1] - low[1]) / step, local[:, 2]

    buffer = _draw(scene, height, width, project, lambda q: 1 / step)
    return Lamp(axes, low, step, buffer.q)


def lit(source: Lamp, points: np.ndarray, bias: float) -> np.ndarray:
    """Share of the lamp's light, 0 or 1, that reaches each point (n, 3)."""
    local = points @ source.axes.T
    height, width = source.depth.shape
    column = ((local[:, 0] - source.low[0]) / source.step).astype(np.int32)
    row = ((local[:, 1] - source.low[1]) / source.step).astype(np.int32)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    column, row = np.clip(column, 0, width - 1), np.clip(row, 0, height - 1)
    return np.where(inside, source.depth[row, column] < local[:, 2] + bias, 1.0)


def sunlit(source: Lamp, points: np.ndarray, bias: float) -> np.ndarray:
    """Like ``lit``, with the soft edge of a shadow: the mean of four places."""
    shifts = 0.09 * np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]]) @ source.axes[:2]
    return np.mean([lit(source, points + shift, bias) for shift in shifts], axis=0)


def sky_lamps(scene: Scene, count: int) -> list[tuple[Lamp, np.ndarray]]:
    """Coarse depth maps from directions spread over the upper hemisphere."""
    lamps = []
    for index in range(count):
        up = (index + 0.5) / count
        turn = index * np.pi * (3 - np.sqrt(5))
        flat = np.sqrt(1 - up * up)
        direction = np.array([flat * np.cos(turn), up + 0.05, flat * np.sin(turn)])
        direction /= np.linalg.norm(direction)
        lamps.append((lamp(scene, direction, 0.3), direction))
    return lamps


def albedo(scene: Scene, index: np.ndarray, points: np.ndarray):
    """Linear reflectance (n, 3) and share of glass (n,) of the seen points."""
    local = points - scene.origins[index]
    u = (local * scene.u_axes[index]).sum(axis=1).astype(np.float32)
    v = (local * scene.v_axes[index]).sum(axis=1).astype(np.float32)
    tones = (scene.colours[index] ** (1 / 2.2)).astype(np.float32)
    kinds, sizes = scene.materials[index], scene.sizes[index].T
    result, glass = tones.copy(), np.zeros(len(index), np.float32)
    for number, name in enumerate(MATERIALS):
        here = kinds == number
        if not here.any():
            continue
        uv, tone = (u[here], v[here]), tones[here]
        seed = (index[here] // 6).astype(np.int64)
        size = tuple(part[here] for part in sizes)
        if name in ("plaster", "timber", "church"):
            surface = {
                "plaster": town_surfaces.plaster,
                "timber": town_surfaces.timber,
                "church": town_surfaces.church_wall,
            }[name]
            result[here], glass[here] = surface(*uv, size, seed, tone)
        elif name == "tiles":
            result[here] = town_surfaces.tiles(*uv, seed, tone)
        elif name == "stone":
            result[here] = town_surfaces.quay_wall(*uv, seed, tone)
        elif name in ("ashlar", "brick"):
            result[here] = town_surfaces.masonry(*uv, seed, tone)
        elif name != "leaf":
            result[here] = (
                tone * (0.75 + 0.5 * fractal(uv[0] * 2, uv[1] * 2, 4))[:, None]
            )
    return np.clip(result, 0.01, 1) ** 2.2, glass


def shade(scene: Scene, buffer: raster.Buffer, lights, mirror: bool) -> np.ndarray:
    """Linear light (n, 3) of the seen pixels, and their distances (n,)."""
    height, width = buffer.q.shape
    row, column = np.nonzero(buffer.index >= 0)
    index, depth = buffer.index[row, column], 1 / buffer.q[row, column]
    right = ((column + 0.5) / width - 0.5) / FOCUS
    up = (height * HORIZON - row - 0.5) / (width * FOCUS)
    points = EYE + depth[:, None] * (
        FORWARD + right[:, None] * SIDEWAYS + up[:, None] * [0, 1, 0]
    )
    if mirror:
        points[:, 1] = -points[:, 1]
    view = points - EYE
    normals = scene.normals[index]
    away = (normals * view).sum(axis=1) > 0
    leaf = index >= len(scene.faces)
    normals = np.where((away & ~leaf)[:, None], -normals, normals)
    colours, glass = albedo(scene, index, points)
    sun, sky = lights
    start = points + 0.08 * normals
    facing = normals @ SUN
    direct = np.clip(facing, 0, 1) * sunlit(sun, start, 0.15)
    direct = np.where(leaf, direct * 0.8 + 0.12 * lit(sun, start, 0.3), direct)
    soft, total = np.zeros(len(points)), 0.0
    for source, direction in sky:
        weight = np.clip(normals @ direction * 0.8 + 0.2, 0, 1)
        soft += weight * lit(source, start, 0.3)
        total += 0.5
    soft = soft / total
    bounce = 0.18 * np.clip(0.6 - 0.4 * normals[:, 1], 0, 1)
    light = direct[:, None] * SUNLIGHT + soft[:, None] * SKYLIGHT
    light = light + (bounce * (0.3 + 0.7 * soft))[:, None] * np.array([1.0, 0.85, 0.65])
    shaded = colours * light
    sheen = 0.05 + 0.5 * hashed_panes(index, points) ** 3
    shaded = shaded + (glass * sheen)[:, None] * np.array([0.75, 0.88, 1.0])
    haze = 1 - np.exp(-np.clip(depth - 40, 0, None) / 650)
    result = np.zeros((height, width, 3), np.float32)
    result[row, column] = mix(shaded, HAZE, haze)
    return result


def hashed_panes(index, points):
    """Reflections in the panes differ from window to window."""
    return noise(points[:, 0] * 0.9, points[:, 1] * 0.7, seed=77)


def sky(right: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Linear light of sky and wooded hills in the given directions."""
    tone = mix(
        np.array([0.62, 0.76, 0.93]),
        np.array([0.13, 0.30, 0.68]),
        smoothstep(-0.02, 0.55, up),
    )
    x, y = right * 3.4 + 4, up * 7.0
    warp = fractal(x * 1.3, y * 1.3, 4, seed=52) - 0.5
    cover = fractal(x + 0.7 * warp, y + 0.7 * warp, 7, seed=51)
    toward = fractal(x + 0.7 * warp + 0.12, y + 0.7 * warp + 0.16, 5, seed=51)
    cloud = smoothstep(0.50, 0.66, cover + 0.10 * smoothstep(0.5, 0.1, up))
    glow = np.clip(0.80 + 1.8 * (cover - toward), 0.5, 1.15)
    tone = mix(tone, glow[..., None] * np.array([1.0, 0.97, 0.94]), cloud * 0.92)
    for number, (level, depth) in enumerate(((0.205, 0.55), (0.15, 0.3))):
        ridge = (
            level
            + 0.05 * (fractal(right * 3 + 9 * number, 0 * right, 3, seed=61) - 0.5) * 2
        )
        ridge = ridge + 0.006 * (noise(right * 160, up * 60, seed=62) - 0.5)
        wood = fractal(right * 60, up * 90, 4, seed=63 + number)
        green = np.array([0.055, 0.09, 0.03]) * (0.4 + 1.5 * wood)[..., None] * 1.8
        tone = mix(
            tone,
            mix(green, HAZE * 0.8, np.full_like(up, depth)),
            smoothstep(ridge + 0.002, ridge - 0.002, up),
        )
    return tone


def water(reflected: np.ndarray, right: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Linear light of the river, whose ripples distort the mirror image."""
    height, width = up.shape
    down = np.maximum(-up, 1e-4)
    depth = EYE[1] / down
    x = right * depth
    slope = fractal(x * 0.55, depth * 1.3, 4, seed=71) - 0.5
    swell = noise(x * 0.12, depth * 0.35, seed=75) - 0.5
    calm = 0.35 + 0.65 * smoothstep(0.3, 0.7, noise(x * 0.05, depth * 0.12, seed=76))
    ripple = fractal(x * 1.6, depth * 3.4, 3, seed=73) - 0.5
    tilt = (slope * 0.030 + ripple * 0.020 + swell * 0.016) * calm
    columns, rows = pixels(height, width)
    drift = (noise(x * 0.8, depth * 1.9, seed=72) - 0.5) * 0.012 * calm
    image = sample(reflected, columns + drift * width, rows + tilt * width)
    grazing = 1 / np.sqrt(1 + 1 / np.maximum(down + tilt, 0.02) ** 2)
    fresnel = 0.03 + 0.97 * (1 - grazing) ** 4
    body = np.array([0.035, 0.06, 0.035])
    return mix(
        body, image * np.array([0.92, 0.97, 0.95]), np.clip(fresnel * 1.15, 0, 1)
    )


def town(size: int = 768) -> np.ndarray:
    """The picture, float sRGB in [0, 1]; ``size`` is its width."""
    width, height = size * SCALE, int(size * ASPECT) * SCALE
    scene = build()
    lights = lamp(scene, SUN, 0.07), sky_lamps(scene, 16)
    columns, rows = pixels(height, width)
    right = (columns / width - 0.5) / FOCUS
    up = (height * HORIZON - rows) / (width * FOCUS)
    direct = look(scene, height, width, mirror=False)
    mirrored = look(scene, height, width, mirror=True)
    seen = np.where(
        (direct.index >= 0)[..., None],
        shade(scene, direct, lights, False),
        sky(right, np.abs(up)),
    )
    reflected = np.where(
        (mirrored.index >= 0)[..., None],
        shade(scene, mirrored, lights, True),
        sky(right, np.abs(up)),
    )
    surface = np.where(up < 0, -up / EYE[1], -np.inf)
    wet = surface > direct.q
    picture = np.where(wet[..., None], water(blur(reflected, 1.4), right, up), seen)
    light = shrink(picture, SCALE)
    grey = light.mean(axis=-1, keepdims=True)
    light = grey + 0.9 * (light - grey)
    light = light + 0.06 * (blur(np.maximum(light - 0.8, 0), size / 90) - 0)
    return film(blur(light, 0.35), exposure=0.62, grain=0.018, seed=5)
