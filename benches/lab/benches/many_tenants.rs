//! Warm requests of many tenants in turn: what the memory costs that each of them has.

use std::{convert::Infallible, process::ExitCode, thread};

use lab::{
    report::Report,
    statistics::{Runs, Turns, median, rounds},
    tenants::{self, PlainMap, REQUESTS, by_tenant, round_robin, time_in},
    warm::{Noop, Replies},
};
use tokio::runtime;
use tower::Layer;
use tower_bearer::BearerLayer;

const KEYS: usize = 10_000;
const MANY: usize = 100_000;
const ROUNDS: usize = 21;
/// The bar is judged by the median of so many runs.
const RUNS: usize = 5;

fn main() -> ExitCode {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let runtime = runtime::Builder::new_multi_thread().worker_threads(cores).enable_all().build().expect("a runtime");
    let mut report = Report::new("many_tenants");
    Replies::Bare.begin();
    let [few, many] = [KEYS, MANY].map(|keys| tenants::with_tokens(&runtime, keys));
    let mut noop = Noop::<Infallible>::new();
    let mut plain = BearerLayer::new(tenants::unkeyed(&runtime)).layer(Noop::<Infallible>::new());
    let mut keyed = BearerLayer::new(by_tenant(&few)).layer(Noop::<Infallible>::new());
    let mut crowded = BearerLayer::new(by_tenant(&many)).layer(Noop::<Infallible>::new());
    let mut plain_map = PlainMap::of(KEYS);
    let [mut any_of_few, mut any_of_many, mut any_of_map] = [KEYS, MANY, KEYS].map(round_robin);
    // A tenant's first request on a thread does more than later ones.
    time_in(&mut keyed, KEYS, &mut any_of_few);
    time_in(&mut crowded, MANY, &mut any_of_many);
    let runs = Runs::take(RUNS, || {
        Turns::take(7, rounds(ROUNDS), |contender| match contender {
            0 => time_in(&mut noop, REQUESTS, || 7),
            1 => time_in(&mut plain, REQUESTS, || 7),
            2 => time_in(&mut keyed, REQUESTS, || 7),
            3 => time_in(&mut keyed, REQUESTS, &mut any_of_few),
            4 => time_in(&mut crowded, REQUESTS, &mut any_of_many),
            5 => time_in(&mut plain_map, REQUESTS, || 7),
            _ => time_in(&mut plain_map, REQUESTS, &mut any_of_map),
        })
    });
    let net = |one: usize| runs.median(|turns| turns.net(one, 0)) / REQUESTS as f64 * 1e9;
    let ratios = |one: usize, other: usize| runs.each(|turns| turns.net(one, 0) / turns.net(other, 0));
    let row = |what: String, one: usize| {
        let by = |other| format!("{:.2}", median(ratios(one, other)));
        vec![what, format!("{:.0}", net(one)), by(1), by(2)]
    };
    report.table(
        &["warm request", "net ns", "by the unkeyed layer's", "by one key's"],
        vec![
            row("unkeyed layer".into(), 1),
            row(format!("one of {KEYS} keys, again and again"), 2),
            row(format!("{KEYS} keys, one after the other"), 3),
            row(format!("{MANY} keys, one after the other"), 4),
            row(format!("a plain map of {KEYS} header values, one key again and again"), 5),
            row(format!("a plain map of {KEYS} header values, one key after the other"), 6),
        ],
    );
    report.text(format!(
        "Medians of {RUNS} runs of {} rounds of {REQUESTS} requests, less the time of a service that responds at once. With \
         keys in turn, each request finds its provider, bearer and header value outside of the processor's nearer caches. \
         The last two rows are the floor: a `HashMap` that is never changed, without a look at the origin or the expiry.",
        rounds(ROUNDS)
    ));
    report.at_most(
        "tenants-round-robin",
        "warm request of one in 10,000 tenants, round robin, net time by one tenant's",
        2.0,
        ratios(3, 2),
    );
    // What can be reached: no map of tenants does less than this one.
    report.at_most(
        "tenants-by-a-plain-map",
        "warm request of one in 10,000 tenants, round robin, net time by that of a plain map of header values",
        2.0,
        ratios(3, 6),
    );
    report.finish()
}
