#!/usr/bin/env python3
"""Representations to measure with `smoeref cka`: what the 8 experts of a small language model say to the same characters.

    representations.py TEXT DUMP [--steps S] [--samples N] [--seed S]

Trains a character model on the text (tens of seconds on one core), then gives N positions, spread over the text, to
every expert, chosen or not, and writes their outputs expert.0 ... expert.7 [N,64] and the routing, index [N,2], to the
dump (safetensors, float32).  The same text and seed give the same dump on one machine.

The model: embeddings of the last 8 characters, one linear map to a state of 64 numbers, x = layer norm of it; a sparse
layer of 8 experts as in spec/03-layer.md (K = 2, softmax after the selection, ReLU, 64 hidden), added to the state; one
linear map to the next character.  Trained on its cross-entropy and 0.01 times the balancing loss of spec/04-balance.md.
"""
import argparse
import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import smoeref_io  # noqa: E402

CONTEXT, D, H, N, K = 8, 64, 64, 8, 2


class Model(nn.Module):
    def __init__(self, characters):
        super().__init__()
        self.embedding = nn.Embedding(characters, 16)
        self.state = nn.Linear(CONTEXT * 16, D)
        self.norm = nn.LayerNorm(D)
        self.router = nn.Linear(D, N)
        self.w1 = nn.Parameter(torch.randn(N, H, D) * (2 / D) ** 0.5)
        self.b1 = nn.Parameter(torch.zeros(N, H))
        self.w2 = nn.Parameter(torch.randn(N, D, H) * (1 / H) ** 0.5)
        self.b2 = nn.Parameter(torch.zeros(N, D))
        self.out = nn.Linear(D, characters)

    def tokens(self, context):
        state = functional.relu(self.state(self.embedding(context).flatten(1)))
        return state, self.norm(state)

    def experts(self, x):
        """What every expert says: [N,T,D]."""
        hidden = functional.relu(torch.einsum("td,nhd->nth", x, self.w1) + self.b1[:, None])
        return torch.einsum("nth,ndh->ntd", hidden, self.w2) + self.b2[:, None]

    def forward(self, context):
        state, x = self.tokens(context)
        logits = self.router(x)
        value, index = logits.topk(K, dim=1)
        weight = torch.zeros_like(logits).scatter(1, index, value.softmax(1))
        y = torch.einsum("tn,ntd->td", weight, self.experts(x))
        share = torch.zeros_like(logits).scatter(1, index, 1.0).mean(0) / K
        balance = N * (share * logits.softmax(1).mean(0)).sum()
        return self.out(state + y), balance


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("text")
    parser.add_argument("dump")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(1)
    text = torch.tensor(list(pathlib.Path(a.text).read_bytes()))
    if not 1 <= a.samples <= len(text) - CONTEXT:
        sys.exit(f"{a.text}: {len(text)} characters, expected more than {a.samples + CONTEXT}")
    alphabet, code = text.unique(return_inverse=True)
    windows = code.unfold(0, CONTEXT + 1, 1)
    model = Model(len(alphabet))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(a.steps):
        batch = windows[torch.randint(len(windows), (256,))]
        logits, balance = model(batch[:, :CONTEXT])
        loss = functional.cross_entropy(logits, batch[:, CONTEXT])
        optimizer.zero_grad()
        (loss + 0.01 * balance).backward()
        optimizer.step()
    with torch.no_grad():
        places = torch.arange(a.samples) * len(windows) // a.samples
        state, x = model.tokens(windows[places][:, :CONTEXT])
        outputs = model.experts(x)
        index = model.router(x).topk(K, dim=1).indices
    tensors = {f"expert.{e}": outputs[e] for e in range(N)}
    smoeref_io.write(a.dump, {**tensors, "index": index}, "F32", {"text": pathlib.Path(a.text).name})
    print(f"loss {loss.item():.3f} nats after {a.steps} steps; {a.samples} characters to {N} experts")


if __name__ == "__main__":
    main()
