//! Lets contenders take turns: `times SET BYTES ROUNDS REQUESTS` prints the seconds of whole requests and of bare ones,
//! with tokens of that length.

use lab::{
    contenders,
    drive::Driver,
    statistics::{Turns, timed},
    warm,
};
use tokio::runtime::Runtime;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let contenders = match arguments.next().as_deref() {
        Some("all") => contenders::all(),
        Some("ways") => contenders::ways(),
        Some("traced") => contenders::traced(),
        other => panic!("no set of contenders is called {other:?}"),
    };
    let mut next = || arguments.next().and_then(|text| text.parse::<u64>().ok()).expect("a number");
    warm::use_tokens_of(next() as usize);
    let (rounds, requests) = (next() as usize, next());
    // Inside the runtime but outside a task, where tokio would make a loop pause now and then.
    let runtime = Runtime::new().expect("a runtime");
    let mut drivers: Vec<Box<dyn Driver>> =
        contenders.iter().map(|profile| runtime.block_on(contenders::warm(profile.name))).collect();
    let _inside = runtime.enter();
    let turns = Turns::take(drivers.len(), rounds, |one| timed(|| drivers[one].run(requests)));
    warm::Replies::Bare.begin();
    let bare = Turns::take(drivers.len(), rounds, |one| drivers[one].run_bare(requests));
    println!("{}", serde_json::to_string(&(turns, bare)).expect("numbers"));
}
