"""Draw the example pictures: two contents and four styles, from code alone.

Command:  python scripts/make_examples.py [--only NAME] [--out DIR] [--size N]
Time:     about 80 s on two CPU cores.
Result:   town, still_life (contents), night_sky, expressionist, mosaic and
          woodcut_waves (styles) as JPEG in configs/pictures, 768 px wide, each at
          most 250 kB; and the mask of the town's regions as PNG. The same library
          versions give the same bytes.
"""

import argparse
import io
from pathlib import Path

from examples import MASKS, PICTURES
from examples.fields import to_picture
from PIL import Image

FOLDER = Path(__file__).resolve().parent.parent / "configs" / "pictures"
SIZE = 768
LARGEST_FILE = 250_000


def encode(values) -> bytes:
    """JPEG of float sRGB (h, w, 3) in [0, 1], at the best quality that fits."""
    picture = to_picture(values)
    for quality in range(92, 50, -3):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, subsampling=0)
        if buffer.tell() <= LARGEST_FILE:
            return buffer.getvalue()
    raise ValueError(f"no JPEG under {LARGEST_FILE} bytes; choose a smaller --size")


def main() -> None:
    """Parse the command line and write the pictures."""
    parser = argparse.ArgumentParser(description="Draw the example pictures.")
    parser.add_argument(
        "--only", choices=sorted(PICTURES | MASKS), help="make just this one"
    )
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to")
    parser.add_argument("--size", type=int, default=SIZE, help="longer side in pixels")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in [options.only] if options.only else PICTURES | MASKS:
        if name in MASKS:
            path = options.out / f"{name}.png"
            image = Image.fromarray(MASKS[name](options.size))
            image.quantize(4).save(path, optimize=True)
            continue
        path = options.out / f"{name}.jpg"
        path.write_bytes(encode(PICTURES[name](options.size)))
        print(f"{path}  {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
