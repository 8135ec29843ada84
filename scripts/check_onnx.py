"""Opens a bundle's graph with nothing of ours: the onnx checker and plain ONNX Runtime, from Python.

Command: .cache/ref/bin/python scripts/check_onnx.py BUNDLE   (scripts/ref_env brings the packages)

The bundle's weights must be stored as fp32: then the graph's external data is model.safetensors itself, and the folder is an
ordinary ONNX model. Runs the golden texts in one padded batch and each alone, and compares the logits with the golden ones.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime


def padded(rows):
    ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
    mask = np.zeros_like(ids)
    for row, values in enumerate(rows):
        ids[row, : len(values)] = values
        mask[row, : len(values)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def main(bundle):
    manifest = json.loads((bundle / "bundle.json").read_text())
    if manifest["precision"]["storage"] != "fp32":
        sys.exit(f"{bundle}: stored as {manifest['precision']['storage']}, expected fp32: its graph is served from memory")
    model = bundle / manifest["onnx"]["file"]
    onnx.checker.check_model(str(model), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    golden = json.loads((bundle / "golden.json").read_text())["texts"]
    rows = [text["ids"] for text in golden]
    expected = np.array([text["logits"] for text in golden], np.float32)
    alone = np.concatenate([session.run(["logits"], padded([row]))[0] for row in rows])
    together = session.run(["logits"], padded(rows))[0]
    worst = max(np.abs(alone - expected).max(), np.abs(together - expected).max())
    tolerance = manifest["precision"]["tolerance"]
    print(f"{model}: {model.stat().st_size} bytes, {len(golden)} golden texts, logits within {worst:.1e} (allowed {tolerance:.0e})")
    if not worst <= tolerance:
        sys.exit(f"{bundle}: expected logits within {tolerance}, found {worst}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
