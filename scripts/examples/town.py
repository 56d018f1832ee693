"""An old town by a river on a summer afternoon, rendered from planar faces.

The scene is rasterised from the camera, from the camera's mirror image below the
water, from the sun (shadows) and from many places in the sky (soft light), and
then shaded pixel by pixel.
"""

import numpy as np

from . import raster, town_scene, town_surfaces
from .fields import blur, film, fractal, mix, noise, pixels, sample, shrink, smoothstep
from .town_light import Lights, daylight, hang
from .town_scene import Scene

SCALE = 2
ASPECT = 0.75
EYE = np.array([-40.0, 7.5, -44.0])
YAW = np.radians(29.0)
FORWARD = np.array([np.sin(YAW), 0, np.cos(YAW)])
SIDEWAYS = np.array([np.cos(YAW), 0, -np.sin(YAW)])
FOCUS = 0.92  # focal length in widths of the picture
HORIZON = 0.60  # height of the horizon from the top, as a share
HAZE = np.array([0.66, 0.76, 0.90])


def look(scene: Scene, height: int, width: int, mirror: bool) -> raster.Buffer:
    """The scene from the camera, or mirrored in the water."""
    flip = np.array([1, -1 if mirror else 1, 1])

    def project(points):
        local = points * flip - EYE
        depth = local @ FORWARD
        q = np.where(depth > 1.0, 1 / np.maximum(depth, 1.0), np.nan)
        x = width * (0.5 + FOCUS * (local @ SIDEWAYS) * q)
        return x, height * HORIZON - width * FOCUS * local[:, 1] * q, q

    return town_scene.draw(scene, height, width, project, lambda q: width * FOCUS * q)


def shade(scene: Scene, buffer: raster.Buffer, lights: Lights, mirror: bool):
    """Linear light (h, w, 3) of what is seen; black where there is nothing."""
    height, width = buffer.q.shape
    row, column = np.nonzero(buffer.index >= 0)
    index, depth = buffer.index[row, column], 1 / buffer.q[row, column]
    points = _places(height, width, row, column, depth)
    if mirror:
        points[:, 1] = -points[:, 1]
    normals, leaf = scene.normals[index], index >= len(scene.faces)
    # Faces are seen from both sides; leaves keep their rounded shading.
    away = ((normals * (points - EYE)).sum(axis=1) > 0) & ~leaf
    normals = np.where(away[:, None], -normals, normals)
    tones, glass = town_surfaces.albedo(scene, index, points)
    light = tones * daylight(lights, points, normals, leaf)
    # The panes mirror the sky, some more than others.
    sheen = 0.05 + 0.5 * noise(points[:, 0] * 0.9, points[:, 1] * 0.7, seed=77) ** 3
    light = light + (glass * sheen)[:, None] * np.array([0.75, 0.88, 1.0])
    haze = 1 - np.exp(-np.clip(depth - 40, 0, None) / 650)
    result = np.zeros((height, width, 3), np.float32)
    result[row, column] = mix(light, HAZE, haze)
    return result


def _places(height: int, width: int, row, column, depth) -> np.ndarray:
    right = ((column + 0.5) / width - 0.5) / FOCUS
    up = (height * HORIZON - row - 0.5) / (width * FOCUS)
    ray = FORWARD + right[:, None] * SIDEWAYS + up[:, None] * np.array([0, 1, 0])
    return EYE + depth[:, None] * ray


def sky(right: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Linear light of sky, clouds and wooded hills in the given directions."""
    high, low = np.array([0.13, 0.30, 0.68]), np.array([0.62, 0.76, 0.93])
    tone = mix(low, high, smoothstep(-0.02, 0.55, up))
    x, y = right * 3.4 + 4, up * 7.0
    warp = 0.7 * (fractal(x * 1.3, y * 1.3, 4, seed=52) - 0.5)
    cover = fractal(x + warp, y + warp, 7, seed=51)
    # A cloud is brighter where it grows thinner towards the sun.
    toward = fractal(x + warp + 0.12, y + warp + 0.16, 5, seed=51)
    cloud = smoothstep(0.50, 0.66, cover + 0.10 * smoothstep(0.5, 0.1, up))
    glow = np.clip(0.80 + 1.8 * (cover - toward), 0.5, 1.15)
    tone = mix(tone, glow[..., None] * np.array([1.0, 0.97, 0.94]), cloud * 0.92)
    far = _hills(tone, right, up, level=0.205, haze=0.55, seed=63)
    return _hills(far, right, up, level=0.15, haze=0.30, seed=64)


def _hills(tone, right, up, *, level: float, haze: float, seed: int) -> np.ndarray:
    ridge = level + 0.10 * (fractal(right * 3, 0 * right, 3, seed=seed) - 0.5)
    ridge = ridge + 0.006 * (noise(right * 160, up * 60, seed=62) - 0.5)
    wood = fractal(right * 60, up * 90, 4, seed=seed)
    green = np.array([0.10, 0.16, 0.054]) * (0.4 + 1.5 * wood)[..., None]
    green = green * (1 - haze) + HAZE * 0.8 * haze
    return mix(tone, green, smoothstep(0.002, -0.002, up - ridge))


def water(reflected: np.ndarray, right: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Linear light of the river, whose ripples distort the mirror image."""
    height, width = up.shape
    down = np.maximum(-up, 1e-4)
    depth = EYE[1] / down
    x = right * depth
    swell = noise(x * 0.12, depth * 0.35, seed=75) - 0.5
    wave = fractal(x * 0.55, depth * 1.3, 4, seed=71) - 0.5
    ripple = fractal(x * 1.6, depth * 3.4, 3, seed=73) - 0.5
    calm = 0.35 + 0.65 * smoothstep(0.3, 0.7, noise(x * 0.05, depth * 0.12, seed=76))
    tilt = (0.016 * swell + 0.030 * wave + 0.020 * ripple) * calm
    drift = (noise(x * 0.8, depth * 1.9, seed=72) - 0.5) * 0.012 * calm
    columns, rows = pixels(height, width)
    image = sample(reflected, columns + drift * width, rows + tilt * width)
    cosine = 1 / np.sqrt(1 + 1 / np.maximum(down + tilt, 0.02) ** 2)
    mirror = np.clip(0.035 + 1.115 * (1 - cosine) ** 4, 0, 1)
    return mix(np.array([0.035, 0.06, 0.035]), image * [0.92, 0.97, 0.95], mirror)


def directions(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """How far right and up each pixel looks, ``(h, w)`` each."""
    columns, rows = pixels(height, width)
    right = (columns / width - 0.5) / FOCUS
    return right, (height * HORIZON - rows) / (width * FOCUS)


def on_water(above: raster.Buffer, up: np.ndarray) -> np.ndarray:
    """Where the river is seen: 1/z is known there, and nothing nearer shows."""
    return np.where(up < 0, -up / EYE[1], -np.inf) > above.q


def regions(size: int = 768) -> np.ndarray:
    """The mask of the picture, uint8: sky blue, town red, river green."""
    width, height = size, int(size * ASPECT)
    above = look(town_scene.build(), height, width, mirror=False)
    mask = np.zeros((height, width, 3), np.uint8) + np.array([0, 0, 255], np.uint8)
    mask[above.index >= 0] = 255, 0, 0
    mask[on_water(above, directions(height, width)[1])] = 0, 255, 0
    return mask


def town(size: int = 768) -> np.ndarray:
    """The picture, float sRGB in [0, 1]; ``size`` is its width."""
    width, height = size * SCALE, int(size * ASPECT) * SCALE
    scene = town_scene.build()
    lights = hang(scene, step=0.07 * 768 / size)
    right, up = directions(height, width)
    backdrop = sky(right, np.abs(up))

    def view(buffer: raster.Buffer, mirror: bool) -> np.ndarray:
        solid = shade(scene, buffer, lights, mirror)
        return np.where(buffer.index[..., None] >= 0, solid, backdrop)

    above = look(scene, height, width, mirror=False)
    below = look(scene, height, width, mirror=True)
    wet = on_water(above, up)
    river = water(blur(view(below, mirror=True), 1.4), right, up)
    picture = np.where(wet[..., None], river, view(above, mirror=False))
    light = shrink(picture, SCALE)
    return film(light, exposure=0.62, saturation=0.9, grain=0.018, seed=5)
