import numpy as np
import pytest

from nst_jax.images.matting import EPSILON, matting_laplacian, stencil
from tests.reference import matting as slow


def picture(height=9, width=11, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3))


def test_it_is_that_of_equation_12():
    x = picture()
    x[:4, :5] = 0.3  # windows of one colour, whose covariance has no inverse
    expected = slow.matting_laplacian(x, EPSILON)
    np.testing.assert_allclose(matting_laplacian(x).toarray(), expected, atol=1e-7)


@pytest.mark.parametrize("shape", [(5, 5), (5, 40), (40, 5)])
def test_it_is_symmetric_and_positive_with_rows_that_sum_to_zero(shape):
    dense = matting_laplacian(picture(*shape)).toarray()
    np.testing.assert_allclose(dense, dense.T, atol=1e-12)
    np.testing.assert_allclose(dense.sum(1), 0, atol=1e-12)
    assert np.linalg.eigvalsh(dense).min() > -1e-12
    # 5 rows and columns around each pixel, and none that wrap around the border.
    assert (np.count_nonzero(dense, axis=1) <= 25).all()


def test_it_measures_what_is_not_locally_affine_in_the_colours():
    x, rng = picture(), np.random.default_rng(1)
    laplacian, plane = matting_laplacian(x), rng.random(x.shape[:2])
    energy = plane.ravel() @ (laplacian @ plane.ravel())
    expected = slow.local_affine_error(x, plane, EPSILON)
    assert energy == pytest.approx(expected, rel=1e-5)
    affine = (x @ rng.standard_normal(3) + 0.2).ravel()
    assert 0 <= affine @ (laplacian @ affine) < 1e-6 * energy


def test_an_affine_function_may_differ_where_no_window_joins_two_parts():
    x = picture(9, 12)
    x[:, :6], x[:, 6:] = [0.2, 0.4, 0.9], [0.7, 0.3, 0.1]
    step = np.zeros((9, 12))
    step[:, 6:] = 1  # an edge where the picture has one
    other = np.roll(step, 3, axis=1)  # and where it has none
    laplacian = matting_laplacian(x)
    energies = [v.ravel() @ (laplacian @ v.ravel()) for v in (step, other)]
    assert energies[0] < 1e-4
    assert energies[1] > 10


def test_the_stencil_is_the_matrix_by_pixel():
    height, width = 7, 9
    laplacian = matting_laplacian(picture(height, width))
    by_pixel, dense = stencil(laplacian, height, width), laplacian.toarray()
    assert by_pixel.shape == (5, 5, height, width)
    assert by_pixel.dtype == np.float32
    for down, right in ((-2, 1), (0, 0), (2, -1), (1, 2)):
        for y, x in ((0, 0), (3, 4), (6, 8), (2, 7)):
            v, u = y + down, x + right
            inside = 0 <= v < height and 0 <= u < width
            expected = dense[y * width + x, v * width + u] if inside else 0
            found = by_pixel[2 + down, 2 + right, y, x]
            assert found == pytest.approx(expected, abs=1e-6)


def test_what_is_too_small_or_no_picture_is_refused():
    with pytest.raises(ValueError, match="5 pixels on each side, and the picture is 4"):
        matting_laplacian(picture(9, 4))
    with pytest.raises(ValueError, match=r"expected a picture \(h, w, 3\)"):
        matting_laplacian(np.zeros((9, 9)))
