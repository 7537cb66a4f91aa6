"""A straightforward PyTorch program of the paper: every triplet brings its own three frames.

    l(x0, x1, x2) = l_VAE(x0) + l_VAE(x1) + l_VAE(x2) + alpha KL( q(x1) || (q(x0) + q(x2)) / 2 )

Each step draws a batch of triplets from the clip and encodes and decodes all three frames of each.
The network is `benchmarks.torch_twin.Network` and the likelihood the calibrated Normal, as in
flags/teapot_paper.flags, whose alpha, warm-up, gaps and learning rate it takes. In its favour: the
clip lies in memory, and the three frames go through the network in one call.
"""

import math

import numpy as np
import torch

from benchmarks.torch_twin import VARIANTS, Network, as_channels_first, gaussian_kl, stepper


def paper_loss(network, frames, t, noise, alpha, dtype=torch.float32):
    """The paper's loss in nats, with the calibrated Normal.

    Args:
        network: a `Network`.
        frames: [3 B, C, H, W] in [0, 1]: all first, all middle, all second frames.
        t: [B], where the middle frames lie.
        noise: [3 B, Z] standard normal.
        alpha: a scalar tensor.
        dtype: what the trunks compute in.
    """
    mean, stddev = network.encode(frames, dtype)
    square = (network.decode(mean + stddev * noise, dtype) - frames) ** 2
    variance = square.mean().detach().clamp(min=1e-6)
    scale_term = frames[0].numel() / 2 * torch.log(2 * math.pi * variance)
    nll = square.sum() / (2 * variance) / len(frames) + scale_term
    v = stddev**2
    prior = gaussian_kl(mean, v, torch.zeros_like(mean), torch.ones_like(mean)).mean()
    (m0, m1, m2), (v0, v1, v2), s = mean.chunk(3), v.chunk(3), t[:, None]
    matching = gaussian_kl(m1, v1, torch.lerp(m0, m2, s), torch.lerp(v0, v2, s)).mean()
    return 3 * (nll + prior) + alpha * matching


def rivals(data, batch, network, settings, variants=None, judged=None):
    """Every variant's step on `batch` triplets of the clip in a file of `save_batches`.

    Args:
        data: a file of `benchmarks.canonical.save_batches`.
        batch: triplets.
        network: the arguments of `Network`.
        settings: "alpha", "alpha_warmup_steps", "min_gap", "max_gap" (frames), "learning_rate",
            "learning_rate_warmup_steps", "steps" and "global_clipnorm".
        variants: names of `benchmarks.torch_twin.VARIANTS`; None for all.
        judged: a file of `benchmarks.quality.save_pairs`; adds the row "judge" of the first
            variant, whose value is the mean squared error of its in-betweens.
    """
    torch.manual_seed(0)
    with np.load(data) as saved:
        clip = torch.from_numpy(saved["clip"])
    rows = {}
    for name in variants or VARIANTS:
        variant = VARIANTS[name]
        paper = Network(**network).to(memory_format=variant["layout"])
        run = _training(paper, as_channels_first(clip, variant["layout"]), batch, settings, variant)
        worth = {"steps": 1, "frames": 3 * batch, "triplets": batch}
        rows[f"PyTorch, the paper, {name}"] = (run, worth)
        if judged and "judge" not in rows:
            rows["judge"] = (lambda _, paper=paper: _judge(paper, judged), {})
    return rows


def _training(network, clip, batch, settings, variant):
    """A function of n that trains for n steps."""
    latent_dim = network.mean.out_features

    def loss(frames, t, alpha):
        noise = torch.randn(len(frames), latent_dim)
        return paper_loss(network, frames / 255, t, noise, alpha, variant["dtype"])

    scheduled = {**settings, "learning_rate": torch.tensor(0.0)}
    step = stepper(network, loss, scheduled, variant)
    done = 0

    def run(steps):
        nonlocal done
        for _ in range(steps):
            gap = torch.randint(settings["min_gap"], settings["max_gap"] + 1, (batch,))
            middle = 1 + (torch.rand(batch) * (gap - 1)).long()
            first = torch.randint(len(clip), (batch,))
            places = torch.cat([first, first + middle, first + gap]) % len(clip)
            progress = min(done / max(settings["alpha_warmup_steps"], 1), 1.0)
            scheduled["learning_rate"].fill_(_learning_rate(done, settings))
            value = step(clip[places], middle / gap, torch.tensor(settings["alpha"] * progress))
            done += 1
        return float(value.detach())

    return run


def _learning_rate(step, settings):
    """Linear warm-up, then a cosine down to a hundredth, as in `tf_inbetween.train`."""
    peak, warm_up = settings["learning_rate"], settings["learning_rate_warmup_steps"]
    if step < warm_up:
        return peak * step / warm_up
    progress = min((step - warm_up) / (settings["steps"] - warm_up), 1.0)
    return peak * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)


@torch.no_grad()
def _judge(network, judged):
    with np.load(judged) as saved:
        first, truth, second = (
            as_channels_first(torch.from_numpy(saved[name]), torch.contiguous_format) / 255
            for name in ("first", "middle", "second")
        )
    latents = (network.encode(first)[0] + network.encode(second)[0]) / 2
    return float(((network.decode(latents).clamp(0, 1) - truth) ** 2).mean())
