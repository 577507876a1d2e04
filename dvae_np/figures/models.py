"""Pictures of a trained model: what its codes mean, what it makes of an image, what it makes up.

Each draws into a Matplotlib figure, as all of `dvae_np.figures` do. Images show the mean of p(x|z).
"""

import numpy as np

from dvae_np.arrays import count_states
from dvae_np.laws import joint_states
from dvae_np.model import PLAIN
from dvae_np.networks import latents
from dvae_np.noise import evenly
from dvae_np.vae import own_arrays, posterior_and_prior, reconstruction
from dvae_np.wake_sleep import prior_codes

MOST_CODES = 64
MOST_STATES = 2**14  # joint states up to which the best code of an image is searched


def reconstructions(figure, params, data, model=PLAIN, columns=16):
    """Test images above what the model makes of them: the mean image of each one's most probable codes (q), and, where all
    joint states can be tried, of the codes under which the image is most probable (best)."""
    x, c = _examples(data.test, columns)
    q, _ = posterior_and_prior(params, x, c, model)
    rows = {"x": x, "q": mean_images(params, likely_codes(q), data, c, model)}
    if count_states(*latents(params)) <= MOST_STATES:
        rows["best"] = mean_images(params, best_codes(params, x, c, model), data, c, model)
    grid(figure, np.stack(list(rows.values())) / data.white, data.shape, labels=list(rows))


def best_codes(params, x, c=None, model=PLAIN):
    """The joint state z with the highest p(x|z), for each example: (B, N)."""
    states = joint_states(*latents(params))
    fz = [
        reconstruction(params["theta"], x, c, model)(part[:, None])[0]
        for part in np.array_split(states, -(-len(states) // 512))
    ]
    return states[np.concatenate(fz).argmin(0)]


def samples(figure, params, data, rng, model=PLAIN):
    """Mean images of codes drawn from the prior; with a context, for test images' contexts."""
    _, c = _examples(data.test, 48)
    images = mean_images(params, prior_codes(params, rng, 48, c, model), data, c, model)
    pictures(figure, images / data.white, data.shape)


def pictures(figure, images, shape, columns=16, rows=3):
    """The first of these images (count, D), as many as fit."""
    whole = np.full((rows * columns, images.shape[1]), np.nan)
    whole[: len(images)] = images[: len(whole)]
    grid(figure, whole.reshape(rows, columns, -1), shape)


def codes(figure, params, data, model=PLAIN, columns=16):
    """What each code means: for latent n and category k the mean image over the validation images' codes with z_n = k.

    Above each picture the share of images that use the code, and the most frequent label among them where there is one.
    Of more than 64 categories the 64 most used are drawn, in falling order. For models without a context.
    """
    N, K = latents(params)
    law, _ = posterior_and_prior(params, data.validation.x, model=model)
    states = joint_states(N, K)
    q = np.exp(law.log_prob(states[:, None])[0])  # (M, B)
    share, images = q.mean(1), mean_images(params, states, data, model=model) / data.white
    labels = data.validation.labels
    drawn, columns = min(K, MOST_CODES), min(K, columns)
    lines = -(-drawn // columns)  # that each latent takes
    means = np.full((N, lines * columns, images.shape[1]), np.nan)
    titles = np.full((N, lines * columns), "", object)
    for n in range(N):
        used = np.bincount(states[:, n], share, minlength=K)
        for place, k in enumerate(range(K) if K <= MOST_CODES else np.argsort(-used)[:MOST_CODES]):
            own = states[:, n] == k
            means[n, place] = (share[own, None] * images[own]).sum(0) / max(used[k], np.finfo(used.dtype).tiny)
            label = f" '{np.bincount(labels, q[own].sum(0)).argmax()}'" if labels.ndim == 1 else ""
            titles[n, place] = f"{used[k]:.0%}{label}"
    names = [f"z{n + 1}" for n in range(N) for _ in range(lines)]
    grid(figure, means.reshape(N * lines, columns, -1), data.shape, names, titles.reshape(N * lines, columns))


def codes_size(params, columns=16):
    """The size in inches at which `codes` is readable."""
    N, K = latents(params)
    return 0.75 * min(K, columns), 1.05 * N * -(-min(K, MOST_CODES) // columns)


def effects(figure, params, data, model=PLAIN, columns=16, rows=12):
    """Each latent's effect: the codes of one test image, its category of latent n replaced by every other one.

    The first picture of a row is the image with its own codes; at most 12 latents and 16 categories are drawn.
    """
    N, K = latents(params)
    x, c = _examples(data.test, 1)
    own = likely_codes(posterior_and_prior(params, x, c, model)[0])[0]  # (N,)
    rows, shown = min(N, rows), min(K, columns)
    images = []
    for n in range(rows):
        z = np.repeat(own[None], shown + 1, 0)
        z[1:, n] = np.arange(shown)
        images.append(mean_images(params, z, data, None if c is None else np.repeat(c, len(z), 0), model))
    titles = np.full((rows, shown + 1), "", object)
    titles[0] = ["own", *map(str, range(shown))]
    grid(figure, np.stack(images) / data.white, data.shape, [f"z{n + 1}" for n in range(rows)], titles)


def classes(figure, params, data, rng, model=PLAIN, columns=12):
    """Mean images of every class, one a row, for the same codes, one a column: drawn from p(z|c) of one class after another."""
    contexts = np.eye(len(data.classes), dtype=data.train.x.dtype)
    z = prior_codes(params, rng, columns, contexts[np.arange(columns) % len(contexts)], model)
    rows = [mean_images(params, z, data, np.tile(context, (columns, 1)), model) for context in contexts]
    grid(figure, np.stack(rows) / data.white, data.shape, list(data.classes))


def completions(figure, images):
    """Several completions of the same upper halves, as `completed` gives them: (rows, columns, height, width)."""
    titles = ("given", "truth", *(f"draw {i + 1}" for i in range(len(images) - 2)))
    grid(figure, images, images.shape[2:], titles)


def completed(params, data, rng, model=PLAIN, columns=12, draws=5):
    """Test images: the upper halves, the truth, means for codes drawn from the prior: (draws + 2, columns, height, width)."""
    x, c = _examples(data.test, columns)
    lower = [np.full_like(x, 0.25 * data.white), x]
    lower += [mean_images(params, prior_codes(params, rng, columns, c, model), data, c, model) for _ in range(draws)]
    upper = c.reshape(columns, *data.context_shape)
    return np.stack([np.concatenate([upper, images.reshape(columns, *data.shape) / data.white], 1) for images in lower])


def usage(figure, measured):
    """The share of the images that each category has, a bar each, for at most 12 latents; and what the latent says."""
    rows = min(len(measured.share), 12)
    panels = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for n, axes in enumerate(panels):
        axes.bar(np.arange(measured.share.shape[1]), measured.share[n], color="#0072B2", width=0.85)
        axes.set_title(
            f"z{n + 1}: perplexity {measured.perplexity[n]:.1f}, {measured.information[n]:.2f} nats about x"
            f"{measured.kl_of(n, 2)}", fontsize=8)  # fmt: skip
        axes.set_ylabel("share", fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("category")


def likely_codes(q):
    """The most probable codes (B, N); codes drawn, where the law has no mode."""
    return q.mode() if hasattr(q, "mode") else q.codes(evenly(1, *q.sizes[:2], like=q[0]))[0]


def mean_images(params, z, data, c=None, model=PLAIN):
    """The mean of p(x|z), for codes z (M, N) and, where there are contexts, c (M, C) or (1, C): (M, D)."""
    z = z[:, None] if c is None else z[None]
    a, _ = model.decoder(params["theta"], z, c)
    observation = model.observation
    mean = observation.mean(a, int(np.prod(data.shape)), **own_arrays(params["theta"], model))
    return mean[:, 0] if c is None else mean[0]


def _examples(split, count):
    """`count` examples spread over a split: x and c."""
    chosen = np.linspace(0, len(split.x) - 1, count).astype(int)
    return split.x[chosen], None if split.c is None else split.c[chosen]


def grid(figure, images, shape, labels=None, titles=None):
    """Pictures (rows, columns, ...) of this shape side by side, as *one* image: a hundred axes take a second to draw.

    labels: words beside each row. titles: words above each picture, (rows, columns). One that is not a number is left out.
    """
    rows, columns = images.shape[:2]
    fine = max(1, round(32 / max(shape)))  # each pixel is a square of so many, so that gaps can be narrow
    pictures = np.kron(images.reshape(rows, columns, *shape), np.ones((fine, fine)))  # (rows, columns, height, width)
    edge = np.where(np.isnan(pictures[..., :1, :1]), np.nan, 0.55)
    framed = np.broadcast_to(edge, (rows, columns, *(size + 2 for size in pictures.shape[2:]))).copy()
    framed[:, :, 1:-1, 1:-1] = pictures
    above = 3 if titles is None else 14
    cells = np.pad(framed, ((0, 0), (0, 0), (above, 0), (3, 0)), constant_values=np.nan)
    height, width = cells.shape[2:]
    axes = figure.subplots()
    axes.imshow(cells.transpose(0, 2, 1, 3).reshape(rows * height, columns * width), cmap="gray_r", vmin=0, vmax=1)
    middles = above + (np.arange(rows) * height) + (height - above) / 2
    axes.set_xticks([])
    axes.set_yticks(middles, labels or [""] * rows, fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for place in np.ndindex(rows, columns) if titles is not None else ():
        middle = place[1] * width + width / 2
        axes.text(middle, place[0] * height + above - 3, titles[place], fontsize=7, ha="center", va="bottom")
