//! The memory of providers, and of requests that wait for a token.

use std::process::{Command, ExitCode};

use http::StatusCode;
use lab::{
    contenders::{self, Profile, Role},
    endpoint::{Endpoint, First, Manner},
    report::Report,
    statistics::median,
};

const RUNS: usize = 3;
/// More than any contender sends.
static ALL_HANG: [First; 10_000] = [First::Hang; 10_000];

fn main() -> ExitCode {
    let mut report = Report::new("waiting");
    let prompt = Endpoint::start(Manner::prompt());
    let hanging = Endpoint::start(Manner { first: &ALL_HANG, status: StatusCode::BAD_GATEWAY, ..Manner::prompt() });
    let wanted = |profile: &Profile| {
        matches!(profile.role, Role::Ours | Role::OurMiddleware)
            || profile.role == Role::Peer && profile.base == contenders::TOWER
    };
    let mut rows = Vec::new();
    for (name, words) in [
        ("http::Request", "http::Request by itself"),
        ("reqwest::Request", "reqwest::Request by itself"),
        (contenders::REQWEST_HANGING, contenders::REQWEST_HANGING),
    ] {
        match memory(name, &prompt, &hanging) {
            Ok([_, request]) => rows.push(vec![words.to_owned(), "-".to_owned(), format!("{request:.0}")]),
            Err(problem) => report.text(format!("Not measured of {name}: {problem}")),
        }
    }
    for profile in contenders::all().into_iter().filter(wanted) {
        let runs: Vec<_> = (0..RUNS).map(|_| memory(profile.name, &prompt, &hanging)).collect();
        let runs: Vec<[f64; 2]> = match runs.into_iter().collect() {
            Ok(runs) => runs,
            Err(problem) => {
                report.text(format!("Not measured of {}: {problem}", profile.name));
                continue;
            }
        };
        let [provider, waiter] = [0, 1].map(|number| median(runs.iter().map(|run| run[number])));
        let cell = |bytes: f64| if bytes.is_nan() { "-".to_owned() } else { format!("{bytes:.0}") };
        rows.push(vec![profile.name.to_owned(), cell(provider), cell(waiter)]);
        match profile.role {
            Role::OurMiddleware => report.at_most(
                "middleware-waiter",
                "reqwest middleware, bytes of a request that waits for a token",
                2_048.0,
                waiter,
            ),
            Role::Ours => report.at_most(
                "layer-waiter",
                "tower layer, bytes of a request that waits for a token",
                2_048.0,
                waiter,
            ),
            _ => {}
        }
    }
    report.text(format!(
        "Bytes of the heap for each of 200 providers with a token of 1,024 bytes, beyond the first, and for each of 1,000 \
         requests that wait while the endpoint hangs, beyond the first: the request, its boxed future, and what the contender \
         keeps of it. Requests of the reqwest middleware are sent as users write it, `client.get(url).send()`, whose future \
         holds the builder beside the request: a middleware that only waits shows what that takes without ours. Medians of \
         {RUNS} processes."
    ));
    report.table(&["", "provider", "waiting request"], rows);
    report.finish()
}

fn memory(name: &str, prompt: &Endpoint, hanging: &Endpoint) -> Result<[f64; 2], String> {
    let output = Command::new(env!("CARGO_BIN_EXE_memory"))
        .args([name, &prompt.url(), &hanging.url()])
        .output()
        .map_err(|error| format!("it could not be started: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    <[f64; 2]>::try_from(numbers).map_err(|_| String::from_utf8_lossy(&output.stderr).lines().take(3).collect())
}
