"""Kernels in 8 bits: rounding, and codes and tables that do not fit."""

import numpy as np
import pytest

from nst_jax.features.clustering import cluster, codes_of, expand


def kernel(shape=(3, 3, 24, 20), seed=0):
    """Heavy tails, as trained kernels have."""
    rng = np.random.default_rng(seed)
    return (0.05 * rng.standard_t(4, shape)).astype(np.float32)


def error(numbers, table) -> float:
    """Mean squared distance of numbers to the nearest value, without any search."""
    return float((np.abs(numbers[:, None] - table[None]).min(axis=1) ** 2).mean())


def test_codes_are_the_nearest_values():
    numbers = kernel()
    codes, table = cluster(numbers)
    assert (codes.dtype, codes.shape) == (np.uint8, numbers.shape)
    assert (table.dtype, table.shape) == (np.float32, (256,))
    assert (np.diff(table) > 0).all()
    difference = (expand(codes, table) - numbers).astype(np.float64)
    nearest = error(numbers.ravel().astype(np.float64), table.astype(np.float64))
    np.testing.assert_allclose((difference**2).mean(), nearest, rtol=1e-6)


def test_each_value_is_the_mean_of_its_numbers():
    """What Lloyd's algorithm ends at."""
    numbers = kernel()
    codes, table = cluster(numbers)
    used = np.unique(codes)
    assert used.size > 240
    means = [numbers[codes == code].mean(dtype=np.float64) for code in used]
    np.testing.assert_allclose(table[used], means, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("shape", [(3, 3, 12, 12), (3, 3, 24, 20), (3, 3, 96, 96)])
def test_better_than_equal_steps_and_than_quantiles(shape):
    numbers = kernel(shape).ravel().astype(np.float64)
    ours = error(numbers, cluster(numbers).table.astype(np.float64))
    steps = np.linspace(numbers.min(), numbers.max(), 256)
    quantiles = np.quantile(numbers, (np.arange(256) + 0.5) / 256)
    assert ours < 0.5 * min(error(numbers, steps), error(numbers, quantiles))
    assert ours < 1.5e-4 * numbers.var()


def test_nothing_is_random():
    first, second = cluster(kernel()), cluster(kernel())
    np.testing.assert_array_equal(first.codes, second.codes)
    np.testing.assert_array_equal(first.table, second.table)


@pytest.mark.parametrize("count", [1, 2, 255, 256])
def test_few_different_numbers_are_kept(count):
    values = np.linspace(-1, 1, count, dtype=np.float32)
    numbers = np.random.default_rng(0).choice(values, (3, 3, 8, 8))
    numbers.ravel()[:count] = values
    codes, table = cluster(numbers)
    np.testing.assert_array_equal(table, values)
    np.testing.assert_array_equal(expand(codes, table), numbers)


def test_codes_of_a_known_table():
    table = np.array([3, -1, 0.5, 3], np.float32)  # unordered, one value twice
    numbers = table[np.random.default_rng(0).integers(4, size=(3, 3, 2, 5))]
    codes, ascending = codes_of(numbers, table)
    np.testing.assert_array_equal(ascending, [-1, 0.5, 3])
    np.testing.assert_array_equal(expand(codes, ascending), numbers)
    numbers[1, 1, 1, 1] = np.nextafter(np.float32(3), np.float32(4))
    with pytest.raises(ValueError, match="numbers that are not in its table"):
        codes_of(numbers, table)
    for length in (0, 257):
        with pytest.raises(ValueError, match="1 to 256 values"):
            codes_of(numbers, np.arange(length))


def test_codes_and_tables_that_do_not_fit():
    codes = np.array([0, 7], np.uint8)
    with pytest.raises(ValueError, match="code 7 is beyond its table of 7 values"):
        expand(codes, np.zeros(7, np.float32))
    for table in (np.zeros(0), np.zeros(257), np.zeros((16, 16)), np.zeros(())):
        with pytest.raises(ValueError, match="table has the shape"):
            expand(codes, table)
