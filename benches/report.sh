#!/usr/bin/env bash
# Runs every bench and the fleet, and writes docs/PERFORMANCE.md from their reports. Takes eight minutes on two idle
# cores, besides building and the bench of sizes. Name benches to run only those; the others' last reports are used.
# Fails when a bar is missed.
set -uo pipefail
cd "$(dirname "$0")/.."

benches=("$@")
if [ ${#benches[@]} -eq 0 ]; then
    benches=(hot_path contention keyed storm recovery tls waiting signing end_to_end size fleet)
fi
mkdir -p target/reports docs/performance
missed=0
for bench in "${benches[@]}"; do
    printf '\n== %s\n' "$bench"
    # A bench that stops early must not be reported with an earlier result.
    rm -f "target/reports/$bench.json" "target/reports/$bench.md"
    if [ "$bench" = fleet ]; then
        cargo run --quiet --release --locked --example fleet -- docs/performance | tee target/reports/fleet.md || missed=1
    else
        cargo bench --quiet --locked --bench "$bench" || missed=1
    fi
done
cargo run --quiet --release --locked --manifest-path benches/lab/Cargo.toml --target-dir target/lab --bin report || exit 1
exit $missed
