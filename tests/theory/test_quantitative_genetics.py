"""Textbook genetics against quadrature and simulation."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from germline.theory import quantitative_genetics as genetics
from germline.theory.quantitative_genetics import Breeding, between, top_share


def truncated(a, b):
    """Mean and variance of a standard Gaussian within a..b, by quadrature."""
    moment = lambda k: quad(lambda z: z**k * math.exp(-0.5 * z * z), a, b, epsabs=1e-12, epsrel=1e-12)[0]
    whole, first, second = map(moment, range(3))
    return first / whole, second / whole - (first / whole) ** 2


@pytest.mark.parametrize("a, b", [(-1, 1), (-2, 2), (-math.inf, 0.5), (0.3, math.inf), (-0.2, 1.7), (2.0, 3.0)])
def test_two_sided_truncation_against_quadrature(a, b):
    found = between(a, b)
    assert (found.mean, found.variance) == pytest.approx(truncated(a, b), abs=1e-6)


@pytest.mark.parametrize("q, intensity, kappa", [(0.9, 0.1950, 0.2879), (0.5, 0.7979, 0.6366), (0.2, 1.3998, 0.7814)])
def test_top_share_against_the_table_and_quadrature(q, intensity, kappa):
    found = top_share(q)
    assert (found.mean, found.kappa) == pytest.approx((intensity, kappa), abs=5e-5)
    from scipy.special import ndtri

    assert (found.mean, found.variance) == pytest.approx(truncated(float(ndtri(1 - q)), math.inf), abs=1e-6)


@pytest.mark.parametrize("bound, factor", [(1, 0.2911), (2, 0.7737)])
def test_symmetric_truncation_against_the_table(bound, factor):
    assert between(-bound, bound).variance == pytest.approx(factor, abs=5e-5)


def test_far_tails_keep_their_digits():
    assert between(8.0, math.inf).mean == pytest.approx(8.121, abs=1e-3)


@pytest.mark.parametrize("low, high", [(-2.0, 2.0), (-1.0, 1.0), (0.0, math.inf)])
def test_one_generation_of_the_simulator_is_the_copying_formula(low, high):
    v_a, v_e, v_m, kappa = 1.5, 1.0, 0.05, between(low, high).kappa
    (trait,) = Breeding(v_a, v_e, v_m, low, high, copies=20_000)(1, np.random.default_rng(0))
    h2 = v_a / (v_a + v_e)
    # 64 traits of 20,000: a standard error near 0.2 %.
    assert trait.variance.mean() == pytest.approx(genetics.copied(v_a, h2, kappa, v_m), rel=0.01)
    breeder = genetics.response(h2, between(low, high).mean * math.sqrt(v_a + v_e))
    assert trait.mean.mean() == pytest.approx(breeder, abs=0.005)


def test_survivors_have_thin_tails():
    (trait,) = Breeding(1.0, 0.2, 0.0, -1.0, 1.0, copies=20_000)(1, np.random.default_rng(1))
    assert trait.survivors.max() < 3
    assert trait.survivors.mean() < 2.8
    (unselected,) = Breeding(1.0, 0.2, 0.0, -math.inf, math.inf, copies=20_000)(1, np.random.default_rng(1))
    assert unselected.survivors.mean() == pytest.approx(3, abs=0.02)


def test_without_selection_variance_drifts():
    traits, copies, generations = 2_000, 20, 5
    made = Breeding(1.0, 0.0, 0.0, -math.inf, math.inf, traits, copies)(generations, np.random.default_rng(2))
    want = [1 - 1 / copies]  # the start is n draws: its variance (divisor n) is (1 - 1/n) already
    for _ in range(generations):
        want.append(genetics.drifted(want[-1], copies))
    assert [trait.variance.mean() for trait in made] == pytest.approx(want[1:], rel=0.03)
    spread_of_means = np.var(made[1].mean) - np.var(made[0].mean)
    assert spread_of_means == pytest.approx(genetics.drift_of_mean(want[1], copies), rel=0.15)


def test_mutation_balances_selection_at_the_formulas_fixed_point():
    h2, kappa, v_m = 0.6, between(-2, 2).kappa, 0.05
    balance = genetics.mutation_balance(v_m, kappa, h2)
    assert balance == pytest.approx(0.37, abs=0.005)
    assert genetics.copied(balance, h2, kappa, v_m) == pytest.approx(balance)
    assert genetics.infinitesimal(1.0, 1.0, h2, 0.0) == 1
    assert genetics.infinitesimal(0.8, 1.0, 0.5, 0.4, 0.1) == pytest.approx(0.5 * 0.8 * 0.8 + 0.5 + 0.1)


def product(log_fitness, mean, std):
    """Mean and variance of N(mean, std^2) times a fitness, by quadrature."""
    weight = lambda z: math.exp(-0.5 * ((z - mean) / std) ** 2 + log_fitness(z))
    moment = lambda k: quad(lambda z: z**k * weight(z), -12, 12, epsabs=1e-12, limit=200)[0]
    whole, first, second = map(moment, range(3))
    return first / whole, second / whole - (first / whole) ** 2


def test_stabilising_selection_against_quadrature():
    got = genetics.stabilised(0.4, 1.3, -0.5, 0.9)
    assert got == pytest.approx(product(lambda z: -((z + 0.5) ** 2) / (2 * 0.9**2), 0.4, math.sqrt(1.3)), abs=1e-6)


@pytest.mark.parametrize("world", [(0.3, 0.5, -0.2, 0.7, 3.0), (0.3, 0.5, -0.2, 0.4, 1.5), (0.0, 0.3, 0.0, 0.6, 2.0)])
def test_guidance_as_fitness_against_quadrature(world):
    mc, tc, mu, tu, s = world
    log_ratio = lambda z: -0.5 * ((z - mc) / tc) ** 2 + 0.5 * ((z - mu) / tu) ** 2
    mean, std = genetics.guided_as_fitness(*world)
    assert (mean, std**2) == pytest.approx(product(lambda z: (s - 1) * log_ratio(z), mc, tc), abs=1e-6)


def test_variance_shrinks_where_log_fitness_is_concave_and_grows_where_it_is_convex():
    assert product(lambda z: -0.3 * z**4, 0.2, 1.0)[1] < 1 < product(lambda z: 0.8 * math.log(math.cosh(z)), 0.0, 1.0)[1]
    assert genetics.guided_as_fitness(0, 0.5, 0, 0.7, 2)[1] < 0.5 < genetics.guided_as_fitness(0, 0.5, 0, 0.4, 1.5)[1]


def test_what_has_no_answer_is_refused():
    with pytest.raises(ValueError, match="no law"):
        genetics.guided_as_fitness(0, 0.5, 0, 0.4, 3)
    with pytest.raises(ValueError, match="between 0 and 1"):
        top_share(1.0)
    with pytest.raises(ValueError, match="a < b"):
        between(1, 1)
    with pytest.raises(ValueError, match="left nobody"):
        Breeding(low=6.0, high=7.0, copies=50)(1, np.random.default_rng(0))
