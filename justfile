# What is done often, with the names it has. `just` alone lists it.

default:
    @just --list

# What .ci/run does before the real engines.
ci:
    cargo fmt --check
    cargo clippy --all-targets --all-features -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items
    cargo test

# Real Elasticsearch, MinIO and the migration story (tests/engines/).
engines:
    tests/engines/stage.sh

# The story in one minute, without a server or an account.
quickstart:
    cargo run --release --example quickstart

# CPU, memory and requests of a copy, beside the floor (benches/README.md).
bench *args:
    cargo bench --bench copy -- {{args}}
