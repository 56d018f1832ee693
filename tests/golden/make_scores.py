"""Write scores by scikit-image: ``python tests/golden/make_scores.py``.

``scores.npz`` holds two gray pictures and what scikit-image says of them: their
structural similarity with the settings of Wang et al. 2004, and the correlation of
their Sobel edges. Made with scikit-image 0.26.
"""

from pathlib import Path

import numpy as np
from skimage.filters import sobel
from skimage.metrics import structural_similarity


def main() -> None:
    """Write the file next to this one."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :56] / 56
    first = 0.5 + 0.4 * np.sin(9 * x + 4 * y**2)
    second = np.clip(0.8 * first + 0.1 + 0.08 * rng.standard_normal(x.shape), 0, 1)
    first, second = (np.rint(255 * picture) / 255 for picture in (first, second))
    similarity = structural_similarity(
        first,
        second,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    np.savez_compressed(
        Path(__file__).with_name("scores.npz"),
        first=np.rint(255 * first).astype(np.uint8),
        second=np.rint(255 * second).astype(np.uint8),
        similarity=similarity,
        edges=np.corrcoef(sobel(first).ravel(), sobel(second).ravel())[0, 1],
    )


if __name__ == "__main__":
    main()
