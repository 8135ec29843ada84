#!/usr/bin/env python3
"""PyTorch's side of `scripts/bench/decoder`: transformers, peft and bitsandbytes, the same step.

The base is random and made layer by layer, as examples/decoder_step.rs makes it. Prints one line of JSON. Arguments, by
position: shape, storage (nf4, bf16, f32), device (cpu, cuda), texts, tokens a text, steps, threads, compute type (fp32, bf16).
"""

import json
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForSequenceClassification

LABELS = 11
LLAMA3 = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
SHAPES = {
    "llama-3.2-1b": {
        "model_type": "llama", "vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "rope_scaling": LLAMA3, "tie_word_embeddings": True,
    },
    "gemma-2-2b": {
        "model_type": "gemma2", "vocab_size": 256000, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 8192, "sliding_window": 4096,
        "query_pre_attn_scalar": 256,
    },
    "qwen2.5-14b": {
        "model_type": "qwen2", "vocab_size": 152064, "hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 48,
        "num_attention_heads": 40, "num_key_value_heads": 8, "max_position_embeddings": 32768, "rope_theta": 1000000.0,
        "tie_word_embeddings": False,
    },
    "tiny": {
        "model_type": "llama", "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "rope_theta": 500000.0, "rope_scaling": LLAMA3,
    },
}


def packed(module, storage, device, compute):
    """One dense layer of the base, random, in its storage."""
    weight = torch.randn(module.out_features, module.in_features, dtype=torch.bfloat16) * 0.02
    if storage == "nf4":
        import bitsandbytes as bnb

        layer = bnb.nn.Linear4bit(
            module.in_features, module.out_features, bias=module.bias is not None, compute_dtype=compute, compress_statistics=True,
            quant_type="nf4", device="meta",
        )
        layer.weight = bnb.nn.Params4bit(weight, requires_grad=False, compress_statistics=True, quant_type="nf4", module=layer)
    else:
        layer = torch.nn.Linear(module.in_features, module.out_features, bias=module.bias is not None, device="meta")
        layer.weight = torch.nn.Parameter(weight.to(compute if storage == "f32" else torch.bfloat16), requires_grad=False)
    if module.bias is not None:
        layer.bias = torch.nn.Parameter(torch.zeros(module.out_features, dtype=compute), requires_grad=False)
    return layer.to(device)


def build(shape, storage, device, compute):
    settings = dict(SHAPES[shape])
    config = AutoConfig.for_model(settings.pop("model_type"), num_labels=LABELS, pad_token_id=0, **settings)
    config._attn_implementation = "eager" if "gemma2" in config.model_type else "sdpa"
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config)
    for name, module in list(model.named_modules()):
        if isinstance(module, torch.nn.Linear) and name != "score":
            parent, leaf = name.rsplit(".", 1)
            setattr(model.get_submodule(parent), leaf, packed(module, storage, device, compute))
    # Embeddings, norms and the head: as wide as the computation, but the table, which is bfloat16 unless all is fp32.
    for name, parameter in list(model.named_parameters()):
        if parameter.device.type == "meta":
            parent, leaf = name.rsplit(".", 1)
            table = "embed_tokens" in name and storage != "f32"
            value = torch.randn(parameter.shape, dtype=torch.bfloat16) * 0.02 if parameter.dim() > 1 else torch.ones(parameter.shape)
            value = value.to(torch.bfloat16 if table else compute).to(device)
            setattr(model.get_submodule(parent), leaf, torch.nn.Parameter(value, requires_grad=False))
    rotary = type(model.model.rotary_emb)(config)
    model.model.rotary_emb = rotary.to(device)
    if compute == torch.float32 and storage != "f32":
        # What comes out of the table is widened, as it is on our side.
        model.model.embed_tokens.register_forward_hook(lambda _module, _inputs, output: output.float())
    model.config.use_cache = False
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    lora = LoraConfig(r=128, lora_alpha=256, lora_dropout=0.05, target_modules=targets, modules_to_save=["score"], task_type="SEQ_CLS")
    return get_peft_model(model, lora)


def batch(texts, tokens, device):
    ids = [[3 + (index * 7919 + at * 104729) % 500 for at in range(tokens)] for index in range(texts)]
    targets = [[1.0 if (index + label) % 3 == 0 else 0.0 for label in range(LABELS)] for index in range(texts)]
    return torch.tensor(ids, device=device), torch.tensor(targets, device=device)


def peak(device):
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024


def main():
    shape, storage, device = sys.argv[1:4]
    texts, tokens, steps, threads = map(int, sys.argv[4:8])
    compute = {"fp32": torch.float32, "bf16": torch.bfloat16}[sys.argv[8]]
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    start = time.perf_counter()
    model = build(shape, storage, device, compute)
    made = time.perf_counter() - start
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=5e-5, weight_decay=0.01)
    ids, targets = batch(texts, tokens, device)
    mask = torch.ones_like(ids)
    sync = torch.cuda.synchronize if device == "cuda" else lambda: None
    seconds, losses = [], []
    for _ in range(steps):
        model.train()
        sync()
        start = time.perf_counter()
        optimizer.zero_grad()
        logits = model(input_ids=ids, attention_mask=mask).logits.float()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        sync()
        seconds.append(time.perf_counter() - start)
        losses.append(loss.item())
    model.eval()
    start = time.perf_counter()
    with torch.no_grad():
        assert model(input_ids=ids, attention_mask=mask).logits.isfinite().all()
    sync()
    scored = time.perf_counter() - start
    print(json.dumps({
        "shape": shape, "storage": storage, "compute": sys.argv[8], "trained": sum(parameter.numel() for parameter in trained), "made_s": made,
        "step_s": seconds, "score_s": scored, "tokens": texts * tokens, "step_tokens_per_s": texts * tokens / min(seconds),
        "peak_mb": round(peak(device)), "losses": losses,
    }))


if __name__ == "__main__":
    main()
