# What is done often, with the names it has. `just` alone lists it.

default:
    @just --list

# What .ci/run does before the real engines.
ci:
    cargo fmt --check
    cargo clippy --all-targets --all-features -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items
    cargo test

# Real Elasticsearch and OpenSearch, every pair of them, S3 servers of five makers, and the migration story (tests/engines/).
engines:
    tests/engines/stage.sh matrix

# Every pair of engines, a repository of the one restored by the other; the results as JSON: SNAPFERRY_MATRIX_FILE.
matrix:
    tests/engines/offline.sh cargo test --features engine-tests --test matrix -- --nocapture --ignored

# Migrations between real clusters, killed more than three hundred times; another number for each pair: SNAPFERRY_KILLS.
kills *args:
    tests/engines/offline.sh cargo test --features engine-tests --test kills -- --nocapture --test-threads=1 --ignored {{args}}

# The guides of docs/guides, each as it stands there.
walkthroughs *args:
    tests/engines/offline.sh cargo test --features engine-tests --test walkthroughs -- --test-threads=1 {{args}}

# The S3 servers alone: what each can hold, and copies between them.
servers *args:
    cargo test --features engine-tests --test servers -- --test-threads=2 {{args}}

# Copies of real repositories, restored by the engines that wrote them; for how long one writes meanwhile: SNAPFERRY_LIVE_SECONDS.
restores *args:
    tests/engines/offline.sh cargo test --features engine-tests --test restores -- --nocapture --test-threads=1 {{args}}

# Objects of 5 GiB and 1 TiB through the program: about half an hour.
large:
    cargo test --release --test large -- --ignored --test-threads=1

# All of `ci` and `engines`, and what is too heavy for every time: every pair of engines, an old MinIO, objects to 1 TiB, and the longer figures.
full: ci large
    tests/engines/stage.sh full
    cargo bench --bench copy

# The story in one minute, without a server or an account.
quickstart:
    cargo run --release --example quickstart

# CPU, memory and requests of a copy, beside the floor (benches/README.md).
bench *args:
    cargo bench --bench copy -- {{args}}

# Requests, CPU and memory of a run without a change and of one more snapshot; `--peers` sets other tools beside (benches/README.md).
increments *args:
    cargo bench --bench increments -- {{args}}
