import numpy as np
import pytest

from nst_jax.images.smoothing import guided_filter
from tests.reference import matting as slow

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("radius", "edge"), [(1, 0.01), (2, 0.1), (20, 0.05)])
def test_it_is_that_of_equations_19_to_21(radius, edge):
    picture, guide = RNG.random((9, 12, 3)), RNG.random((9, 12, 3))
    ours = guided_filter(picture, guide, radius=radius, edge=edge)
    expected = slow.guided_filter(picture, guide, radius, edge**2)
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    assert ours.dtype == np.float32


def test_what_is_affine_in_the_guide_stays():
    guide = RNG.random((20, 30, 3))
    picture = guide @ RNG.random((3, 3)) + 0.1
    same = guided_filter(picture, guide, radius=4, edge=1e-4)
    np.testing.assert_allclose(same, picture, atol=1e-5)
    flat = guided_filter(np.full(guide.shape, 0.3), guide, radius=4, edge=0.1)
    np.testing.assert_allclose(flat, 0.3, atol=1e-6)


def test_edges_of_the_guide_stay_and_others_go():
    guide = np.zeros((24, 24, 3))
    guide[:, 12:] = 0.8
    noise = 0.1 * RNG.standard_normal(guide.shape)
    smooth = guided_filter(0.5 * guide + noise, guide, radius=5, edge=0.05)
    step = smooth[:, 12:].mean() - smooth[:, :12].mean()
    assert step == pytest.approx(0.4, abs=0.03)
    assert smooth[:, 11].mean() < 0.05  # nothing has run over the edge
    assert smooth[4:-4, 2:10].std() < 0.25 * noise.std()
    grainy = guided_filter(0.5 * guide + noise, guide, radius=1, edge=0.05)
    assert grainy[4:-4, 2:10].std() > 2 * smooth[4:-4, 2:10].std()


def test_other_sizes_are_refused():
    with pytest.raises(ValueError, match="sizes differ"):
        guided_filter(np.zeros((4, 5, 3)), np.zeros((5, 4, 3)), radius=1, edge=0.1)
