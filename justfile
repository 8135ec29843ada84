# The commands of the house. `just` alone lists them; scripts/ holds what must work without just.

_list:
    @just --list --unsorted

# Everything CI runs.
check:
    scripts/test

# Format, then the tests.
test:
    scripts/test --quick

# Serve the default bundle on 127.0.0.1:8080; arguments go to limbic-serve.
serve *args:
    scripts/serve {{ args }}

# Bring what training and the tests need.
setup:
    scripts/setup --base

# Format the code.
fmt:
    cargo fmt

# Fit a recipe, release build: just fit models/tweet-emotion-minilm/recipe.toml --set run.seed=2
fit recipe *args:
    scripts/setup --base
    cargo run --release --locked --bin limbic-train -- fit {{ recipe }} {{ args }}

# Print a bundle's card.
inspect bundle="models/tweet-emotion-minilm/bundle":
    cargo run --release --locked --bin limbic-train -- inspect {{ bundle }}

# Make every fixture again from its script; a clean `git diff` afterwards is the proof.
fixtures:
    scripts/ref_env
    scripts/tracking_env
    scripts/fetch_base
    python3 scripts/fixtures/smoke.py
    python3 scripts/fixtures/smoke_decoders.py
    .cache/ref/bin/python scripts/fixtures/bert.py
    .cache/ref/bin/python scripts/fixtures/families.py
    .cache/ref/bin/python scripts/fixtures/decoders.py
    .cache/ref/bin/python scripts/fixtures/stories.py
    .cache/ref/bin/python scripts/fixtures/learning.py
    .cache/ref/bin/python scripts/fixtures/masked_lm.py
    .cache/ref/bin/python scripts/fixtures/prompts.py tests/it/fixtures
    .cache/ref/bin/python scripts/fixtures/quantization.py
    .cache/ref/bin/python scripts/fixtures/adapters.py
    .cache/ref/bin/python scripts/fixtures/calibration.py > tests/it/fixtures/calibration.json
    .cache/mlflow/bin/python scripts/fixtures/events.py tests/it/fixtures/events.tfevents
    .cache/ref/bin/python scripts/fixtures/metrics.py > tests/it/fixtures/metrics.json
    .cache/ref/bin/python scripts/fixtures/text.py .cache/base/all-MiniLM-L6-v2 > tests/it/fixtures/text.json

# Write docs/configuration.md again from the options of limbic-serve.
docs:
    UPDATE_DOCS=1 cargo test --locked --test it -- serve::configuration::the_page_of_all_options_is_what_they_are

# Training speed beside PyTorch in one run, alternating: step time, tokens/s, peak memory.
bench-train *args:
    scripts/ref_env
    scripts/setup --base
    scripts/bench/train {{ args }}

# A step of QLoRA on a decoder of real size beside PyTorch, alternating: seconds, tokens/s, peak memory.
bench-decoder *args:
    scripts/ref_env
    scripts/bench/decoder {{ args }}

# What a request costs beyond the engine's own time, at rest.
bench-idle *args:
    scripts/setup
    scripts/bench/idle {{ args }}

# What the server holds after many loads of a model, under load.
bench-swaps *args:
    scripts/setup
    scripts/bench/swaps {{ args }}

# Vulnerabilities known today (needs a network and cargo-deny).
advisories:
    cargo deny check advisories
