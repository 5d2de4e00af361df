//! The cost of attaching a cached token to a request: time, instructions, allocations.

mod measured;

use std::{
    hint::black_box,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
};

use bearer_token::platform::Platform;
use lab::{
    contenders::{self, BY_HAND, LOOK, OBSERVED, REQWEST_STATIC, Role, TRACED},
    report::Report,
    statistics::{Turns, median, rounds, timed},
    tools::{self, Executed, RUNS},
    warm::{LONG, SHORT},
};

use self::measured::{Measured, REQUESTS, nanos};

/// The number of measuring processes in each run.
const PROCESSES: usize = 6;

fn main() -> ExitCode {
    match measure_all() {
        Ok(report) => report.finish(),
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn measure_all() -> Result<Report, String> {
    let long = Measured::take("all", contenders::all(), LONG, PROCESSES)?;
    let short = Measured::timed("all", contenders::all(), SHORT, PROCESSES / 2)?;
    let ways = Measured::take("ways", contenders::ways(), LONG, PROCESSES / 2)?;
    let traced = Measured::take("traced", contenders::traced(), LONG, PROCESSES / 2)?;

    let mut report = Report::new("hot_path");
    requests(&mut report, &long);
    profile(&mut report, &long);
    short_tokens(&mut report, &short);
    other_ways(&mut report, &ways, &traced);
    Ok(report)
}

fn requests(report: &mut Report, all: &Measured) {
    let [constant, look, ours] = [all.find(Role::Static), all.position(LOOK), all.find(Role::Ours)];
    let table = (0..all.rows.len()).map(|one| {
        vec![
            all.rows[one].profile.name.to_owned(),
            format!("{:.0}", all.made(one)),
            format!("{:.2}", all.times.whole.median(|turns| turns.ratio(one, constant))),
            format!("{:.0}", all.bare(one)),
            format!("{:.2}", all.times.bare.median(|turns| turns.ratio(one, constant))),
            format!("{:.0}", all.net(one)),
            format!("{:.1}", median(all.net_ratios(one, look))),
            format!("{:.0}", all.instructions(one)),
            format!("{:.0}", all.net_instructions(one)),
            format!("{:.1}", all.net_instructions(one) / all.net_instructions(look)),
            format!("{:.0}", all.allocations(one)),
            format!("{:.0}", all.bytes(one)),
        ]
    });
    report.table(
        &[
            "contender",
            "made, ns",
            "ratio",
            "not made, ns",
            "ratio",
            "net ns",
            "net ratio",
            "instructions",
            "net",
            "net ratio",
            "allocations",
            "bytes",
        ],
        table.collect(),
    );
    all.problems(report);
    report.text(format!(
        "Medians of {RUNS} runs, each of {} rounds of {REQUESTS} requests in each of {} processes, because the place of a \
         process in memory affects its times. Ratios are made round by round, to the static layer's time; net ratios are to \
         the static layer that looks at the response. The quartiles of the static layer's times lie {:.1} % around their \
         median.",
        tools::ROUNDS,
        rounds(PROCESSES),
        all.times.whole.median(|turns| turns.noise(constant)) * 100.0
    ));

    all.time_bars(report, "", "");
    report.at_most(
        "layer-instructions",
        "warm tower layer, instructions per request, by the static layer's",
        1.30,
        all.instructions(ours) / all.instructions(constant),
    );
    report.at_most(
        "layer-allocations",
        "warm tower layer, allocations more than the static layer",
        0.0,
        all.allocations(ours) - all.allocations(constant),
    );
    let (middleware, constant) = (all.find(Role::OurMiddleware), all.position(REQWEST_STATIC));
    report.at_most(
        "middleware-net",
        "warm reqwest middleware, net time by that of a constant header in one",
        1.5,
        all.net_ratios(middleware, constant),
    );
    report.at_most(
        "middleware-allocations",
        "warm reqwest middleware, allocations more than a constant header in one",
        0.0,
        all.allocations(middleware) - all.allocations(constant),
    );
    // Without the peers, the bar is missed.
    let fastest = all.fastest_peer();
    report.at_least(
        "peer-net",
        "warm, net time of the fastest peer that checks expiry, by our layer's",
        4.0,
        fastest.map_or(vec![f64::NAN], |fastest| all.net_ratios(fastest, ours)),
    );
    if let Some(fastest) = fastest {
        report.text(fastest_peer(all, fastest));
        let [by_hand, constant] = [all.position(BY_HAND), all.find(Role::Static)];
        report.text(format!(
            "A layer that is 4 times as fast as that peer has {:.0} ns. The static layer takes {:.0} of them, and {:.0} with a \
             look at the response; checking the expiry, the origin and the caller's own header makes ours by hand {:.0}, and its \
             layer {:.0}.",
            all.net(fastest) / 4.0,
            all.net(constant),
            all.net(look),
            all.net(by_hand),
            all.net(ours),
        ));
    }
}

fn fastest_peer(all: &Measured, fastest: usize) -> String {
    let [by_hand, ours] = [all.position(BY_HAND), all.find(Role::Ours)];
    format!(
        "The fastest peer that checks expiry is {}. Its net time is {:.1} times that of our layer, and {:.1} times that of \
         {BY_HAND}, which is how it is used itself: it has no layer, and sees no response.",
        all.rows[fastest].profile.name,
        median(all.net_ratios(fastest, ours)),
        median(all.net_ratios(fastest, by_hand)),
    )
}

/// The same with tokens that are cheap to copy.
fn short_tokens(report: &mut Report, all: &Measured) {
    let [constant, look] = [all.find(Role::Static), all.position(LOOK)];
    let table = (0..all.rows.len()).map(|one| {
        vec![
            all.rows[one].profile.name.to_owned(),
            format!("{:.0}", all.made(one)),
            format!("{:.2}", all.times.whole.median(|turns| turns.ratio(one, constant))),
            format!("{:.0}", all.bare(one)),
            format!("{:.2}", all.times.bare.median(|turns| turns.ratio(one, constant))),
            format!("{:.0}", all.net(one)),
            format!("{:.1}", median(all.net_ratios(one, look))),
        ]
    });
    report.text(format!(
        "**Tokens of {SHORT} bytes.** Peers that copy the token for each request come closer with short ones."
    ));
    report.table(&["contender", "made, ns", "ratio", "not made, ns", "ratio", "net ns", "net ratio"], table.collect());
    if let Some(fastest) = all.fastest_peer() {
        report.text(fastest_peer(all, fastest));
    }
    all.time_bars(report, "-short", &format!(", tokens of {SHORT} bytes"));
}

/// Ours with other settings, and watched.
fn other_ways(report: &mut Report, ways: &Measured, traced: &Measured) {
    let usual = ways.find(Role::Ours);
    let row = |of: &Measured, one: usize| {
        vec![
            of.rows[one].profile.name.to_owned(),
            format!("{:.0}", of.net(one)),
            format!("{:+.0}", of.net(one) - ways.net(usual)),
            format!("{:.0}", of.net_instructions(one)),
            format!("{:+.0}", of.net_instructions(one) - ways.net_instructions(usual)),
            format!("{:.0}", of.allocations(one) - of.allocations(of.base(one))),
        ]
    };
    let is_ours = |of: &Measured, one: usize| matches!(of.rows[one].profile.role, Role::Ours | Role::Way);
    let both = [ways, traced];
    let rows = both
        .iter()
        .flat_map(|of| (0..of.rows.len()).filter(|&one| is_ours(of, one)).map(|one| row(of, one)).collect::<Vec<_>>());
    report.text(
        "**Other ways.** Ours with other settings, less the same request without a token. The usual way is an allowed origin \
         that is spelled in the URI as it was allowed, and no observer. The feature `tracing` is compiled in everywhere; in the \
         last row a subscriber listens to every level.",
    );
    report.table(
        &["", "net ns", "more than usual", "net instructions", "more than usual", "net allocations"],
        rows.collect(),
    );
    ways.problems(report);
    traced.problems(report);
    // The short way knows one spelling only. Room for the long way after it, and none for another like it.
    for (key, name) in [
        ("spelling-any-https", "tower-bearer, any https origin"),
        ("spelling-port-allowed", "tower-bearer, port in the allowed origin"),
        ("spelling-port", "tower-bearer, port in the URI"),
        ("spelling-loopback", "tower-bearer, loopback by default"),
    ] {
        report.at_most(
            key,
            &format!("{name}, net time by the usual way's"),
            1.6,
            ways.net_ratios(ways.position(name), usual),
        );
    }
    // Callgrind repeats to within a few of a million.
    report.at_most(
        "observer-instructions",
        "warm tower layer with an observer that does not count reads, instructions more",
        2.0,
        ways.instructions(ways.position(OBSERVED)) - ways.instructions(usual),
    );
    report.at_most(
        "tracing-instructions",
        "warm tower layer with a subscriber of `tracing`, instructions more",
        2.0,
        traced.instructions(traced.position(TRACED)) - ways.instructions(usual),
    );
}

/// The parts of the net cost.
fn profile(report: &mut Report, all: &Measured) {
    let executed = |one: usize| all.rows[one].instructions.as_ref();
    let ours = all.find(Role::Ours);
    if let (Ok(look), Ok(by_hand), Ok(base), Ok(ours)) =
        (executed(all.position(LOOK)), executed(all.position(BY_HAND)), executed(all.base(ours)), executed(ours))
    {
        let net = |executed: &Executed, function: &str| executed.of(function) - base.of(function);
        let mut functions: Vec<_> = ours.0.keys().collect();
        functions.sort_by(|one, other| net(ours, other).total_cmp(&net(ours, one)));
        let shown = functions.into_iter().filter(|name| net(ours, name) >= 5.0);
        let rows = shown.map(|name| {
            let cells = [ours, by_hand, look].map(|executed| format!("{:.0}", net(executed, name)));
            [format!("`{}`", name.replace('|', "\\|"))].into_iter().chain(cells).collect()
        });
        report.text(
            "The net instructions of our layer, ours by hand, and the static layer that looks at the response, by function \
             (callgrind's profile).",
        );
        report.table(&["function, with what is inlined into it", "layer", "by hand", "static, looks"], rows.collect());
    }
    let platform = Platform::system();
    let count = AtomicU64::new(0);
    let mut parts: [(&str, Box<dyn FnMut()>); 2] = [
        ("a reading of the clocks", Box::new(|| _ = black_box(platform.now()))),
        ("one change of an atomic number", Box::new(|| _ = black_box(count.fetch_add(1, Ordering::SeqCst)))),
    ];
    let turns = Turns::take(parts.len(), rounds(301), |one| timed(|| (0..REQUESTS).for_each(|_| parts[one].1())));
    let names = parts.iter().map(|(name, _)| *name);
    let rows = names.enumerate().map(|(one, name)| vec![name.to_owned(), format!("{:.1}", nanos(turns.seconds(one)))]);
    report.text(
        "The times of single parts, each in a loop. Reading the slot changes an atomic number twice, and so does cloning and \
         dropping the value, which the static layer does too.",
    );
    report.table(&["part", "ns"], rows.collect());
}
