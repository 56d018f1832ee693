"""The gallery: every example content in every example style, by one command each."""

from pathlib import Path

from PIL import Image

import nst_jax
from nst_jax.images.encode import to_uint8
from nst_jax.outputs.files import write_text

CONTENTS = ("town", "still_life")
STYLES = ("night_sky", "woodcut_waves", "mosaic", "expressionist")
SIZE, ITERATIONS, ALPHA, TV = 384, 300, 3e-3, 1e-2
HEAD = """\
# Gallery

The example pictures in all of the example styles, with the network that comes along,
each with the command that makes it ({seconds:.0f} seconds on {device}, in the mean).
Written by `python scripts/reproduce.py gallery`.

"""


def command(content: str, style: str) -> str:
    """The command line that makes one of the pictures."""
    return (
        f"nst-jax stylize --content configs/pictures/{content}.jpg \\\n"
        f"    --style configs/pictures/{style}.jpg --weights vgg19-tiny \\\n"
        f"    --start content --size {SIZE} --iterations {ITERATIONS} \\\n"
        f"    objective.alpha={ALPHA:g} objective.tv={TV:g}"
    )


def make(pictures: Path, page: Path, *, size: int = SIZE) -> None:
    """Make all pictures, and the page that shows them.

    Args:
        pictures: folder of the example pictures.
        page: file to write; the pictures go into the folder of its name without .md.
        size: longer side; that of the commands, but for tests.
    """
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    text, seconds, device = "", [], ""
    for content in CONTENTS:
        text += f"## {content.replace('_', ' ')}\n\n"
        for style in STYLES:
            result = nst_jax.stylize(
                pictures / f"{content}.jpg",
                pictures / f"{style}.jpg",
                start="content",
                size=size,
                network={"weights": "vgg19-tiny"},
                objective={"alpha": ALPHA, "tv": TV},
                solver={"iterations": ITERATIONS},
            )
            name = f"{content}-{style}.jpg"
            image = Image.fromarray(to_uint8(result.picture))
            image.save(folder / name, quality=85, optimize=True)
            seconds.append(result.manifest["seconds"]["total"])
            device = result.manifest["device"]
            title = f"{content} in the style of {style}".replace("_", " ")
            text += f"![{title}]({folder.name}/{name})\n\n"
            text += f"```bash\n{command(content, style)}\n```\n\n"
            print(f"gallery: {title}, {seconds[-1]:.0f} s", flush=True)
    head = HEAD.format(seconds=sum(seconds) / len(seconds), device=device)
    write_text(page, (head + text).rstrip() + "\n")
