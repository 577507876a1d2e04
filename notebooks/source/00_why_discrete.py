# %% [markdown]
# # 00 Why discrete, and a model in twenty-five lines
#
# **Question.** An autoencoder describes each image by a few numbers. What changes if the description is a *choice* instead: one code out of twenty?
#
# **After this lesson you can**
# - say what a discrete code is good for,
# - train a discrete variational autoencoder in twenty-five lines of NumPy, and look at its codes,
# - say where the chain of derivatives breaks when a code is drawn,
# - name the four ways around the break, and the lessons that teach them.
#
# *Needs:* NumPy, the chain rule, a little probability. *Takes:* 40 minutes to read and run, 50 minutes for the exercises. Everything is a loss to minimise, in nats.

# %% setup
import matplotlib.pyplot as plt
import numpy as np

from dvae_np.lesson import figure, picture
from dvae_np.train import load

# %% [markdown]
# ## 1 Why discrete
#
# Many things come in kinds. A digit is a three or an eight, a word is one of a vocabulary, a part of a molecule is there or not. Nothing lies half-way between. A code that is a choice
# says so directly. It can be counted, listed, stored in a few bits, and read by another program, a language model for instance. And a short list of codes can be gone through *completely*: averages over it are finite sums, without approximation.
#
# The price is that a choice has no derivative. This course is about that price.
#
# ## 2 A model that trains
#
# Here are the 8x8 digits that come with the package. Every pixel is 0 or 1, and a row of `x` is one image.

# %% [markdown] slide
# ## Why a discrete code?
#
# - Many things come in kinds: a digit is a three or an eight.
# - A code that is a *choice* can be counted, listed, stored in a few bits, and read by another program.
# - A short list of codes can be gone through completely: averages are finite sums.
#
# **The price: a choice has no derivative.** This course is about that price.

# %% [markdown] slide
# ## A model: one code out of twenty
#
# [picture]
#
# - The *encoder* says how probable each code is: $q = \mathrm{softmax}(x W + b)$.
# - The *decoder*: with code $k$, pixel $d$ is on with probability $\sigma(A_{kd})$.

# %%
data = load("digits")
x, test = data.train.x.astype(float), data.test.x.astype(float)
print("training images", x.shape, "test images", test.shape)
fig, axes = plt.subplots(1, 12, figsize=(8, 0.9))
for ax, image in zip(axes, x, strict=False):
    ax.imshow(image.reshape(8, 8), cmap="gray_r")
    ax.axis("off")
picture(
    fig, "Twelve of the training images: small digits in black and white."
)

# %% [markdown]
# The model describes an image by **one code out of twenty**. Here a code is a single *category*; in section 3 it has several. The model has two parts.
#
# - The *decoder* is a table $A$ with one row for each code: if the code is $k$, pixel $d$ is on with probability $\sigma(A_{kd})$, where $\sigma(a) = 1 / (1 + e^{-a})$. So each code stands for one blurred picture.
# - The *encoder* looks at an image and says how probable each code is: $q = \mathrm{softmax}(x W + b)$, twenty positive numbers that add up to one. The weights $W$ and the biases $b$ are learned, as is $A$. The numbers $x W + b$ are called *logits*.
#
# What does it cost to describe an image $x$ by code $k$? Three terms, all measured in *nats*, which are bits with the natural logarithm (one nat is $1.44$ bits):
#
# $$\mathrm{cost}_k = \underbrace{-\log p(x \mid k)}_{f_k} + \log q_k - \log \tfrac{1}{20} .$$
#
# The first, $f_k$, is large when the picture of code $k$ explains the image badly. The other two, averaged, are large when the encoder is certain: naming one code out of twenty takes up to $\log 20 = 3.0$ nats. Lesson 03 derives this sum.
# The loss is the average cost, if codes are chosen by $q$:
#
# $$\mathcal{L} = \sum_k q_k\, \mathrm{cost}_k .$$
#
# There are only twenty codes, so we can compute this sum *exactly*, and its gradient with it. For the logits the gradient is short: raise the probability of a code if its cost is below the average,
#
# $$\frac{\partial \mathcal{L}}{\partial\, \mathrm{logit}_k} = q_k\, (\mathrm{cost}_k - \mathcal{L}) .$$
#
# (Lesson 01 derives it.) For the decoder, a pixel costs $-\log \sigma(a) = \log(1 + e^{a}) - a$ if it is on, and $-\log(1 - \sigma(a)) = \log(1 + e^{a})$ if it is off. Together:
#
# $$f_k = \sum_d \bigl(\log (1 + e^{A_{kd}}) - x_d A_{kd}\bigr), \qquad \frac{\partial f_k}{\partial A_{kd}} = \sigma(A_{kd}) - x_d .$$
#
# The program computes $\log(1 + e^{a})$ by `np.logaddexp(0, a)`. In $\mathcal{L}$ the slope of $f_k$ has the weight $q_k$. Its average over the images is `dA`. What remains is a matrix product on each side, and the optimiser Adam.

# %% [markdown] slide
# ## What does it cost to describe an image by code $k$?
#
# $$\mathrm{cost}_k = \underbrace{-\log p(x \mid k)}_{f_k} + \log q_k - \log \tfrac{1}{20}$$
#
# - $f_k$ is large when the picture of code $k$ explains the image badly.
# - The other two, averaged, are large when the encoder is certain: up to $\log 20$, {{np.log(20):.1f}} nats.
#
# The loss is the average cost, if codes are chosen by $q$:
#
# $$\mathcal{L} = \sum_k q_k\, \mathrm{cost}_k$$

# %% [markdown] slide
# ## Twenty codes: the gradient is exact
#
# Raise the probability of a code if its cost is below the average:
#
# $$\frac{\partial \mathcal{L}}{\partial\, \mathrm{logit}_k} = q_k\, (\mathrm{cost}_k - \mathcal{L})$$
#
# ```python
# q, cost = costs(x)
# loss = (q * cost).sum(1, keepdims=True)  # of each image
# dlogits = q * (cost - loss) / B
# ```
#
# [output]

# %%
K, B = 20, len(x)
rng = np.random.default_rng(0)
W, b = 0.1 * rng.standard_normal((64, K)), np.zeros(K)
A = 0.1 * rng.standard_normal((K, 64))
params = [W, b, A]
m, v = [0 * w for w in params], [0 * w for w in params]


def costs(x):
    """q and the cost of every code for every image, both (B, K)."""
    logits = x @ W + b
    q = np.exp(logits - logits.max(1, keepdims=True))
    q /= q.sum(1, keepdims=True)
    f = np.logaddexp(0, A).sum(1) - x @ A.T  # -log p(x|k)
    return q, f + np.log(np.maximum(q, 1e-300)) + np.log(K)


for step in range(1, 601):
    q, cost = costs(x)
    loss = (q * cost).sum(1, keepdims=True)  # of each image
    dlogits = q * (cost - loss) / B
    dA = (q.sum(0)[:, None] / (1 + np.exp(-A)) - q.T @ x) / B
    gradients = [x.T @ dlogits, dlogits.sum(0), dA]
    for i, g in enumerate(gradients):  # Adam
        m[i], v[i] = 0.9 * m[i] + 0.1 * g, 0.99 * v[i] + 0.01 * g**2
        mean, square = m[i] / (1 - 0.9**step), v[i] / (1 - 0.99**step)
        params[i] -= 0.03 * mean / np.sqrt(square + 1e-16)
    if step in (1, 50, 100, 200, 400, 600):
        q, cost = costs(test)
        reached = (q * cost).sum(1).mean()
        print(f"step {step:3}: test loss {reached:.2f} nats")

# %% [markdown]
# One test image costs {{reached:.1f}} nats after 600 steps. Is that good? A model without a code, which always paints the average digit, costs {{mean_image:.1f}} nats. And these are the twenty pictures that the codes stand for. Nobody told the model what a
# digit is:

# %% [markdown] slide
# ## Nobody told the model what a digit is
#
# [picture]
#
# {{agree:.0%}} of the training images show the most frequent digit of their code.
#
# A test image costs {{reached:.1f}} nats. The average digit, without a code, costs {{mean_image:.1f}}.

# %%
pixel = np.clip(x.mean(0), 1e-3, 1 - 1e-3)  # the average digit
mean_image = (
    -(test * np.log(pixel) + (1 - test) * np.log(1 - pixel)).sum(1).mean()
)
used = costs(x)[0].argmax(1)  # the likeliest code of each image
labels = data.train.labels
counts = [np.bincount(labels[used == k], minlength=10) for k in range(K)]
fig, axes = plt.subplots(2, 10, figsize=(8, 2.2))
for k, ax in enumerate(axes.flat):
    ax.imshow(1 / (1 + np.exp(-A[k].reshape(8, 8))), cmap="gray_r")
    n = counts[k].sum()
    title = f"{counts[k].argmax()} ({n})" if n else "unused"
    ax.set_title(title, fontsize=8)
    ax.axis("off")
picture(
    fig,
    "The picture of each of the twenty codes: most look like one digit.",
)
agree = sum(count.max() for count in counts) / B
print(f"the average digit costs {mean_image:.1f} nats")
print(f"images that show their code's most frequent digit: {agree:.0%}")

# %% [markdown]
# Above each picture stand the digit that most of its images show, and how many images use the code (*unused*: none). {{agree:.0%}} of the training images show the most frequent digit of their code. That answers what a code *means*: the images that are best described by it.
#
# ## 3 Where it breaks
#
# Twenty codes can be summed. But with eight such choices (eight *latents* of twenty categories each) there are $20^8$ codes, twenty-five billion. Then we must *draw* a code from $q$ and look at its cost alone, as one does with Gaussian latents, where the
# derivative passes through the draw. Try it here: draw, and differentiate.
#
# A drawn code is a whole number. Move a logit a little, and the number stays what it is. So the derivative of the drawn code's $f$ with respect to the logits is zero, and of the loss only $\log q_k - \log \frac{1}{20}$ is left to train the encoder.
# That part pulls $q$ towards the uniform distribution, in which the code says nothing.
#
# The picture shows what comes of it. Each line is the model from above, with the same start. Only the line `dlogits = ...` differs. (Three seeds each; the line is the median, the band their range. The step size was chosen on validation images. `python -m dvae_np compare --lessons` measures it.)

# %% [markdown] slide
# ## Where it breaks
#
# - Eight latents of twenty categories: $20^8$ codes, twenty-five billion.
# - So we *draw* a code and look at its cost alone.
# - A drawn code is a whole number. Move a logit a little: the number stays.
# - So the slope of the drawn code's $f$ in the logits is zero.
#
# *Question: what is left to train the encoder, and where does it pull $q$?*

# %% [markdown] slide
# ## Training with that zero
#
# [picture]
#
# Only $\log q_k - \log \frac{1}{20}$ is left: it pulls $q$ towards the uniform distribution. The loss ends at {{final["no derivative"]:.1f}} nats, as the average digit. The exact gradient reaches {{final["exact"]:.1f}}.
#
# **Between these two lines lies the whole course.**

# %%
from dvae_np import records
from dvae_np.experiments.first_model import taught
from dvae_np.figures import first_models

record = records.read("first-model")
figure(
    first_models,
    record,
    taught(4),
    size=(7.4, 3.4),
    alt="Test loss against steps: flat without a derivative, falling with "
    "the exact gradient.",
)
final = {
    name: np.median([curve[-1] for curve in found["test"]])
    for name, found in record["estimators"].items()
}

# %% [markdown]
# With the derivative of the draw taken as the zero that it is, the loss ends at {{final["no derivative"]:.1f}} nats, which is that of the average digit: every code has become the same picture. The exact gradient reaches {{final["exact"]:.1f}}. Between these two lines lies the whole course. Lessons 05,
# 06, 07, 08 and 10 each add a line to this figure, drawn with a handful of codes instead of all.
#
# In general a *code* $z$ consists of $N$ latents, each one of $K$ categories: $K^N$ codes in all. An encoder turns data $x$ into logits, and a softmax turns them into $q(z \mid x)$, the *approximate posterior*. A decoder gives
# $f(z) = -\log p(x \mid z)$:

# %% [markdown] slide
# ## The problem of the course
#
# $$\mathcal{L} = \mathbb{E}_{z \sim q}[f(z)] + \beta\,\mathrm{KL}(q \,\Vert\, p), \qquad N \text{ latents of } K \text{ categories: } K^N \text{ codes}$$
#
# [picture]
#
# The KL is a finite sum. Samples can estimate the decoder's gradient. **Hard: the gradient of $\mathbb{E}_{z \sim q}[f(z)]$ in the logits.**

# %%
figure("problem.png")

# %% [markdown]
# A prior $p(z)$ says how probable each code is before any data is seen. We want the gradient of
#
# $$\mathcal{L} = \mathbb{E}_{z \sim q}[f(z)] + \beta\,\mathrm{KL}(q \,\Vert\, p)$$
#
# in all parameters, with a weight $\beta$ that is 1 until lesson 03. The KL measures how far $q$ is from the prior. It is a finite sum for each latent, with a simple gradient (lesson 03), and the decoder's gradient is an average that samples can estimate (lesson 05). What is hard is the gradient of $\mathbb{E}_{z \sim q}[f(z)]$ in the logits.
#
# ## 4 Four ways around it
#
# | way | lessons | price |
# |---|---|---|
# | sum over all $K^N$ codes: exact marginalisation | 04 | every code is decoded |
# | draw codes, and use the values of $f$ alone: the score function with a baseline | 05, 06 | variance |
# | let the code become soft, numbers between 0 and 1, or keep the code hard, and use the slope that a soft code would have | 07, 08 | bias |
# | take variance away without adding bias: control variates, sums over some of the codes, samples that avoid each other | 10 to 13 | more evaluations of $f$, sometimes its slope |
#
# Lesson 09 changes the objective instead: it bounds $\log p(x)$ by several samples. Lesson 14 measures which way is the best when, and lesson 15 finds out whether *your* gradient is right. Lessons 16 to 21 build larger models: conditional ones, training, what goes wrong, latents with structure, and quantised codes. Lesson 23 is a map of the field.
#
# ## 5 How the course works
#
# - Read a lesson from top to bottom and run it. Its first lines name the lessons that it needs. Then open its notebook in [exercises/](exercises/). A cell says `YOUR CODE HERE`, and the one below judges what you wrote. It tries your function on inputs of several sizes and says what is wrong, and often why.
# - Every equation has one number. The docstring of the function that computes it carries the same number, and so does [the sheet of all equations](README.md). The lesson confirms it by numbers each time that it runs.
# - [Symbols and words](SYMBOLS.md) lists every letter and every term, with the names that other texts use.
# - Every lesson has a section *Break it*: a mistake that is easily made, and the check that catches it. Make your own.
# - In a hurry? 01 to 06. Here for relaxations: 01 to 05, 07, 08. Here for REBAR: 01 to 07, 10, 11.
# - Teaching? See [the page for instructors](INSTRUCTORS.md).
#
# ## 6 Break it
#
# Plain gradient descent in the place of Adam, with a step size of $0.5$. Nothing else is changed.

# %% [markdown] slide
# ## Four ways around it
#
# |way|lessons|price|
# |---|---|---|
# |sum over all $K^N$ codes|04|every code is decoded|
# |draw codes, and use the values of $f$ alone|05, 06|variance|
# |let the code become soft, or use the slope that a soft code would have|07, 08|bias|
# |take variance away without adding bias|10 to 13|more evaluations of $f$, sometimes its slope|
#
# Lesson 09 changes the objective instead.

# %% [markdown] slide
# ## How the course works
#
# - Read a lesson from top to bottom, and run it.
# - Then open its exercises. A cell judges what you wrote, and often says why it is wrong.
# - Every equation has one number. The lesson confirms it by numbers each time that it runs.
# - *Break it*: in every lesson a mistake that is easily made, and the check that catches it.

# %% [markdown] slide
# ## Break it
#
# Plain gradient descent in the place of Adam, with a step size of $0.5$. Nothing else is changed.
#
# [output]
#
# - All images are sent to the same code, although the gradient is exact: *posterior collapse*.
# - An image costs about {{mean_image:.1f}} nats, as the average digit, and {{np.log(K):.1f}} nats more for naming a code that tells nothing.

# %%
W, b = 0.1 * np.random.default_rng(0).standard_normal((64, K)), np.zeros(K)
A = 0.1 * np.random.default_rng(1).standard_normal((K, 64))
for _ in range(600):
    q, cost = costs(x)
    loss = (q * cost).sum(1, keepdims=True)
    dlogits = q * (cost - loss) / B
    dA = (q.sum(0)[:, None] / (1 + np.exp(-A)) - q.T @ x) / B
    W, b, A = (
        W - 0.5 * x.T @ dlogits,
        b - 0.5 * dlogits.sum(0),
        A - 0.5 * dA,
    )
q, cost = costs(test)
plain = (q * cost).sum(1).mean()
codes = len(set(q.argmax(1)))
print(f"test loss {plain:.2f} nats; {codes} code(s) in use")

# %% [markdown]
# All images are sent to the same code, although the gradient is exact. This is *posterior collapse*. Such an encoder is certain, so it pays the full $\log 20$ nats for naming a code, and the code tells nothing: {{plain:.1f}} nats is about the cost of the average digit, {{mean_image:.1f}}, and {{np.log(K):.1f}} for the code. Lesson 19 explains how a model
# gets there, and what helps.

# %% [markdown]
# ## Reading
#
# - D. P. Kingma, M. Welling, *Auto-encoding variational Bayes*, 2014: the VAE with Gaussian latents.
# - E. Jang, S. Gu, B. Poole, *Categorical reparameterization with Gumbel-Softmax*, 2017, and C. Maddison, A. Mnih, Y. W. Teh, *The Concrete distribution*, 2017: the relaxation that made categorical latents popular.
# - S. Mohamed, M. Rosca, M. Figurnov, A. Mnih, *Monte Carlo gradient estimation in machine learning*, 2020: the survey.
#
# Next: [01 Forward and backward](01_forward_and_backward.ipynb)

# %% [markdown] exercise 00.1: 1 point
# ## 00.1 Find the bug: pictures that are too dark
#
# A student wrote the gradient of the decoder's table as below. The model is trained with it, and all its pictures become too dark: about two pixels of three are on, in the images one of three. Correct the line. `x` (B, D) holds images, `q` (B, K) the
# probabilities of the codes, and `A` (K, D) is the table. Return `dA` (K, D), the gradient of the average loss over the $B$ images. Section 2 has the slope of $f_k$.
#
# To check: if $\sigma(A_k)$ is the average of the images, each weighted by its $q_k$, then row $k$ of the gradient must be zero.
#
# ```python
# on = 1 / (1 + np.exp(-A))  # (K, D)
# dA = (on - q.T @ x) / len(x)
# return dA
# ```


# %% solution 00.1
def decoder_gradient(x, q, A):
    """The gradient of the average loss in the table A: (K, D)."""
    on = 1 / (1 + np.exp(-A))  # (K, D)
    ### BEGIN SOLUTION
    dA = (q.sum(0)[:, None] * on - q.T @ x) / len(x)
    ### END SOLUTION
    return dA


# %% check 00.1
from dvae_np.lesson import judge

judge("00.1", decoder_gradient)


# %% right 00.1
def decoder_gradient(x, q, A):
    dA = np.zeros_like(A)
    for image, probabilities in zip(x, q, strict=True):
        slope = 1 / (1 + np.exp(-A)) - image  # of every code
        dA += probabilities[:, None] * slope
    return dA / len(x)


# %% right 00.1
def decoder_gradient(x, q, A):
    slope = 1 / (1 + np.exp(-A)) - x[:, None]  # (B, K, D)
    return (q[..., None] * slope).mean(0)


# %% wrong 00.1: it counts once for every image
def decoder_gradient(x, q, A):
    on = 1 / (1 + np.exp(-A))
    return (on - q.T @ x) / len(x)


# %% wrong 00.1: its first term alone divided by B
def decoder_gradient(x, q, A):
    on = 1 / (1 + np.exp(-A))
    return q.sum(0)[:, None] * on / len(x) - q.T @ x


# %% wrong 00.1: its second term alone divided by B
def decoder_gradient(x, q, A):
    on = 1 / (1 + np.exp(-A))
    return q.sum(0)[:, None] * on - q.T @ x / len(x)


# %% wrong 00.1: a sum where a mean is due
def decoder_gradient(x, q, A):
    on = 1 / (1 + np.exp(-A))
    return q.sum(0)[:, None] * on - q.T @ x


# %% wrong 00.1: the mean over the images of each code
def decoder_gradient(x, q, A):
    on = 1 / (1 + np.exp(-A))
    return on - q.T @ x / q.sum(0)[:, None]


# %% wrong 00.1: the mean image for all codes
def decoder_gradient(x, q, A):
    on = 1 / (1 + np.exp(-A))
    return q.mean(0)[:, None] * (on - x.mean(0))


# %% wrong 00.1: a flipped sign
def decoder_gradient(x, q, A):
    on = 1 / (1 + np.exp(-A))
    return (q.T @ x - q.sum(0)[:, None] * on) / len(x)


# %% wrong 00.1: is wrong
def decoder_gradient(x, q, A):
    return (q.sum(0)[:, None] * A - q.T @ x) / len(x)


# %% [markdown] exercise 00.2: 2 points
# ## 00.2 Derive: what is left to train the encoder
#
# In section 3 a code is drawn, and the derivative of its $f_k$ in the logits is taken as zero. Of the cost only $\log q_k - \log \frac{1}{K}$ is left. Derive the gradient of what is left, and write `what_is_left(q)`. `q` (B, K) holds the probabilities of $K$
# codes for $B$ images. Return the gradient in the logits (B, K) of the average over the images. The formula of section 2 holds for every cost of this kind. About 3 lines.
#
# Which `q` has the gradient zero? That is where the encoder ends. For the one image with $q = (0.7, 0.2, 0.1)$ the first entry should be about {{what_is_left(np.array([[0.7, 0.2, 0.1]]))[0, 0]:.3f}}: descent lowers the largest probability.


# %% solution 00.2
def what_is_left(q):
    """The gradient in the logits of the mean of log q - log (1/K)."""
    ### BEGIN SOLUTION
    cost = np.log(q) - np.log(1 / q.shape[1])
    average = (q * cost).sum(1, keepdims=True)
    return q * (cost - average) / len(q)
    ### END SOLUTION


# %% check 00.2
from dvae_np.lesson import judge

judge("00.2", what_is_left)


# %% right 00.2
def what_is_left(q):
    gradient = np.zeros_like(q)
    for b, row in enumerate(q):
        # every logit moves all probabilities: the chain rule
        moves = np.diag(row) - np.outer(row, row)
        gradient[b] = moves @ (np.log(row) + 1) / len(q)
    return gradient


# %% wrong 00.2: the cost still has a term that depends on the logits
def what_is_left(q):
    return 0 * q


# %% wrong 00.2: subtract its average
def what_is_left(q):
    return q * (np.log(q) + np.log(q.shape[1])) / len(q)


# %% wrong 00.2: every logit moves all probabilities
def what_is_left(q):
    return q * (np.log(q) + 1) / len(q)


# %% wrong 00.2: the average is under q
def what_is_left(q):
    logq = np.log(q)
    return q * (logq - logq.mean(1, keepdims=True)) / len(q)


# %% wrong 00.2: a sum where a mean is due
def what_is_left(q):
    logq = np.log(q)
    return q * (logq - (q * logq).sum(1, keepdims=True))


# %% wrong 00.2: without its factor q
def what_is_left(q):
    logq = np.log(q)
    return (logq - (q * logq).sum(1, keepdims=True)) / len(q)


# %% wrong 00.2: a flipped sign
def what_is_left(q):
    logq = np.log(q)
    return q * ((q * logq).sum(1, keepdims=True) - logq) / len(q)


# %% [markdown] written 00.W: 3 points
# ## 00.W In words: the best encoder for one image
#
# Hold the decoder fixed, and take one image. Then the twenty numbers $f_k$ are fixed, and only $q$ can change.
#
# (a) Let all $q_k$ be positive. For which $q$ is the gradient in all logits zero? How large is $\mathcal{L}$ there? Both answers need only the numbers $f_k$.
#
# (b) A student leaves the terms $\log q_k - \log \frac{1}{20}$ out of the cost, and says: *the loss is smaller now, so the model is better*. Which $q$ gives
# the student's loss its least value? How large is the true cost $\mathcal{L}$ at this $q$? Compare it also with the value in (a). Is the student right? Half
# a page for both.

# %% [markdown] model 00.W
# (a) The gradient is $q_k\, (\mathrm{cost}_k - \mathcal{L})$. As $q_k > 0$, it is zero only if every cost equals $\mathcal{L}$:
# $f_k + \log q_k + \log 20 = \mathcal{L}$. Solve this for $q_k$: it is $e^{-f_k}$ times a number that is the same for all $k$. The $q_k$ add up to one, so
# $q_k = e^{-f_k} / \sum_j e^{-f_j}$. Insert this in the cost. The two $f_k$ cancel, and $\mathcal{L} = \log 20 - \log \sum_j e^{-f_j}$.
#
# (b) The student's loss is $\sum_k q_k f_k$, an average of the $f_k$. It is never below the least of them, $f_{\min}$, and it is equal to $f_{\min}$ if $q$
# is certain of that code. The true cost of this $q$ is $f_{\min} + \log 1 + \log 20$: the student's number is $\log 20 = 3.0$ nats lower, because the price
# of naming the code is not counted. The true cost is also not below the value in (a), as $\sum_j e^{-f_j} \ge e^{-f_{\min}}$. So the student is wrong. A part
# of the cost was left out, and the encoder that this loss asks for is not better than that of (a).
#
# *Marks:* 1 for $q$ in (a); 1 for the value of $\mathcal{L}$; 1 for the least loss in (b), the $\log 20$ nats and the verdict.
