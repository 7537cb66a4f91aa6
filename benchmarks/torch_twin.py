"""The canonical network, loss and step in PyTorch, and its variants.

A test holds the loss against `tf_inbetween.models.TripletVAE` with the same weights and the same
noise. In PyTorch's favour: the frames and the in-betweens of a batch are decoded in one call, Adam
is the fused one, and no diagnostics are computed.
"""

import itertools
import math
import os

import numpy as np
import torch
from torch import nn
from torch.nn import functional

# The processes that compile beside this one would only wait around while others are measured.
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")


class Network(nn.Module):
    """The encoder and the decoder; frames are [N, C, H, W] floats in [0, 1]."""

    def __init__(self, image_size, channels, filters, dense_units, latent_dim):
        super().__init__()
        side = image_size // 2 ** len(filters)
        down = itertools.pairwise([channels, *filters])
        *up, last = itertools.pairwise([*reversed(filters), channels])
        self.down = nn.Sequential(
            *_with_silu(nn.Conv2d(i, o, 4, stride=2, padding=1) for i, o in down),
            nn.Flatten(),
            *_with_silu([nn.Linear(side * side * filters[-1], dense_units)]),
        )
        self.mean = nn.Linear(dense_units, latent_dim)
        self.raw_stddev = nn.Linear(dense_units, latent_dim)
        self.up = nn.Sequential(
            *_with_silu(
                [
                    nn.Linear(latent_dim, dense_units),
                    nn.Linear(dense_units, side * side * filters[-1]),
                ]
            ),
            nn.Unflatten(1, (filters[-1], side, side)),
            *_with_silu(nn.ConvTranspose2d(i, o, 4, stride=2, padding=1) for i, o in up),
        )
        self.last = nn.ConvTranspose2d(*last, 4, stride=2, padding=1)

    def encode(self, frames, dtype=torch.float32):
        """The mean and the stddev of q(z|x), [N, Z]; the trunk computes in `dtype`."""
        with _computing_in(dtype):
            hidden = self.down(frames)
        hidden = hidden.float()
        return self.mean(hidden), functional.softplus(self.raw_stddev(hidden)) + 1e-5

    def decode(self, latents, dtype=torch.float32):
        """The mean of p(x|z), [N, C, H, W]; the trunk computes in `dtype`."""
        with _computing_in(dtype):
            hidden = self.up(latents)
        return self.last(hidden.float())


def triplet_loss(network, frames, triplets, t, noise, settings, dtype=torch.float32):
    """The loss of `tf_inbetween.losses.triplet_loss` in nats, with the calibrated Normal.

    Args:
        network: a `Network`.
        frames: [N, C, H, W] in [0, 1].
        triplets: [T, 3] indices of frames.
        t: [T], where the middle frames lie.
        noise: [N, Z] standard normal, of the draws from the posteriors.
        settings: "alpha", "prior_weight", "inbetween_weight", "inbetweens".
        dtype: what the trunks compute in.
    """
    first, middle, second = triplets.unbind(1)
    mean, stddev = network.encode(frames, dtype)
    z = mean + stddev * noise
    drawn, s = settings["inbetweens"], t[:, None]
    z_t = torch.lerp(z[first[:drawn]], z[second[:drawn]], s[:drawn])
    outputs, between = network.decode(torch.cat([z, z_t]), dtype).split([len(frames), drawn])
    square = (outputs - frames) ** 2
    variance = square.mean().detach().clamp(min=1e-6)
    pixels = frames[0].numel()

    def nll(square):
        return (square.sum() / (2 * variance)) / len(square) + pixels / 2 * torch.log(
            2 * math.pi * variance
        )

    prior = gaussian_kl(mean, stddev**2, torch.zeros_like(mean), torch.ones_like(mean)).mean()
    vae = nll(square) + settings["prior_weight"] * prior
    v = stddev**2
    matching = gaussian_kl(
        mean[middle],
        v[middle],
        torch.lerp(mean[first], mean[second], s),
        torch.lerp(v[first], v[second], s),
    ).mean()
    inbetween = nll((between - frames[middle[:drawn]]) ** 2)
    return 3 * vae + settings["alpha"] * matching + settings["inbetween_weight"] * inbetween


def gaussian_kl(mean, variance, other_mean, other_variance):
    """KL of diagonal Gaussians in nats: [N, Z] each -> [N]."""
    ratio = variance / other_variance
    squares = (mean - other_mean) ** 2 / other_variance
    return 0.5 * (ratio + squares - 1 - torch.log(ratio)).sum(-1)


def rivals(data, network, settings):
    """Every variant's step on the batches of a file of `benchmarks.canonical.save_batches`.

    Args:
        data: the file.
        network: the arguments of `Network`.
        settings: those of `triplet_loss`, and "learning_rate" and "global_clipnorm" of the step.
    """
    torch.manual_seed(0)
    with np.load(data) as saved:
        frames, triplets, t = (
            torch.from_numpy(saved[name]) for name in ("frames", "triplets", "t")
        )
    triplets = triplets.long()
    rows = {}
    for name, variant in VARIANTS.items():
        laid_out = [as_channels_first(batch, variant["layout"]) for batch in frames]
        draws = itertools.cycle(zip(laid_out, triplets, t, strict=True))
        twin = Network(**network).to(memory_format=variant["layout"])

        def loss(frames, triplets, t, twin=twin, dtype=variant["dtype"]):
            noise = torch.randn(len(frames), network["latent_dim"])
            return triplet_loss(twin, frames / 255, triplets, t, noise, settings, dtype)

        step = stepper(twin, loss, settings, variant)
        worth = {"steps": 1, "frames": frames.shape[1], "triplets": triplets.shape[1]}
        rows[f"PyTorch, {name}"] = (_repeat(step, draws), worth)
    return rows


def stepper(network, loss, settings, variant):
    """A function of a batch that does one step of Adam on `loss(*batch)`, compiled or not."""
    optimizer = torch.optim.Adam(
        network.parameters(), settings["learning_rate"], eps=1e-7, fused=True
    )
    if variant["compiled"]:
        loss = torch.compile(loss, dynamic=False)

    def step(*batch):
        optimizer.zero_grad(set_to_none=True)
        value = loss(*batch)
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), settings["global_clipnorm"])
        optimizer.step()
        return value

    return step


def as_channels_first(frames, layout):
    """uint8 [N, H, W, C] -> [N, C, H, W] in a memory layout."""
    return frames.permute(0, 3, 1, 2).contiguous(memory_format=layout)


VARIANTS = {
    ", ".join(filter(None, [how, kind, layout])): {
        "compiled": how == "compiled",
        "dtype": getattr(torch, kind),
        "layout": torch.channels_last if layout else torch.contiguous_format,
    }
    for how, kind, layout in itertools.product(
        ("eager", "compiled"), ("float32", "bfloat16"), ("", "channels-last")
    )
}


def _computing_in(dtype):
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)


def _with_silu(layers):
    return [module for layer in layers for module in (layer, nn.SiLU())]


def _repeat(step, draws):
    def run(steps):
        for _ in range(steps):
            value = step(*next(draws))
        return float(value.detach())

    return run
