# The steps of .ci/run, one by one. `just` lists them, `just ci` runs them all.

default:
    @just --list

# formatting as the project has it
fmt-check:
    cargo fmt --all --check

# lints; a warning is an error
lint:
    cargo clippy --all-targets --locked -- -D warnings

# the program, for use
build:
    cargo build --release --locked

# all tests; what needs pip is skipped with a word where there is none
test:
    cargo test --locked

# the library's documentation; a warning is an error
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked

# duplicates, licences and sources of the dependencies
deny:
    cargo deny check bans licenses sources

# real models from Python packages, compared with Python's own ONNX Runtime
real-models:
    python3 scripts/real-models
    DIVVY_REQUIRE_REAL=1 cargo test --locked --test real_models

# everything, on a machine that may lack everything
ci:
    bash .ci/run
