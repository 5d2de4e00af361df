#!/usr/bin/env bash
# Runs every bench and the fleet, and writes docs/PERFORMANCE.md from their reports. Name benches to run only those; the
# others' last reports are used. With LAB_QUICK=1 a twentieth of the rounds, and target/reports/PERFORMANCE.md instead.
# Fails when a bar is missed, and prints the seconds of each bench. What takes long to build is built first; only the bench
# of sizes builds as it measures.
set -uo pipefail
cd "$(dirname "$0")/.."

benches=("$@")
if [ ${#benches[@]} -eq 0 ]; then
    benches=(hot_path contention keyed many_tenants storm recovery tls waiting signing end_to_end size fleet)
fi
mkdir -p target/reports docs/performance
quick=${LAB_QUICK:+-quick}
plots=docs/performance
[ -z "$quick" ] || { plots=target/reports/performance && mkdir -p "$plots"; }

lab=(--quiet --locked --manifest-path benches/lab/Cargo.toml)
for bench in "${benches[@]}"; do
    case $bench in
        fleet) cargo build --quiet --release --locked --example fleet || exit 1 ;;
        *) cargo bench "${lab[@]}" --target-dir target/lab --no-run --bench "$bench" || exit 1 ;;
    esac
    if [ "$bench" = tls ]; then
        # What this bench builds itself, with the same arguments.
        AWS_LC_SYS_NO_JITTER_ENTROPY=1 cargo build "${lab[@]}" --release --target-dir target/lab-no-jitter-entropy \
            --bin cold_start || exit 1
    fi
done

missed=0
for bench in "${benches[@]}"; do
    printf '\n== %s\n' "$bench"
    started=$SECONDS
    # A bench that stops early must not be reported with an earlier result.
    rm -f "target/reports/$bench$quick.json"
    if [ "$bench" = fleet ]; then
        cargo run --quiet --release --locked --example fleet -- "$plots" | tee target/reports/fleet.md || missed=1
    else
        cargo bench --quiet --locked --bench "$bench" || missed=1
    fi
    printf '\n%s took %s s\n' "$bench" $((SECONDS - started))
done
cargo run "${lab[@]}" --release --target-dir target/lab --bin report || exit 1
exit $missed
