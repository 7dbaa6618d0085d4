"""Learning the recurrent parameters from one event: every estimator over one state, behind one function."""

import math

from ..interface import FROZEN, NOBACKTRACK, RTRL, SHRUNK, SKIPPED, TRACES, UORO, Rules, Work
from ..jit import inlined, kernel_only
from ..network.cells import columns
from ..numerics import kernels
from ..numerics.kernels import ADAM, KALMAN
from ..numerics.random_signs import fill_signs
from ..numerics.step_sizes import error_scale, metric_rate, step_size
from ..state import State, Tangent
from . import nobacktrack, rtrl, traces

EXPLODED = 1e6
"""A gradient whose norm may exceed this (the loss is about 1) is taken for a numerical fault; its step is skipped."""


@inlined
def learn_network(state: State, rules: Rules, learning: bool, work: Work) -> tuple[float, float, float, int]:
    """`learn_given` with the signs of (seed, tangent, version)."""
    for r in range(work.signs.shape[0]):
        fill_signs(work.signs[r], rules.seed, r, state.clock[0])
    return learn_given(state, rules, learning, work)


@inlined
def learn_given(state: State, rules: Rules, learning: bool, work: Work) -> tuple[float, float, float, int]:
    """Advance state and tangents with the signs in `work`, step W if `learning`.

    Gives (bound on the gradient's norm, largest tangent norm, λ, guards that acted). A step whose gradient is not
    finite or beyond EXPLODED is not taken, and the tangents start anew from 0, as they do for a new stream.
    """
    network, pair = state.network, state.tangent
    n = network.h.shape[0]
    ranges = columns(rules.cell, n)
    if rules.estimator == FROZEN:
        kernels.assign(network.h, work.h)
        kernels.products(network.W, network.h, network.p, ranges[1])
        return 0.0, 0.0, 0.0, 0
    for i in range(work.D.shape[0]):
        work.b[i] = work.delta[i % n] * work.D[i]
    if rules.estimator == RTRL:
        return _rtrl_step(state, rules, learning, ranges, work)
    bound, norm, residual_weight, guarded = _estimate(state, rules, ranges, work)
    kernels.assign(network.h, work.h)
    if not (bound <= EXPLODED):
        reset(pair)
        kernels.products(network.W, network.h, network.p, ranges[1])
        return bound, 0.0, residual_weight, SKIPPED
    eta, scale2 = _schedule(state, rules, learning)
    if rules.estimator == NOBACKTRACK and pair.w.shape[1] == 1 and rules.optimiser != KALMAN:
        if rules.optimiser == ADAM and learning:
            kernels.pass_adam(
                network.W, pair.w, network.m1, network.m2, work.z, work.b, work.e, network.h, pair.v, network.p, pair.q,
                ranges, work.s[0], work.decay[0], eta, scale2,
            )  # fmt: skip
        else:
            kernels.pass_sgd(
                network.W, pair.w, work.z, work.b, work.e, network.h, pair.v, network.p, pair.q,
                ranges, work.s[0], work.decay[0], eta,
            )  # fmt: skip
    elif rules.estimator == TRACES and pair.w.shape[1] == 0 and rules.optimiser == ADAM and learning:
        kernels.pass_traces_adam(
            network.W, pair.S, network.m1, network.m2, work.z, work.b, work.d, work.own, work.D, network.h, network.p,
            ranges, eta, scale2,
        )  # fmt: skip
    else:
        kernels.full_pass(
            network.W, network.m0, network.m1, network.m2, pair.w, pair.S, work.z, work.b, work.d, work.own, work.D,
            work.e, work.s, work.decay, pair.x, network.h, pair.v, network.p, pair.q, pair.W_x, work.g,
            ranges, rules.optimiser, eta, scale2,
        )  # fmt: skip
    return bound, norm, residual_weight, guarded


@kernel_only
def reset(pair: Tangent) -> None:
    """Set tangents and traces to 0, as for a new stream."""
    kernels.zero(pair.v)
    kernels.zero(pair.w)
    kernels.zero(pair.q)
    kernels.zero(pair.w_norm)
    kernels.zero(pair.S)
    kernels.zero(pair.x)
    kernels.zero(pair.W_x)
    kernels.zero(pair.sizes)


@inlined
def _schedule(state: State, rules: Rules, learning: bool) -> tuple[float, float]:
    """(η, scale2) of this step, Adam's bias corrections or the Kalman filter's γ included; η = 0 for no step."""
    if not learning:
        return 0.0, 1.0
    powers, step = state.network.powers, state.clock[1]
    state.clock[1] += 1
    eta, scale2 = step_size(rules.learning_rate, rules.learning_rate_decay, step), 1.0
    if rules.optimiser == ADAM:
        powers[0] *= kernels.BETA1
        powers[1] *= kernels.BETA2
        eta *= error_scale(state.scales.losses) / (1.0 - powers[0])
        scale2 = 1.0 / (1.0 - powers[1])
    elif rules.optimiser == KALMAN:
        scale2 = metric_rate(step)
    return eta, scale2


@inlined
def _estimate(state: State, rules: Rules, ranges: tuple[int, ...], work: Work) -> tuple[float, float, float, int]:
    """Update v of the tangents, and prepare the vectors from which the pass computes the gradient and w."""
    network, pair = state.network, state.tangent
    R, with_traces = pair.v.shape[0], rules.estimator == TRACES
    z_norm = nobacktrack.norm(work.z)
    bound = nobacktrack.norm(work.b) * z_norm
    nobacktrack.immediate_norms(work.D, work.z, ranges, work.sizes)
    if with_traces:
        traces.self_influence(work.own, network.W, work.c, work.D)
        traces.backpropagate(work.d, network.W, work.b, work.c, work.delta, ranges[1])
        traces.balance(pair.rho, pair.sizes, pair.S, network.W, work.D, state.clock[0] % network.h.shape[0])
        length = nobacktrack.norm(pair.sizes)
        bound = bound + nobacktrack.norm(work.d) * length if length <= EXPLODED else math.inf
    elif rules.estimator == UORO:
        nobacktrack.uoro_scale(work.sizes)
    # Σ_i |F_i|²/ρ_i², what the injection adds to E|w|²: with ρ_i² = |F_i|, or of equal mean square, it is Σ_i |F_i|.
    injected = 0.0
    for i in range(work.sizes.shape[0]):
        injected += (pair.sizes[i] / pair.rho[i]) ** 2 if with_traces else work.sizes[i]
    norm, guarded = 0.0, 0
    for r in range(R):
        nobacktrack.propagate(work.f, pair.q[r], pair.v[r], work.c, work.D)
        rho0 = nobacktrack.balance(work.f, pair.w_norm[r])
        delta_f = 0.0
        for i in range(work.f.shape[0]):
            delta_f += work.delta[i] * work.f[i]
        work.delta_f[r] = delta_f
        work.decay[r] = 1.0 / rho0
        bound += abs(delta_f) * pair.w_norm[r] / R
        if with_traces:
            traces.inject(pair.v[r], work.e[r], work.f, pair.W_x[r], pair.x[r], work.own, work.c, work.D, rho0)
        else:
            nobacktrack.inject(pair.v[r], work.e[r], work.f, work.D, work.sizes, work.signs[r], rho0)
        pair.w_norm[r] = math.sqrt((pair.w_norm[r] / rho0) ** 2 + injected)
        size = nobacktrack.norm(pair.v[r]) * pair.w_norm[r]
        if size > nobacktrack.NORM_LIMIT:
            for i in range(pair.v.shape[1]):
                pair.v[r, i] *= nobacktrack.NORM_LIMIT / size
            size, guarded = nobacktrack.NORM_LIMIT, SHRUNK
        norm = max(norm, size)
    residual_weight = 1.0
    if with_traces:
        traces.bound_norms(pair.sizes, work.own, work.sizes)
        for r in range(R):
            traces.draw_signs(pair.x[r], pair.rho, work.signs[r])
        residual_weight = rules.residual_weight
        if residual_weight < 0.0:
            j, exact = state.clock[0] % pair.w.shape[0], 0.0
            lo, hi = (ranges[0], ranges[1]) if j < network.h.shape[0] else (ranges[2], ranges[3])
            for i in range(lo, hi):
                exact += float(work.b[i] * work.z[j] + work.d[i] * pair.S[j, i]) ** 2
            residual_weight = traces.residual_weight(pair.trust, pair.w[j], work.delta_f, exact)
    for r in range(R):
        work.s[r] = residual_weight * work.delta_f[r] / R
    return bound, norm, residual_weight, guarded


@inlined
def _rtrl_step(
    state: State, rules: Rules, learning: bool, ranges: tuple[int, ...], work: Work
) -> tuple[float, float, float, int]:
    """The same for exact RTRL: (norm of the gradient, 0, 0, guards that acted)."""
    network, J = state.network, state.tangent.J
    rtrl.advance(J, network.W, work.z, work.c, work.D, ranges, work.J)
    size, guarded = 0.0, 0
    if learning:
        rtrl.gradient(J, work.delta, work.gradient)
        for j in range(network.W.shape[0]):
            size += nobacktrack.norm(work.gradient[j]) ** 2
        size = math.sqrt(size)
        if size <= EXPLODED:
            eta, scale2 = _schedule(state, rules, learning)
            kernels.apply_gradient(
                network.W, network.m0, network.m1, network.m2, work.gradient, work.g, ranges, rules.optimiser,
                eta, scale2,
            )  # fmt: skip
        else:
            guarded = SKIPPED
    # An influence beyond all bounds starts anew, like a tangent.
    if guarded or not (rtrl.largest(J) <= EXPLODED):
        kernels.zero(J)
        guarded = SKIPPED
    kernels.assign(network.h, work.h)
    kernels.products(network.W, network.h, network.p, ranges[1])
    return size, 0.0, 0.0, guarded
