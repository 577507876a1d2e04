"""The mistakes of `mutations.py`: for each a file below dvae_np/, a text that stands once in it, what it becomes, and words.

One that nothing can notice, as it is no mistake, has a fifth entry, which says why.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """One line made wrong."""

    file: str
    old: str
    new: str
    words: str
    why: str = ""  # it is no mistake

    @property
    def key(self):
        return f"{self.file}: {self.words}"

    @property
    def change(self):
        return f"{self.old}  ->  {self.new}"

    def applied(self, text):
        """The text of the file with the mistake in it. Raises ValueError where `old` does not stand there once."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.old!r} stands {text.count(self.old)} times in dvae_np/{self.file}")
        return text.replace(self.old, self.new)


# fmt: off
# ruff: noqa: E501
_BY_FILE = {
    "ops.py": (
        ("y = y + b.reshape(-1)", "y = y - b.reshape(-1)", "bias with the wrong sign"),
        ("y += table[n][rows[:, n]]", "y += table[n][rows[:, 0]]", "the first latent's codes for every latent"),
        ("dy * (1 - y * y)", "dy * (1 - y)", "tanh: y for y squared"),
        ("dy * (x.real > 0)", "dy * (x.real > 1)", "relu: slope begins at 1"),
        ("np.maximum(x, 0) + np.log1p(t)", "np.maximum(x, 0) + np.log(1 + t)", "log(1 + t) for log1p(t)"),
        ("shifted = x - row_max(x.real)", "shifted = x", "log_softmax without its maximum taken off"),
        ("a.real.max(axis, keepdims=True)", "0 * a.real.max(axis, keepdims=True)", "log_sum_exp without its largest taken out"),
        ("np.where(np.isfinite(top), top, 0)", "top + 0", "log_sum_exp: nan for rows of -inf"),
        (".T.copy().max(0)", ".T.copy().min(0)", "the least of a row for its largest"),
        ("return q * (dy - row_sums(q * dy))", "return q * (dy - row_sums(dy))", "softmax: sum dy for <q, dy>"),
        ("value = value + np.log(u[..., -1])", "value = value + np.log(u[..., 0])", "the wrong factor of an odd number of them"),
        ("np.flatnonzero(counts > r)", "np.flatnonzero(counts > r + 1)", "the last row of each code left out"),
    ),
    "categorical.py": (
        ("-(logq.T + gumbel(u))", "-(logq.T - gumbel(u))", "distinct: minus Gumbel noise"),
        ("_between(q_logits, p_logits, Independent.kl)", "_between(q_logits, p_logits, Independent.kl_parts)", "each latent's KL for their sum"),
        ("states[order].transpose(1, 0, 2)", "states[order[:, ::-1]].transpose(1, 0, 2)", "distinct: the last of them first"),
    ),
    "forward_backward.py": (
        ("r[:, n] = nodes[:, n + 1] / np.where(", "r[:, n] = nodes[:, n] / np.where(", "backward: the node that is not known yet"),
        ("transfer[:, n].transpose(0, 2, 1))", "transfer[:, n])", "backward: the pair turned round"),
        ("along[n][:, :, None] + edge_direction[:, n]", "along[n][:, :, None]", "covariance without the edges' direction"),
        ("own * (gains[n] - means[n][:, None]) + w", "own * gains[n] + w", "covariance without the mean given the next code"),
        ("score = unary[:, n + 1] + all_scores.max(1)", "score = all_scores.max(1)", "Viterbi without the unary potentials"),
        ("columns = transfer[own, n, :, z[-1].T]", "columns = transfer[own, n, z[-1].T]", "sampling by the wrong side of the pair"),
        ("return node + 2 * float(pairwise", "return node + 0 * float(pairwise", "what a product spans: without the edge"),
        ("+ (N - 1) * highest", "+ N * highest", "products: log Z with one edge more"),
        ("{4: 80.0, 8: 600.0}", "{4: 600.0, 8: 600.0}", "float32's products as far as float64's"),
        ("log_z = log_z + np.log(total[:, 0])", "log_z = log_z - np.log(total[:, 0])", "products: log Z with a flipped sign"),
        ("a, log_z = a - height, log_z + height[:, 0]", "a, log_z = a - height, log_z", "logarithms: heights not counted"),
    ),
    "chain.py": (
        ("(weighted.transpose(1, 2, 0) @ r.transpose(1, 0, 2))", "(weighted.transpose(1, 2, 0) @ r.transpose(1, 0, 2)) / 2", "log Z of shared potentials: half the gradient"),
        ("hits.pairwise - value.pairwise", "hits.pairwise", "the score of edges without their marginals"),
        ("pairs.sum(-1) - log_z", "pairs.sum(-1) + log_z", "log q with log Z added"),
        ("less = log_z_backward(dvalue.sum(0))", "less = log_z_backward(dvalue[0])", "log q: the gradient of log Z for one sample"),
        ("inner[0] + inner[1] - log_z + log_zp", "inner[0] + inner[1] - log_z", "KL without the prior's log Z"),
        ("more - summed_to(more.shape, own)", "more + summed_to(more.shape, own)", "KL's gradient in the prior: marginals added"),
        ("np.where(node, dq.unary, 0)", "dq.unary", "padded: gradients where nothing is"),
        ("np.arange(N, like=lengths) < lengths[:, None]", "np.arange(N, like=lengths) <= lengths[:, None]", "padded: one latent more"),
        ("argmax(log_weights + gumbel(u[..., n, :])", "argmax(log_weights - gumbel(u[..., n, :])", "Gumbel noise subtracted"),
    ),
    "additive.py": (
        ("(left * after).sum((-1, -2))", "(left * after).mean((-1, -2))", "edges: a mean for the sum"),
        ("(left[..., None, :] @ self.edge)[..., 0, :]", "(self.edge @ left[..., None])[..., 0]", "the slope at the later code: the pair turned round"),
        ("edge * share.pairwise)", "share.pairwise)", "the gradient in the edges without the cotangent"),
        ("Chain(node * f.node, edge * f.edge)", "Chain(node * f.node, 0 * f.edge)", "the gradient in q without the edges"),
    ),
    "laws.py": (
        ("by_state[n][states[:, n]] for n in range(N)", "by_state[n][states[:, n]] for n in range(1, N)", "log_prob without the first latent"),
        ("rows_by_code(states, dvalue, K).transpose(2, 0, 1)", "rows_by_code(states, 0 * dvalue + 1, K).transpose(2, 0, 1)", "log_prob of shared states: the cotangent left out"),
        ("np.arange(N, like=z), z].sum(-1)", "np.arange(N, like=z), z].mean(-1)", "log_prob of codes: a mean over the latents"),
        ("one_hot(z, K, dvalue.dtype)).sum(0)", "one_hot(z, K, dvalue.dtype)).mean(0)", "log_prob of codes: a mean over the samples in the gradient"),
        ("(q[n][states[:, n]] for n in range(N))", "(q[n][states[:, n]] for n in range(1, N))", "probability without the first latent"),
        ("by_code - q * weighted.sum(0)", "by_code", "probability's gradient without - q: exact without - q E[f]"),
        ("weighted = value * dvalue", "weighted = dvalue", "probability's gradient without q(z)"),
        ("one_hot(z, self.logits.shape[-1], self.logits.dtype) - q", "one_hot(z, self.logits.shape[-1], self.logits.dtype) + q", "score with + q"),
        ("(cumulated[:-1, None] <= target)", "(cumulated[:-1, None] < target)", "codes: < for <="),
        ("highest * (1 - 2**-52)", "highest * (1 + 2**-52)", "codes: a uniform that rounds to 1 is let through"),
        ("axis=-1, dtype=np.float64)", "axis=-1, dtype=q.dtype)", "codes: the sum in float32"),
        ("lambda dvalue: Independent(backward(dvalue))", "lambda dvalue: Independent(dvalue)", "marginals: the gradient in them for that in the logits"),
        ("q * (logq + each[..., None])", "q * (logq - each[..., None])", "entropy gradient: a flipped sign"),
        ("logq = np.where(q.real > 0, logq, 0)", "logq = np.where(q.real > 0, logq, logq)", "entropy: 0 log 0 left as it is"),
        ("logp = -math.log(K)", "logp = -math.log(N)", "KL to uniform: N for K"),
        ("dvalue * q * (ratio - parts[..., None])", "dvalue * q * ratio", "KL gradient without - KL"),
        ("dvalue * (np.exp(logp) - q)", "dvalue * (q - np.exp(logp))", "KL gradient of the prior, flipped"),
        ("summed_to(p.logits.shape, dvalue * (np.exp(logp) - q))", "np.broadcast_to((dvalue * (np.exp(logp) - q)).mean(0), p.logits.shape)", "KL: a mean over the batch in the prior's gradient"),
        ("np.where(possible, logp, 0))", "logp)", "KL: what both rule out left as it is"),
        ("return parts.sum(-1), lambda dvalue: parts_backward(", "return parts.mean(-1), lambda dvalue: parts_backward(", "KL: a mean of the latents'"),
        ("return np.argmax(self.logits, axis=-1)", "return np.argmin(self.logits, axis=-1)", "mode: the least probable category"),
        ("if len(u) < 1:", "if len(u) < 0:", "relaxed codes: no sample at all let through"),
        ("if len(z) < fewest:", "if len(z) < 1:", "one sample where two are needed let through"),
        ("q, z = law_and_codes(q, z, fewest)", "q, z = law_and_codes(q, z)", "the fewest samples not handed on"),
        ("return q, z.astype(np.int64, copy=False)", "return q, z", "codes in a caller's small type"),
        ("powers = K ** np.arange(N - 1, -1, -1, like=like)", "powers = K ** np.arange(N, like=like)", "joint states: the first latent fastest"),
        ("q[start : start + few].transpose(1, 2, 0)", "q[: min(few, B - start)].transpose(1, 2, 0)", "the first examples for all, where there are many"),
    ),
    "perturbed.py": (
        ("-np.log(-np.log(np.clip(u, limits.tiny, 1 - limits.eps / 2)))", "-np.log(-np.log(np.clip(u, limits.tiny, 1)))", "Gumbel noise infinite at u = 1"),
        ("np.argmax(logits + gumbel(u), axis=-1)", "np.argmax(logits - gumbel(u), axis=-1)", "Gumbel-max: minus Gumbel noise"),
        ("logq, log_softmax_backward = log_softmax(logits)", "logq, log_softmax_backward = logits, log_softmax(logits)[1]", "conditional Gumbel: unnormalised logits"),
        ("log_e = np.log(-np.log(np.clip(v, limits.tiny, 1 - limits.eps / 2)))", "log_e = np.log(-np.log(np.clip(v, limits.tiny, 1)))", "conditional Gumbel: infinite at v = 1"),
        ("moving = loser & (logq.real > -np.inf)", "moving = loser", "conditional Gumbel: a category ruled out moves"),
        ("np.where(moving, dvalue, 0)", "np.where(logq.real > -np.inf, dvalue, 0)", "conditional Gumbel: the winner moves too"),
    ),
    "concrete.py": (
        ("(K - 1) * math.log(tau)", "K * math.log(tau)", "K log tau for (K - 1) log tau"),
        ("math.lgamma(K)", "math.lgamma(K + 1)", "K! for (K - 1)!"),
        ("constants[possible.sum(-1) - 1]", "constants[-1]", "the constant of all K where some are ruled out"),
        ("path_backward(dxi + dxi_prior)", "path_backward(dxi)", "relaxed KL without the prior's path"),
        ("prior_backward(-summed_to(", "prior_backward(summed_to(", "plug-in KL: the prior's gradient flipped"),
    ),
    "coupling.py": (
        ("** (S - 1) if S > 1 else", "** S if S > 1 else", "the copula's power S for S - 1"),
        ("(last >= first)", "(last > first)", "> for >= in the orders"),
        ("mixed.transpose(1, 0, 2, 3)", "mixed", "the mixed corner not transposed"),
        ("u * highest, highest * (1 - np.finfo(q.dtype).eps)", "u * highest, highest * (1 + np.finfo(q.dtype).eps)", "what has no mass may be drawn"),
        ("return total / count", "return total / (count + 1)", "a mean over one order too many"),
    ),
    "likelihoods/bernoulli.py": (
        ("da[:, 0] -= dvalue @ x", "da[:, 0] += dvalue @ x", "shared states: + x"),
        ("logs - a[:, 0] @ x.T", "logs + a[:, 0] @ x.T", "shared states: + x a"),
        ("(a * (on - x)).sum(-1) + logs", "(a * (on - x)).sum(-1) - logs", "minus the logarithms"),
        ("da = mean - x", "da = mean + x", "the examples' own outputs: + x"),
        ("a, x, unit=True)", "a, x)", "pixels outside [0, 1]"),
        ("return sigmoid(a)[0]", "return sigmoid(-a)[0]", "the mean of black for that of white"),
        ("dtype=a.dtype) < sigmoid(a)[0])", "dtype=a.dtype) > sigmoid(a)[0])", "drawn pixels: black for white"),
        ("(len(x) - on + 0.5)", "(len(x) - on + 1.5)", "mean image: 1.5 for 0.5"),
    ),
    "likelihoods/gaussian.py": (
        ("0.5 * D * math.log(2 * math.pi)", "0.5 * D * math.log(math.pi)", "log pi for log 2 pi"),
        ("np.broadcast_to(log_scale, (D,)).sum()", "log_scale.sum()", "the logarithm of one scale for that of D pixels"),
        ("(target * target).sum(-1) / 2", "(target * target).sum(-1)", "shared states: x squared without its half"),
        ("- 2 * (mean[:, 0] * scored)", "- (mean[:, 0] * scored)", "shared states: a factor 2"),
        ("da[:, 0] -= scored", "da[:, 0] += scored", "shared states: + x"),
        ("dvalue * (1 - away * away)", "dvalue * (1 + away * away)", "the scale's gradient"),
        ("dvalue * away * inverse, None", "dvalue * away, None", "the mean's gradient without 1/sigma"),
        ("a + np.exp(log_scale)", "a + np.exp(2 * log_scale)", "drawn pixels: the variance for sigma"),
        ("return x.mean(0)", "return 0.9 * x.mean(0)", "mean image: 0.9 of it"),
        ("SCALE = 0.5 ", "SCALE = 5.0 ", "another sigma at the start"),
        ("math.log(SCALE)})", "SCALE})", "sigma for log sigma at the start"),
    ),
    "likelihoods/categorical_pixels.py": (
        ("levels = np.rint(x * (V - 1)).astype(int)", "levels = np.rint(x * V).astype(int)", "levels: V for V - 1"),
        ("- x * (V - 1)) < 1e-3", "- x * (V - 1)) < 1e3", "values between the levels let through"),
        ("value = -(logp.reshape(len(a), D * V) @ rows.T)", "value = logp.reshape(len(a), D * V) @ rows.T", "shared states: + log p"),
        ("-(dvalue @ rows).reshape", "(dvalue @ rows).reshape", "shared states: the gradient's sign"),
        ("-dvalue[..., None, None] * chosen", "dvalue[..., None, None] * chosen", "the gradient's sign"),
        ("astype(a.dtype) / (V - 1))", "astype(a.dtype) / V)", "mean of the levels: V for V - 1"),
        ("(cumulated < rng.random(", "(cumulated > rng.random(", "drawn levels: > for <"),
        ("(levels / cumulated.shape[-1])", "(levels / (cumulated.shape[-1] + 1))", "drawn levels: V for V - 1"),
        ("(len(x) + 0.5 * levels)", "(len(x) + 0.5)", "shares of levels that do not add up to 1"),
    ),
    "likelihoods/poisson.py": (
        ("rate = np.exp(a)", "rate = np.exp(-a)", "the rate e^-a"),
        ("constant = log_factorial(x).sum(-1)", "constant = 0 * log_factorial(x).sum(-1)", "without log x!"),
        ("sums[x.astype(int)]", "sums[x.astype(int) - 1]", "(x - 1)! for x!"),
        ("(rate - x * a).sum(-1)", "(rate + x * a).sum(-1)", "+ x a"),
        ("(dvalue[..., None] * (rate - x), None)", "(dvalue[..., None] * (rate + x), None)", "the gradient: + x"),
        ("rate.sum(-1) - a[:, 0] @ x.T", "rate.sum(-1) + a[:, 0] @ x.T", "shared states: + x a"),
        ("da[:, 0] -= dvalue @ x", "da[:, 0] += dvalue @ x", "shared states: + x"),
        ("and (x == np.rint(x)).all()", "and True", "fractions let through"),
        ("and (x >= 0).all()", "and True", "negative counts let through"),
        (".sum(-1).astype(a.real.dtype)", ".sum(-1)", "float32 made float64"),
        ("return np.exp(a)", "return a", "the mean: the log of the rate"),
        ("/ AT_ONCE)) or 1", "/ 1e9)) or 1", "large rates drawn at once: e^-rate vanishes"),
        ("_inverted(np.exp(a) / parts,", "_inverted(np.exp(a),", "large rates: parts as large as the whole"),
        ("term * rate / np.maximum(count, 1)", "term * rate", "drawn counts: terms without 1/x"),
        ("(x.sum(0) + 0.5) / len(x)", "(x.sum(0) + 1.5) / len(x)", "mean image: 1.5 for 0.5"),
    ),
    "likelihoods/likelihood.py": (
        ("outputs: Callable = lambda levels: 1", "outputs: Callable = lambda levels: levels", "as many outputs as levels for all"),
    ),
    "networks.py": (
        ('| {"pairwise": dq.pairwise[0]}', '| {"pairwise": 0 * dq.pairwise[0]}', "a chain's pairwise potentials that do not learn"),
        ('"pairwise": dp.pairwise[0]}', '"pairwise": -dp.pairwise[0]}', "a markov prior's pairs, flipped"),
        ("return (1 + scale) * u + code, backward", "return scale * u + code, backward", "film without the 1"),
        ("return (N, K, H), (3 / N) ** 0.5", "return (N, K, H), (3 / K) ** 0.5", "embedding's initial scale: K for N"),
        ("\"scale\": _rows(*sizes)", "\"scale\": (sizes, (3 / sizes[1]) ** 0.5)", "film's initial scale: K for N"),
        ("((N, K, E), 3**0.5)", "((N, K, E), 3**-0.5)", "concatenation's initial scale inverted"),
        ("(3 / (N * E)) ** 0.5", "(3 / E) ** 0.5", "the mix's initial scale without N"),
        ("max(1, H // N)", "max(1, H // K)", "the rows of concatenation: K for N"),
        ("return code + u, lambda dh:", "return code - u, lambda dh:", "embedding: minus the context"),
        ("lambda dh: (0, summed_to(code.shape, dh), summed_to(u.shape, dh), {})", "lambda dh: (0, dh, summed_to(u.shape, dh), {})", "embedding: the gradient of shared states not added up"),
        ("return mix + u, backward", "return mix, backward", "concatenation without the context"),
        ("mix_backward(summed_to(mix.shape, dh))", "mix_backward(np.broadcast_to(dh.mean(1, keepdims=True), mix.shape))", "concatenation: a mean over the examples"),
        ("scale_backward(summed_to(code.shape, u * dh))", "scale_backward(summed_to(code.shape, dh))", "film: the scale's gradient without u"),
        ("summed_to(u.shape, (1 + scale) * dh)", "summed_to(u.shape, scale * dh)", "film: the context's gradient without the 1"),
        ("None if dz is None else dz + dz_joined", "None if dz is None else dz", "film: relaxed codes get no gradient from the scale"),
        ("{\"logits\": dp.logits[0]}", "{\"logits\": -dp.logits[0]}", "a learned prior's gradient flipped"),
        ("lambda dp: mlp_backward(dp.logits)[1]", "lambda dp: mlp_backward(-dp.logits)[1]", "a conditional prior's gradient flipped"),
        ("\"fixed\": Prior(shared, _table, trained=False)", "\"fixed\": Prior(shared, _table)", "a fixed prior that learns"),
    ),
    "initial.py": (
        ("(N * K) ** -0.5", "(N + K) ** -0.5", "the first bias's initial scale"),
        ("(C, H), C**-0.5, dtype)", "(C, H), H**-0.5, dtype)", "the context's initial scale: H for C"),
        ("(fan_in, *out), fan_in**-0.5, dtype)", "(fan_in, *out), fan_in**-1.0, dtype)", "weights' initial scale without its root"),
        ("rng, out, fan_in**-0.5, dtype)", "rng, out, fan_in**0.5, dtype)", "biases' initial scale inverted"),
        ("(2 * rng.random(shape, dtype=dtype) - 1)", "rng.random(shape, dtype=dtype)", "initial weights that are all positive"),
        ("f\"b{last}\": 0 * phi[f\"b{last}\"]", "f\"b{last}\": phi[f\"b{last}\"]", "a conditional prior that does not start as uniform"),
    ),
    "vae.py": (
        ("expectation.value.mean() + beta * cost", "expectation.value.mean() + cost", "the KL in the value without beta"),
        ("[array / B + beta * more for", "[array + beta * more for", "logits' gradient without 1/B"),
        ("return fz + N * math.log(K), f_backward", "return fz + K * math.log(N), f_backward", "joint: K log N for N log K"),
        ("np.maximum(mean, least).sum(), (costs", "np.maximum(mean, 0).sum(), (costs", "free bits missing in the value"),
        ("(mean.real >= least) / len(kl_parts)", "(mean.real >= 0) / len(kl_parts)", "free bits missing in the gradient"),
        ("divergence, cost = sampled.mean(0), sampled.mean()", "divergence, cost = sampled.sum(0), sampled.mean()", "the sampled KL summed where it is reported"),
        ("gradient / B for name, gradient in expectation.domega", "gradient for name, gradient in expectation.domega", "tunables' gradient without 1/B"),
        ("noise, beta=1.0, *, model=PLAIN", "noise, beta=0.5, *, model=PLAIN", "beta is 0.5 where nothing is said"),
        ("tuple(reversed(hidden))", "tuple(hidden)", "the decoder's layers in the encoder's order"),
        ("gradient /= B", "gradient /= 1", "the decoder's gradient without 1/B"),
        ("+ beta * more for", "+ more for", "the KL's gradient without beta"),
        ("[beta * array for array in dp]", "[array for array in dp]", "the prior's gradient without beta"),
        ("dtheta.pop(f\"prior_{name}\") / B", "dtheta.pop(f\"prior_{name}\")", "a bound: the prior's gradient without 1/B"),
        ("beta = 0.0 if row.owns_kl else float(beta)", "beta = float(beta)", "a bound that contains the KL gets it again"),
        ("if row.owns_kl else f, *arrays", "if not row.owns_kl else f, *arrays", "the joint for those without the KL in their objective"),
        ("row.hyper | (hyper or {})", "row.hyper | {}", "given hyper-parameters not handed on"),
        ("np.full_like(sampled, 1 / sampled.size)", "np.full_like(sampled, 1 / len(sampled))", "the sampled KL's gradient without 1/B"),
        ("np.full_like(parts, 1 / B)", "np.full_like(parts, 1 / parts.size)", "the KL's gradient a mean over the latents"),
        ("logp_backward(-dfz)", "logp_backward(dfz)", "joint: the prior's gradient flipped"),
        ("return fz - logp, backward", "return fz + logp, backward", "joint: + log p(z)"),
        ("if row.owns_kl and (beta != 1 or free_bits):", "if row.owns_kl and free_bits:", "beta for a bound that contains the KL let through"),
        ("kl not in SAMPLED_KL or not row.relaxed", "kl not in SAMPLED_KL", "a sampled KL without relaxed samples let through"),
        ("if kl != \"analytic\" and free_bits:", "if kl == \"relaxed\" and free_bits:", "free bits of the plug-in KL let through"),
        ("if OWN & set(theta) != set(own):", "if not set(theta) >= set(own):", "another observation model's own arrays let through"),
        ("dict(zip(own, map(theta.get, own), strict=True))", "dict(zip(own, (0 * theta[name] for name in own), strict=True))", "sigma is 1 whatever was learned"),
        ("row.expect_hyper(hyper)", "row.expect_hyper({})", "unknown hyper-parameters let through"),
        ("(params.get(\"phi\"), c, model.activation)[0]", "(params.get(\"phi\"), c)[0]", "evaluation: relu in a prior of another activation"),
        ("p, prior_backward = PRIORS[model.prior].op(params.get(\"phi\"), c, model.activation)", "p, prior_backward = PRIORS[model.prior].op(params.get(\"phi\"), c)", "training: relu in a prior of another activation"),
        ("D * observation.outputs(levels), tuple", "D, tuple", "one output for a pixel of several levels"),
    ),
    "arrays.py": (
        ("int(z.max()) >= K", "int(z.max()) > K", "code K let through"),
        ("expect(\"fz\", fz, z.shape[:2])", "expect(\"fz\", fz, (\"S\", \"B\"))", "values of f of other sizes let through"),
        ("array = array.sum(axis, keepdims=True)", "array = array.mean(axis, keepdims=True)", "a mean for the sum over what was broadcast"),
    ),
    "noise.py": (
        ("np.finfo(dtype).eps / 4, 1)", "0, 1)", "uniforms that may be 0"),
    ),
    "device.py": (
        ("return self.put_array(self.rng.random(size, dtype=dtype))", "return self.put_array(self.rng.random(size))", "noise for a device in float64"),
    ),
    "files.py": (
        ("indent=1, allow_nan=False)", "indent=1)", "nan in a record"),
    ),
    "folders.py": (
        ("return f\"{self.kind} {name}\" in self._lines()", "return bool(self._lines())", "every file of a folder its own"),
    ),
    "lesson.py": (
        ("tolerance=1e-10):", "tolerance=1e-1):", "equations confirmed to 10 per cent"),
    ),
    "estimators/table.py": (
        ("Evaluations(\"2 S\", lambda S, N, K: 2 * S)", "Evaluations(\"2 S\", lambda S, N, K: S)", "ARM's evaluations of f"),
        ("lambda S, N, K: 3 * S)", "lambda S, N, K: 2 * S)", "evaluations of f that are not counted"),
        ("lambda S, N, K: S + 1)", "lambda S, N, K: S)", "one evaluation too many for MuProp"),
        ("hyper={\"tau_forward\": 1.0, \"tau_backward\": 2.0}", "hyper={\"tau_forward\": 1.0, \"tau_backward\": 1.0}", "the table's default is not the function's"),
        ("\"log_tau\": np.log(0.5) *", "\"log_tau\": 0.5 *", "tau for log tau at the start"),
        ("omega=_rebar_omega,\n        tunes=\"variance\"", "omega=_rebar_omega,\n        tunes=\"baseline\"", "REBAR's tunables not for the variance"),
        ("{\"w1\": 0 * surrogate[\"w1\"], \"b1\": 0 * surrogate[\"b1\"]}", "{\"w1\": surrogate[\"w1\"], \"b1\": 0 * surrogate[\"b1\"]}", "a surrogate that does not start at 0"),
        ("family=STRAIGHT, asks=\"marginals\"", "family=STRAIGHT, asks=\"logits\"", "straight-through asks for independent latents"),
        ("paper=\"Kool, van Hoof & Welling 2020\", most_samples=8", "paper=\"Kool, van Hoof & Welling 2020\", most_samples=80", "the unordered set of more samples than it takes"),
    ),
    "estimators/row.py": (
        ("max(S, self.fewest_samples), self.most_samples)) if self.noise else 1", "max(S, self.fewest_samples), self.most_samples)) if self.noise else S", "samples for what takes none"),
        ("min(max(S, self.fewest_samples), self.most_samples)", "max(S, self.fewest_samples)", "more samples than the row takes"),
        ("self.evaluations.count(S + 1, N, K) <= evaluations", "self.evaluations.count(S, N, K) <= evaluations", "one sample more than so many evaluations allow"),
        ("self.evaluations.count(S + 1, N, K) <= evaluations", "self.evaluations.count(S + 1, N, K) < evaluations", "one sample less than so many evaluations allow"),
        ("min(self.most_samples, K**N) if", "self.most_samples if", "more distinct samples than there are states"),
        ("elif S < self.fewest_samples:", "elif S <= self.fewest_samples:", "the fewest samples refused"),
        ("if S > self.most_samples:", "if S >= self.most_samples:", "the most samples refused"),
        ("if self.binary and K != 2:", "if self.binary and K < 2:", "three categories let through where two are needed"),
        ("if S != 1:", "if S < 1:", "samples for what visits every state let through"),
        ("str | bool):", "str | bool | float):", "a hyper-parameter that is no number let through"),
        ("if name not in self.hyper:", "if name == \"\":", "another estimator's hyper-parameter let through"),
    ),
    "estimators/estimate.py": (
        ("if kind in (\"f\", \"i\", \"u\")", "if kind in (\"i\", \"u\")", "float64 hyper-parameters beside float32"),
        ("if logits.shape[-1] != 2:", "if logits.shape[-1] < 2:", "three categories for a binary estimator"),
    ),
    "estimators/arm.py": (("[..., None] * (e - 0.5)", "[..., None] * e", "e for e - 1/2: unbiased, but of more variance"),),
    "estimators/carms.py": (("/ (S * (S - 1))", "/ (S * S)", "S for S - 1"),),
    "estimators/control_variate.py": (
        ("2 * (through_zg[name] - through_zt[name])", "2 * (through_zg[name] + through_zt[name])", "domega: a flipped sign"),
        ("score_backward((fz - c_zt) / S)", "score_backward((fz - 2 * c_zt) / S)", "the control variate twice"),
        ("\"log_tau\": -(dz * z).sum()", "\"log_tau\": (dz * z).sum()", "log tau's gradient flipped"),
    ),
    "estimators/decoupled_straight_through.py": (("softmax(logits / tau_backward)", "softmax(logits / tau_forward)", "the other temperature"),),
    "estimators/disarm.py": (("np.where(phi.real > 0, phi, -phi)", "phi", "sigmoid(phi) for sigmoid(|phi|)"),),
    "estimators/double_cv.py": (
        ("(slope[::-1] * (hard - q))", "(slope * (hard - q))", "its own slope for the other's"),
        ("{\"alpha\": 2 * (dlogits", "{\"alpha\": (dlogits", "alpha's gradient without its factor 2"),
    ),
    "estimators/exact.py": (
        ("min(start + block, K**N), like=q[0]", "min(start + block, K**N) - 1, like=q[0]", "the last state of each block left out"),
        ("value = value + (weight * fz).sum(0)", "value = (weight * fz).sum(0)", "the value of the last block alone"),
        ("else weight.sum(1, keepdims=True)", "else weight.mean(1, keepdims=True)", "dtheta of an f that does not see the example: a mean over the batch"),
        ("each_array(np.add, dq, dweight)", "each_array(np.subtract, dq, dweight)", "the gradients of later blocks subtracted"),
    ),
    "estimators/gapped_straight_through.py": (("np.maximum(logits + gap - top, 0)", "np.maximum(logits - gap - top, 0)", "the gap with the wrong sign"),),
    "estimators/gumbel_rao.py": (("/ (tau * len(v))", "/ tau", "a sum over the inner draws"),),
    "estimators/gumbel_softmax.py": (("(logits + gumbel(u)) / tau", "logits / tau + gumbel(u)", "the noise not divided by tau"),),
    "estimators/local_expectation.py": (("q.transpose(1, 2, 0) / (S * N)", "q.transpose(1, 2, 0) / (S * K)", "K for N in the weights"),),
    "estimators/muprop.py": (("(one_hot(z, mean.shape[-1], mean.dtype) - mean)", "one_hot(z, mean.shape[-1], mean.dtype)", "the tangent without its point: unbiased"),),
    "estimators/nvil.py": (
        ("network_backward(-signal.mean(0)[:, None])", "network_backward(signal.mean(0)[:, None])", "the baseline learns away from f"),
        ("(omega[\"variance\"] - signal**2)", "(omega[\"variance\"] + signal**2)", "the variance's gradient"),
        ("np.maximum(omega[\"variance\"], 1)", "np.maximum(omega[\"variance\"], 0)", "divided by small deviations too"),
        ("domega |= {\"centre\": -signal.mean(0).sum()", "domega |= {\"centre\": -signal.sum()", "the centre's step S times too long"),
    ),
    "estimators/rebar.py": (("relaxed(f, z, omega), u, v)", "relaxed(f, z, omega), v, u)", "u and v exchanged"),),
    "estimators/relax.py": (("return value + r[..., 0], backward", "return value - r[..., 0], backward", "the surrogate with the wrong sign"),),
    "estimators/reinforce.py": (("log_prob_backward((fz - baseline) / len(z))", "log_prob_backward((fz + baseline) / len(z))", "the baseline added: unbiased"),),
    "estimators/reinforce_ema.py": (("(baseline - fz).mean(0).sum()", "(fz - baseline).mean(0).sum()", "the average moves away from f"),),
    "estimators/reinforce_loo.py": (("np.full_like(fz, 1 / S)", "np.full_like(fz, 1 / (S - 1))", "dtheta: S - 1 for S"),),
    "estimators/reinforce_optimal.py": (("(each**2).sum(", "(each**4).sum(", "another weight: unbiased"),),
    "estimators/reinmax.py": (("middle = (softmax(logits / tau)[0] + hard) / 2", "middle = (softmax(logits)[0] + hard) / 2", "the temperature left out"),),
    "estimators/straight_through.py": (
        ("each_array(lambda array: array / tau, marginals_backward(dz.sum(0)))", "marginals_backward(dz.sum(0))", "without 1/tau"),
        ("each_array(lambda array: array / tau, q).marginals()", "q.marginals()", "the temperature left out"),
    ),
    "estimators/straight_through_gumbel.py": (("np.argmax(perturbed, axis=-1)", "np.argmax(logits + 0 * perturbed, axis=-1)", "the likeliest code for the drawn one"),),
    "estimators/sum_and_sample.py": (("weight[-1] = np.maximum(1 - weight[:-1].sum(0), 0)", "weight[-1] = 1 - weight.sum(0)", "its own mass taken off the rest"),),
    "estimators/top_k.py": (("np.arange(N - 1, -1, -1, like=distinct)", "np.arange(N, like=distinct)", "states numbered the other way round"),),
    "estimators/unordered_set.py": (("logq.astype(np.float64)), 1e-30)", "logq.astype(np.float64)), 1e-4)", "probabilities clipped at 1e-4"),),
    "estimators/vimco.py": (
        ("own = (logw.sum(0) - logw) / (S - 1)", "own = (logw.sum(0) - logw) / S", "geometric mean: S for S - 1, unbiased"),
        ("log_sum_exp(without, 1) - math.log(S - 1)", "log_sum_exp(without, 1) - math.log(S)", "arithmetic mean: S for S - 1, unbiased"),
    ),
    "check/differences.py": (
        ("COMPLEX_STEP = 1e-12", "COMPLEX_STEP = 1e-2", "the complex step's tolerance"),
    ),
    "check/hints.py": (
        ("CLOSE = 1e-6", "CLOSE = 1e-1", "signatures that fit everything"),
    ),
    "check/verdicts.py": (
        ("ENUMERATION = 1e-12", "ENUMERATION = 1e-2", "enumerated means to 1 per cent"),
    ),
    "check/enumeration.py": (
        ("np.tensordot(weights, (draws - mean) ** 2, 1)", "np.tensordot(weights, draws**2, 1)", "the second moment for the variance"),
    ),
    "check/means.py": (
        ("QUADRATURE = 1e-8", "QUADRATURE = 1e-2", "quadrature to 1 per cent"),
    ),
    "check/contract.py": (
        ("close = 1e-4 if", "close = 1e9 if", "single examples not compared in float32"),
    ),
    "check/levels.py": (
        ("estimate.dlogits.sum(-1), np.zeros((B, N))", "0 * estimate.dlogits.sum(-1), np.zeros((B, N))", "the sums over K not looked at"),
        ("if seen != said)", "if seen > said)", "fewer evaluations of f than the row says pass"),
        ("* np.isrealobj(fz))", ")", "evaluations for the tunables counted too"),
        ("for more in range(3)})", "for more in range(1)})", "evaluations counted at the fewest samples alone"),
    ),
    "check/gumbel.py": (
        ("error < coarser(base, 1e-9), error", "error < coarser(base, 1e9), error", "the structure always passes"),
    ),
    "check/identities.py": (
        ("IDENTITY = 1e-13", "IDENTITY = 1e-2", "identities to 1 per cent"),
    ),
    "check/observations.py": (
        ("for states, words in ((5, \"\"), (1, \", shared z\")):", "for states, words in ((5, \"\"), (5, \", shared z\")):", "gradients at shared states not looked at"),
        ("p.sum(1), np.ones(2 * PIXELS)", "np.ones(2 * PIXELS), np.ones(2 * PIXELS)", "probabilities may sum to anything"),
        ("row.mean(a, PIXELS, **own).ravel(), p @ values", "p @ values, p @ values", "any mean passes"),
        ("row.nll(a, x, **own)[0], sum(of_pixels)", "sum(of_pixels), sum(of_pixels)", "pixels side by side not looked at"),
        ("row.nll(a, x, **own)[0], alone", "alone, alone", "shared states not looked at"),
        ("f\"{largest:.1f} standard errors\", bool(largest < limit))", "f\"{largest:.1f} standard errors\", bool(largest < 1e9))", "any draws pass"),
        ("slope <= most + 1e-9)", "slope <= 1e9)", "any first image passes"),
    ),
    "check/posteriors.py": (
        ("q.log_prob(z)[0], each, subject", "each, each, subject", "log q(z) of codes not looked at"),
        ("q.probability()(states[:, 0])[0], chance", "chance, chance", "probabilities of states not looked at"),
        ("q.mode(), states[chance.argmax(0), 0]", "q.mode(), q.mode()", "any mode passes"),
        ("q.kl()[0], (chance", "(chance * (logq + N * np.log(K))).sum(0), (chance", "the KL to the uniform law not looked at"),
        ("in {name}\", whole, backward, subject", "in {name}\", whole, whole, subject", "any score passes"),
        ("found.error(\"complex step\"), found.kind == \"right\"", "found.error(\"complex step\"), True", "any gradient passes"),
        ("lambda q: q.log_prob(states),", "lambda q: q.log_prob(z),", "the gradient of log q at shared states not looked at"),
        ("lambda q: q.probability()(states[:, 0])", "lambda q: q.log_prob(z)", "probability's gradient not looked at"),
        ("lambda q, p: q.kl_parts(p)}", "lambda q, p: q.kl(p)}", "the gradient of the KL's parts not looked at"),
        ("limit = 3.9 +", "limit = 3e9 +", "any codes pass"),
    ),
    "check/objectives.py": (
        ("1.9 < order < 2.1", "0.9 < order", "a Taylor remainder of order 1 passes"),
    ),
    "check/toys.py": (
        ("fz = sum(power / d for d", "fz = sum(power for d", "the polynomial without 1/d"),
    ),
    "check/backward.py": (
        ('kind = "right, not analytic" if unclear else "right"', 'kind = "right"', 'not analytic is right'),
        ("LARGEST_NOISE = 1e-4", "LARGEST_NOISE = 1e1", "rounding that explains every difference"),
    ),
    "check/report.py": (
        ("f\"error {worst.error:.0e}\", not wrong", "f\"error {worst.error:.0e}\", True", "several arrays always pass"),
    ),
    "check/suite.py": (
        ("ok = found.kind == \"right\"", "ok = found.kind != \"\"", "ops always pass"),
    ),
    "train/settings.py": (
        ("2 * (share % 1))", "(share % 1))", "cyclical: beta reached at the end of the cycle alone"),
        ("share = epochs / settings.schedule_epochs", "share = epochs // settings.schedule_epochs", "the warm-up in one jump"),
        ("prior_rate: float = 1.0", "prior_rate: float = 0.1", "the prior's step size where nothing is said"),
        ("(given and len(given) != self.K)", "(given and len(given) != self.N)", "prior probabilities: N for K"),
    ),
    "train/data.py": (
        ("for chosen in (rest > 1, rest == 1, rest == 0)", "for chosen in (rest > 0, rest == 1, rest == 0)", "validation images of the digits in training"),
        ("(images[:-5000] / 255, labels[:-5000])", "(images[:-4000] / 255, labels[:-4000])", "validation images of MNIST in training"),
        ("return grey >= 0.5", "return grey > 0.5", "threshold: > for >="),
        ("np.rint(grey * (levels - 1)) / (levels - 1)", "np.floor(grey * (levels - 1)) / (levels - 1)", "levels rounded down"),
        ("np.random.default_rng(seed).random(grey.shape) < grey", "np.random.default_rng(seed).random(grey.shape) > grey", "stochastic: black for white"),
        ("(1 - FLIP) ** (side * side - flips)", "(1 - FLIP) ** (side * side)", "bars' likelihood"),
        ("hashlib.sha256(self.binarisation.encode())", "hashlib.sha256()", "a fingerprint without what became of grey"),
        ("archive[\"images\"] / 16", "archive[\"images\"] / 17", "digits that are never white"),
        ("upper = height // 2 if", "upper = height // 2 + 1 if", "completion: not the half"),
        ("return np.log(likelihood.mean(1))", "return np.log(likelihood.sum(1))", "bars' likelihood without the prior"),
        ("return np.rint(grey * white)", "return np.rint(grey * (white - 1))", "counts: one less for white"),
        ("white=white if binarisation == \"counts\" else 1", "white=white", "pictures of all data as dark as those of counts"),
    ),
    "train/mnist.py": (
        ("sizes[i : i + 4], \"big\")", "sizes[i : i + 4], \"little\")", "sizes read backwards"),
        ("body = file.read(items + 1)", "body = file.read(items)", "a file that is too long let through"),
        ("SHA256[name]:\n            failures", "\"\":\n            failures", "no download is right"),
    ),
    "train/optimisers.py": (
        ("self.params[name] -= self.lr * g", "self.params[name] += self.lr * g", "SGD upwards"),
        ("total *= self.beta1", "total *= self.beta2", "the average decays as the squares do"),
        ("(1 - self.beta1) / (1 - self.beta1**self.steps)", "(1 - self.beta1)", "no bias correction of the average"),
        ("(1 - self.beta2**self.steps) / (1 - self.beta2)", "1 / (1 - self.beta2)", "no bias correction of the squares"),
        ("step += self.eps * root", "step += self.eps", "epsilon beside the sum, not the average"),
        ("if rho <= 5 else", "if rho <= 4 else", "RAdam: 4 for 5"),
        ("(rho - 4) * (rho - 2)", "(rho - 3) * (rho - 2)", "RAdam's rectification"),
        ("most - 2 * t * decayed", "most - t * decayed", "RAdam's rho without its 2"),
        ("params, lr=1e-3, beta1=0.9, beta2=0.999", "params, lr=1e-3, beta1=0.9, beta2=0.99", "beta2 is 0.99 where nothing is said"),
        ("m / (1 - beta1**t)", "m / (1 - beta1 ** (t + 1))", "the textbook's Adam: another exponent of the average"),
        ("v / (1 - beta2**t)", "v / (1 - beta2 ** (t - 0.5))", "the textbook's Adam: another exponent of the squares"),
        ("(1 - beta2) * g**2", "(1 - beta2) * g", "the textbook's Adam: gradients for squares"),
        ("(m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)", "(m / (1 - beta1**t)) / np.sqrt(v / (1 - beta2**t) + eps)", "the textbook's Adam: epsilon below the root"),
        ("g, t, lr=1e-3, beta1=0.9, beta2=0.999", "g, t, lr=1e-3, beta1=0.9, beta2=0.99", "the textbook's Adam: another beta2 where nothing is said"),
    ),
    "train/beginning.py": (
        ("settings.lr * settings.prior_rate", "settings.lr / settings.prior_rate", "the prior's step size inverted"),
        ("\"free_bits\": settings.free_bits,", "\"free_bits\": 0,", "free bits not handed on"),
        ("(\"theta\", \"log_scale\"): settings.scale is not None", "(\"theta\", \"log_scale\"): settings.scale is None", "the given sigma learned, the learned one fixed"),
        ("= observation.start(x, data.levels)", "= 1 - observation.start(x, data.levels)", "another first image"),
        ("np.log(settings.prior_probabilities)", "settings.prior_probabilities", "the fixed prior's probabilities as logits"),
        ("((\"omega\",), *TABLE[settings.estimator].omega_step)", "((\"omega\",), settings.optimiser, TABLE[settings.estimator].omega_step[1])", "tunables by the other optimiser"),
        ("\"hyper\": hyper | settings.hyper,", "\"hyper\": hyper,", "the settings' hyper-parameters not handed on"),
        ("for groups, kind, lr in shares)", "for groups, kind, lr in shares[:1])", "neither prior nor tunables learn"),
        ("\"kl\": settings.kl,", "\"kl\": \"analytic\",", "the settings' KL not handed on"),
        ("\"model\": settings.model,", "\"model\": vae.PLAIN,", "the settings' model not handed on"),
        ("if observation.pixels != data.pixels:", "if observation.pixels == \"levels\" != data.pixels:", "an observation model of other pixels let through"),
        ("[\"table\"] *= x.dtype", "[\"table\"] /= x.dtype", "the embedding's scale inverted"),
        ("not PRIORS[settings.prior].trained", "PRIORS[settings.prior].trained", "the fixed prior learned, the learned one fixed"),
    ),
    "train/loop.py": (
        ("self.sums[0] + value * len(x)", "self.sums[0] + value", "the epoch's loss not weighted by the batch"),
        ("beta = kl_weight(settings, self.steps / self.batches)", "beta = kl_weight(settings, self.epoch)", "beta constant within an epoch"),
        ("self.batches = math.ceil(", "self.batches = math.floor(", "the last, smaller batch left out"),
        ("uniform(self.noise, x.shape, x.dtype) < x", "uniform(self.noise, x.shape, x.dtype) > x", "dynamic: black for white"),
        ("np.argsort(self.rng.random(len(self.data.train.x)))", "np.arange(len(self.data.train.x))", "no new order of the images"),
    ),
    "train/resuming.py": (
        ("list(facts[\"sums\"])", "[0.0, 0.0]", "the epoch's loss begins anew"),
        ("training.rng.bit_generator.state = _generator_state(facts)", "_generator_state(facts)", "the noise begins anew"),
        ("optimiser.restore({name: stored", "dict({name: stored", "the optimisers' moments begin anew"),
        ("if facts[\"fingerprint\"][\"train\"] != training", "if facts[\"fingerprint\"][\"train\"] == training", "other data are gone on with"),
        ("stored.get(name) != value]", "stored.get(name) == ()]", "other settings are gone on with"),
        ("or facts[\"batch\"] >= training.batches", "or facts[\"batch\"] > training.batches", "a position after the last batch"),
    ),
    "train/checkpoint.py": (
        ('time.monotonic() - self.saved >= self.seconds', 'time.monotonic() - self.saved >= 0', 'always due'),
        ("own not in self.older][2:]", "own not in self.older][1:]", "one checkpoint kept for two"),
        ("key=steps.get, reverse=True)", "key=steps.get)", "the oldest first"),
        ("hashlib.sha256(content[:-32]).digest() != bytes(content[-32:])", "False", "the SHA-256 not compared"),
        ("end = start + int.from_bytes(content[start - 8 : start], \"little\")", "end = start + int.from_bytes(content[start - 8 : start], \"big\")", "the header's length read backwards"),
    ),
    "train/evaluation.py": (
        ("log_prior = -N * np.log(K) if", "log_prior = -K * np.log(N) if", "uniform prior: K log N for N log K"),
        ("expected = expected + fz.sum(0) / S", "expected = expected + fz.mean(0)", "a sum of blocks' means"),
        ("bound - np.log(S)", "bound", "the bound without 1/S"),
        ("min(at_once, S - start)", "at_once", "more samples than S"),
        ("-fz - log_prior - q.log_prob(z)[0], 0)", "-fz - log_prior + q.log_prob(z)[0], 0)", "weights times q for by q"),
        ("return None if self.log_likelihood is None else self.negative_elbo + self.log_likelihood", "return None if self.log_likelihood is None else self.negative_elbo - self.log_likelihood", "posterior gap: a flipped sign"),
        ("range(0, K**N, block)", "range(0, K**N - 1, block)", "the last state left out where it has a block of its own"),
        ("return Evaluation(expected + divergence, expected, divergence, evidence", "return Evaluation(expected - divergence, expected, divergence, evidence", "negative ELBO with - KL"),
    ),
    "train/code_usage.py": (
        ("aggregate, each = _entropy(share), _entropy(marginals).mean(0)", "aggregate, each = _entropy(share), _entropy(share)", "information that is always 0"),
        ("return (self.share > USED).sum(-1)", "return (self.share > 0).sum(-1)", "categories that nearly no image has count"),
        ("if min(self.information[n], self.kl[n] if", "if max(self.information[n], self.kl[n] if", "max for min in the warnings"),
        ("q.kl_parts(p)[0].mean(0)", "q.kl_parts(None)[0].mean(0)", "KL to the uniform prior"),
        ("Usage(share, np.exp(aggregate)", "Usage(share, 2**aggregate", "perplexity of bits"),
    ),
    "experiments/compare.py": (
        ("error = (line[\"bias\"] ** 2 + line[\"variance\"]) ** 0.5", "error = line[\"bias\"] ** 2 + line[\"variance\"]", "the error squared"),
    ),
    "experiments/gradient_problems.py": (
        ("polynomial(w.astype(dtype), 3))", "polynomial(w.astype(dtype), 2))", "batches of another f than the examples'"),
    ),
    "experiments/tuning.py": (
        ("gradient / len(logits) for", "gradient / 64 for", "a sum over the batch but for one size"),
        ("Adam({\"omega\": hyper[\"omega\"]}, 0.01)", "Adam({\"omega\": hyper[\"omega\"]}, 0.0)", "tunables that stay as they are"),
    ),
    "experiments/measurement.py": (
        ("- spread / parts.shape[1]", "+ spread / parts.shape[1]", "the noise of the mean added to the bias"),
        ("spread.sum() / S], (GROUPS, 1))", "spread.sum()], (GROUPS, 1))", "enumerated variance of one sample"),
        ("half = 1.96 * variance.std(ddof=1) / GROUPS**0.5", "half = 1.96 * variance.std(ddof=1)", "an interval without its root"),
        ("max(bias.mean(), 0) ** 0.5", "max(bias.mean(), 0)", "the bias squared"),
        ("for _ in range(calls)], 0", "for _ in range(1)], 0", "one call for all of them"),
        ("calls * row.evaluations.count(S, N, K)", "row.evaluations.count(S, N, K)", "the evaluations of one call for those of all"),
    ),
    "experiments/rule.py": (
        ("left = error**2 - line[\"bias\"] ** 2", "left = error**2 - line[\"bias\"]", "the bias not squared"),
        ("max(1.0, line[\"variance\"] / left)", "line[\"variance\"] / left", "fewer samples than were measured"),
        ("return min(reached, key=reached.get)", "return max(reached, key=reached.get)", "the dearest for the cheapest"),
        ("if cheapest(model, error) == \"exact\")", "if cheapest(model, error) != \"exact\")", "where exact is not the cheapest"),
    ),
    "experiments/first_steps.py": (
        ("(g**2).sum((1, 2)).mean()", "(g**2).sum((1, 2)).sum()", "the common share without its mean"),
        ("float(common**0.5)", "float(common)", "|mean g| squared"),
        ("entropy(logits)[0].mean()) / settings.N", "entropy(logits)[0].mean())", "entropy of all latents for one"),
        ("replace(published, embedding_scale=1.0)", "replace(published, embedding_scale=2.0)", "another start"),
    ),
    "experiments/completion.py": (
        ("p).entropy()[0].mean()))", "p).entropy()[0]).mean())", "the mean of perplexities"),
        ("values - [run[\"log_likelihood\"] for run in by[\"unconditional prior p(z)\"]]", "[run[\"log_likelihood\"] for run in by[\"unconditional prior p(z)\"]] - values", "gains with the wrong sign"),
        ("return float(K**N)", "return float(N**K)", "N^K codes for K^N"),
        ("evaluate(run.params, data.test.x, data.test.c,", "evaluate(run.params, data.validation.x, data.validation.c,", "the wrong split"),
    ),
    "experiments/reproduce.py": (
        ("embedding_scale=(3 * K) ** -0.5", "embedding_scale=(3 * N) ** -0.5", "the embedding's scale: N for K"),
        ("\"8x4\": (5e-4, 1.3, \"adam\")", "\"8x4\": (5e-4, 1.5, \"adam\")", "another temperature than the paper's"),
        ("for split in (data.train, data.validation)]) for name", "for split in (data.train, data.train)]) for name", "training images twice"),
    ),
    "experiments/sweep.py": (
        ("max(S, row.fewest_samples), row.most_samples)) if row.noise", "max(S, row.fewest_samples), row.most_samples)) if not row.noise", "samples for what draws none"),
        ("(np.median(elbos), min(elbos), max(elbos))", "(np.mean(elbos), min(elbos), max(elbos))", "a mean for a median"),
        ("len(running) < jobs", "len(running) <= jobs", "one job too many"),
    ),
    "experiments/tour.py": (
        ("{np.median(values):.2f} ({min(values):.2f}", "{np.mean(values):.2f} ({min(values):.2f}", "a mean for a median"),
        ("evaluate(run.params, data.test.x)", "evaluate(run.params, data.validation.x)", "the wrong split"),
    ),
    "experiments/page.py": (
        ("rule.exact_up_to(rules, 0.1)", "rule.exact_up_to(rules, 0.3)", "another error than the words say"),
    ),
    "experiments/page_models.py": (
        ("{N * np.log(K):.2f}", "{K * np.log(N):.2f}", "K log N for N log K"),
    ),
    "exercises/attempt.py": (
        ("if not comparison.ok:\n            self.wrong", "if comparison.error > 1:\n            self.wrong", "answers never wrong"),
    ),
    "exercises/feedback.py": (
        ("if all(key in other for other in others)", "if True", "a hint that fits one size alone"),
        ("near = rounding * 10 *", "near = 1e9 * rounding *", "whatever is wrong equals a known mistake"),
    ),
    "exercises/marking.py": (
        ("if peak > (most :=", "if peak > 100 * (most :=", "memory not looked at"),
    ),
    "exercises/calling.py": (
        ("if any(_as_given(frame)", "if not any(_as_given(frame)", "a gap left below an answer taken for an empty one"),
    ),
    "exercises/exercise.py": (
        ("astype(np.float32).astype(np.float64)", "astype(np.float16).astype(np.float64)", "cases rounded to half precision"),
    ),
    "figures/models.py": (
        ('means[n, place] = (share[own, None] * images[own]).sum(0)', 'means[n, place] = images[own].sum(0)', 'images not weighted by their share'),
        ("return states[np.concatenate(fz).argmin(0)]", "return states[np.concatenate(fz).argmax(0)]", "the worst code for the best"),
        ("lower = [np.full_like(x, 0.25 * data.white), x]", "lower = [x, np.full_like(x, 0.25 * data.white)]", "truth and gap exchanged"),
        ("grid(figure, np.stack(list(rows.values())) / data.white", "grid(figure, np.stack(list(rows.values()))", "reconstructions of counts all black"),
        ("op(params.get(\"phi\"), c, model.activation)", "op(params.get(\"phi\"), None if c is None else 0 * c, model.activation)", "codes from another context's prior"),
        ("(1, *latents(params)), params[\"theta\"][\"table\"].dtype)) if p is None", "(1, *latents(params)), params[\"theta\"][\"table\"].dtype)) if p", "codes from the uniform prior where there is another"),
        ("z[1:, n] = np.arange(shown)", "z[1:, n] = own[n]", "effects: its own category for every other"),
    ),
    "check/judging.py": (
        ('if any(exact) and tested.verdict.startswith("INCONCLUSIVE")', 'if tested.verdict.startswith("INCONCLUSIVE")', 'a blind test passes where no mean is known',
         'where no mean is known another z-test follows, whose blindness is not forgiven'),
        ('sampled(row, offset=1.0, replicates', 'sampled(row, offset=0.0, replicates', 'an error proportional to E[f] hides'),
    ),
    "check/mistakes.py": (
        ('due": S * exact', 'due": exact / S', 'a sum over the samples called by another name'),
        ('(decay 0.95)": 0.95 * exact', '(decay 0.95)": 0.5 * exact', 'a baseline updated first called by another name'),
        ('exact / q + mean_f', 'exact / q - mean_f', 'the gradient in the probabilities'),
    ),
    "check/relaxations.py": (
        ('ok = error < 1e-12 if degree <= highest else error > 1e-3', 'ok = error < 1e3', 'exactness up to a degree always passes'),
        ('error < 1e-9, error)', 'error < 1e9, error)', 'laws by quadrature always pass'),
    ),
    "check/divergences.py": (
        ('spread < 1e-8, spread', 'spread < 1e8, spread', 'the relaxed KL may depend on tau'),
    ),
    "check/score_functions.py": (
        ('ok = variances[1] < min(variances[0], variances[2])', 'ok = variances[1] < max(variances[0], variances[2])', 'the least variance may be another'),
    ),
    "exercises/lesson_01.py": (
        ("best = np.argmin(grid**2 / 6 * third", "best = np.argmin(grid**2 / 3 * third", "our answer: 1/3 for 1/6"),
    ),
    "exercises/lesson_02.py": (
        ('[sum(1 for end in ends if end <= each) for each in u]', '[sum(1 for end in ends if end < each) for each in u]', 'our answer: < for <='),
    ),
    "exercises/lesson_03.py": (
        ('return (q * np.log(q / p)).sum(-1)', 'return (q * np.log(p / q)).sum(-1)', 'our answer: minus KL'),
    ),
    "exercises/lesson_04.py": (
        ('(every * decode + every * score) / (M * decode + every * score)', '(every * decode + every * score) / (M * decode + M * score)', 'our answer: states scored once'),
    ),
    "exercises/lesson_06.py": (
        ('(low - high) / 2 / (low + high - 2 * middle)', '(low - high) / (low + high - 2 * middle)', "our answer: the parabola's vertex"),
    ),
    "bench/measure.py": (
        ('> AGREE[case.section] * abs(ours)', '> 1e9 * AGREE[case.section] * abs(ours)', 'contestants that do other work'),
        ('np.quantile(values, (0.25, 0.5, 0.75))', 'np.quantile(values, (0.25, 0.75, 0.75))', 'the upper quartile for the median'),
    ),
    "bench/summary.py": (
        ('*((f"{ms / own[BARE][\'ms\'][1]:.2f}",)', '*((f"{own[BARE][\'ms\'][1] / ms:.2f}",)', 'the ratio to the bare products inverted'),
        ('return choose(ratios) if ratios', 'return min(ratios) if ratios', 'targets: the best ratio for the worst'),
    ),
    "bench/problems.py": (
        ('784, 1, K, (512, 512), C=784)', '784, K, 1, (512, 512), C=784)', 'N and K exchanged'),
    ),
    "check/trial.py": (
        ('if gradient is None:\n                if _is_floats(value) and name not in self.data:', 'if gradient is None:\n                if _is_floats(value) and name in self.data:', 'a gradient may be left out'),
        ('if not required <= len(found) <= len(names):', 'if not required <= len(found):', 'a gradient too many'),
        ('found = backward(cotangent := copied(dy))', 'found = backward(cotangent := dy)', 'the cotangent handed out as it is'),
    ),
    "check/analytic.py": (
        ('> 1e-9:', '> 1e9:', 'complex cotangents not looked at'),
        ('> 1e-4 and', '> 1e4 and', 'a backward pass that drops the imaginary part'),
    ),
    "check/slopes.py": (
        ('kink = gap > bend * max(size, abs(slope)) and not smooth', 'kink = False', 'no kinks'),
    ),
    "exercises/watching.py": (
        ('if name := seen[id(code)][1]:', 'if name := None:', "the library's own function let through"),
        ('if all(place in found and found[place] is part for place, part in inner.items()):', 'if True:', 'defaults and methods may be exchanged'),
    ),
    "exercises/lesson_09.py": (
        ('return np.logaddexp.reduce(logw, axis=0) - np.log(len(logw))', 'return np.logaddexp.reduce(logw, axis=0)', 'our answer: the sum for the mean'),
    ),
}
# fmt: on

MUTATIONS = tuple(Mutation(file, *each) for file, changes in _BY_FILE.items() for each in changes)
