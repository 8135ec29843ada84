#!/usr/bin/env python3
"""PyTorch's side of `scripts/bench/train`: the same texts, the same step, fp32 on the CPU.

Fused AdamW, SDPA, clipping at 1.0, dropout as the checkpoint's configuration says. Arguments: layout (padded,
bucketed), rounds, batches a round, texts a batch, threads, pooling (mean, cls). Prints one line of JSON a round.
"""

import json
import sys
import time
from pathlib import Path

import torch
from transformers import BertModel

LABELS = 11
MASK = (1 << 64) - 1


def draw(counter, below):
    """A number in [0, below) for a counter, as benches/train_step.rs draws it."""
    mixed = counter * 0x9E3779B97F4A7C15 & MASK
    return ((mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9 & MASK) // 2**33 % below


def text(index):
    def at(place):
        return 1_000_000 * (index + 1) + place

    length = 8 + sum(draw(at(place), 14) for place in range(3))
    if draw(at(3), 16) == 0:
        length += draw(at(4), 22)
    ids = [101] + [1000 + draw(at(100 + place), 20_000) for place in range(length - 2)] + [102]
    return ids, [float(draw(at(10 + label), 4) == 0) for label in range(LABELS)]


class Classifier(torch.nn.Module):
    def __init__(self, folder, pooling):
        super().__init__()
        self.pooling = pooling
        self.bert = BertModel.from_pretrained(folder, add_pooling_layer=pooling == "cls", attn_implementation="sdpa")
        self.dropout = torch.nn.Dropout(self.bert.config.hidden_dropout_prob)
        self.classifier = torch.nn.Linear(self.bert.config.hidden_size, LABELS)

    def forward(self, ids, mask):
        out = self.bert(ids, attention_mask=mask)
        if self.pooling == "cls":
            pooled = out.pooler_output
        else:
            share = mask.unsqueeze(-1).float()
            pooled = (out.last_hidden_state * share).sum(1) / share.sum(1)
        return self.classifier(self.dropout(pooled))


def batch_of(texts):
    longest = max(len(ids) for ids, _ in texts)
    ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in texts])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in texts])
    return ids, mask, torch.tensor([targets for _, targets in texts])


def main():
    layout = sys.argv[1]
    rounds, batches, size, threads = map(int, sys.argv[2:6])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    folder = Path(__file__).resolve().parents[2] / ".cache/base/all-MiniLM-L6-v2"
    model = Classifier(folder, sys.argv[6]).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01, fused=True)
    criterion = torch.nn.BCEWithLogitsLoss()
    texts = [text(index) for index in range(batches * size)]
    tokens = sum(len(ids) for ids, _ in texts)
    if layout == "bucketed":
        texts.sort(key=lambda text: len(text[0]))
    parts = [batch_of(texts[start : start + size]) for start in range(0, len(texts), size)]
    for number in range(rounds + 1):
        start = time.perf_counter()
        for ids, mask, targets in parts:
            optimizer.zero_grad()
            loss = criterion(model(ids, mask), targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            last = loss.item()
        seconds = time.perf_counter() - start
        if number > 0:
            slots = sum(ids.numel() for ids, _, _ in parts)
            print(json.dumps({"ms": 1e3 * seconds / batches, "tokens": tokens, "slots": slots, "seconds": seconds, "loss": last}), flush=True)


if __name__ == "__main__":
    main()
