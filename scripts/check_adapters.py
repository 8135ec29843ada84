#!/usr/bin/env python3
"""Loads adapters that this crate trained into the real peft, and compares logits.

    .cache/ref/bin/python scripts/check_adapters.py target/debug/examples/peft_adapter

The program trains a low-rank adapter on a tiny random model of every family it lists and writes base, adapter and
logits into a temporary folder. transformers loads the base, peft the adapter; logits have to agree within 1e-4, as they
are and merged by peft.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification
from transformers.utils import logging

FAMILIES = {"bert", "roberta", "llama", "qwen2", "gemma2"}
NEAR = 1e-4


def logits(model, texts):
    with torch.no_grad():
        return torch.cat([model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long)).logits for ids in texts])


def check(folder):
    case = json.loads((folder / "case.json").read_text())
    labels = len(case["logits"][0])
    base = AutoModelForSequenceClassification.from_pretrained(folder / "base", num_labels=labels, attn_implementation="eager")
    model = PeftModel.from_pretrained(base, folder / "adapter").eval()
    expected = torch.tensor(case["logits"])
    unadapted = None
    with model.disable_adapter():
        unadapted = logits(model, case["texts"])
    found = {"peft": logits(model, case["texts"]), "ours, merged": torch.tensor(case["merged"])}
    found["merged by peft"] = logits(model.merge_and_unload(), case["texts"])
    off = {name: (value - expected).abs().max().item() for name, value in found.items()}
    moved = (unadapted - expected).abs().max().item()
    print(f"{folder.name:8} " + ", ".join(f"{name} off by {value:.1e}" for name, value in off.items()) + f"; the adapter moves logits by {moved:.2f}")
    assert moved > 0.05, f"{folder.name}: the adapter does nothing"
    assert max(off.values()) < NEAR, f"{folder.name}: off by {off}"


def main():
    logging.set_verbosity_error()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([sys.argv[1], scratch], check=True)
        folders = sorted(Path(scratch).iterdir())
        assert {folder.name for folder in folders} == FAMILIES, folders
        for folder in folders:
            check(folder)
    print(f"{len(FAMILIES)} adapters load in peft")


if __name__ == "__main__":
    main()
