//! Runs one contender under callgrind: `instructions NAME REQUESTS`.

use lab::contenders;
use tokio::runtime::Runtime;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (name, requests) = (arguments.next().unwrap_or_default(), arguments.next());
    let requests = requests.and_then(|text| text.parse().ok()).unwrap_or(1);
    // Inside the runtime but outside a task, where tokio would make a loop pause now and then.
    let runtime = Runtime::new().expect("a runtime");
    let mut contender = runtime.block_on(contenders::warm(&name));
    let _inside = runtime.enter();
    contender.warm_up();
    contender.run(requests);
}
