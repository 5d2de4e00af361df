//! Counts the allocations of one contender: `allocations NAME REQUESTS` prints calls and bytes.

use std::alloc::System;

use lab::contenders;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (name, requests) = (arguments.next().unwrap_or_default(), arguments.next());
    let requests = requests.and_then(|text| text.parse().ok()).unwrap_or(1);
    // Inside the runtime but outside a task, where tokio would make a loop pause now and then.
    let runtime = Runtime::new().expect("a runtime");
    let mut contender = runtime.block_on(contenders::warm(&name));
    let _inside = runtime.enter();
    contender.warm_up();
    // The minimum of several runs, because a background thread may allocate too.
    let mut counted = Vec::new();
    for _ in 0..5 {
        let region = Region::new(ALLOCATOR);
        contender.run(requests);
        let change = region.change();
        counted.push((change.allocations + change.reallocations, change.bytes_allocated));
    }
    let (calls, bytes) = counted.into_iter().min().expect("runs");
    println!("{calls} {bytes}");
}
