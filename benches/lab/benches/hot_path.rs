//! The cost of attaching a cached token to a request: time, instructions, allocations.

use std::{
    hint::black_box,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
};

use bearer_token::platform::Platform;
use lab::{
    contenders::{self, BY_HAND, LOOK, Profile, Role},
    report::Report,
    statistics::{Turns, timed},
    tools::{self, Allocated, Executed},
};

/// Requests per turn: enough for the clock, few enough for a quiet moment.
const REQUESTS: u64 = 1_024;

/// The number of measuring processes and of rounds in each. The place of a process's stack and heap makes a
/// contender faster or slower by up to 30 ns, for as long as the process lives.
const PROCESSES: usize = 31;
const ROUNDS: usize = 15;

/// The measurements of one contender.
struct Row {
    profile: Profile,
    instructions: Result<Executed, String>,
    allocated: Result<Allocated, String>,
}

fn main() -> ExitCode {
    let rows: Vec<Row> = contenders::all()
        .into_iter()
        .map(|profile| Row {
            profile,
            instructions: tools::instructions(env!("CARGO_BIN_EXE_instructions"), profile.name),
            allocated: tools::allocations(env!("CARGO_BIN_EXE_allocations"), profile.name),
        })
        .collect();
    let (mut turns, mut bare) = (Turns::default(), Turns::default());
    for _ in 0..PROCESSES {
        match tools::times(env!("CARGO_BIN_EXE_times"), ROUNDS, REQUESTS) {
            Ok((more, more_bare)) => {
                turns.extend(more);
                bare.extend(more_bare);
            }
            Err(problem) => {
                eprintln!("{problem}");
                return ExitCode::FAILURE;
            }
        }
    }
    report(&rows, &turns, &bare).finish()
}

fn report(rows: &[Row], turns: &Turns, bare: &Turns) -> Report {
    let mut report = Report::new("hot_path");
    let find = |role: Role| rows.iter().position(|row| row.profile.role == role).expect("everyone is there");
    let (constant, ours) = (find(Role::Static), find(Role::Ours));
    let base =
        |one: usize| rows.iter().position(|row| row.profile.name == rows[one].profile.base).expect("everyone is there");

    let nanos = |one: usize| turns.seconds(one) / REQUESTS as f64 * 1e9;
    let net_nanos = |one: usize| bare.net(one, base(one)) / REQUESTS as f64 * 1e9;
    let instructions = |one: usize| rows[one].instructions.as_ref().map_or(f64::NAN, Executed::total);
    let net_instructions = |one: usize| instructions(one) - instructions(base(one));

    let table = (0..rows.len()).map(|one| {
        let allocated = rows[one].allocated.clone().unwrap_or(Allocated { calls: f64::NAN, bytes: f64::NAN });
        vec![
            rows[one].profile.name.to_owned(),
            format!("{:.0}", nanos(one)),
            format!("{:.2}", turns.ratio(one, constant)),
            format!("{:.0}", net_nanos(one)),
            format!("{:.1}", net_nanos(one) / net_nanos(constant)),
            format!("{:.0}", instructions(one)),
            format!("{:.2}", instructions(one) / instructions(constant)),
            format!("{:.1}", net_instructions(one) / net_instructions(constant)),
            format!("{:.0}", allocated.calls),
            format!("{:.0}", allocated.bytes),
        ]
    });
    report.table(
        &[
            "contender",
            "ns",
            "ratio",
            "net ns",
            "net ratio",
            "instructions",
            "ratio",
            "net ratio",
            "allocations",
            "bytes",
        ],
        table.collect(),
    );
    for row in rows {
        for problem in [row.instructions.as_ref().err(), row.allocated.as_ref().err()].into_iter().flatten() {
            report.text(format!("Not measured of {}: {problem}", row.profile.name));
        }
    }
    report.text(format!(
        "Medians of {ROUNDS} rounds of {REQUESTS} requests in each of {PROCESSES} processes, because the place of a \
         process in memory affects its times; ratios are made round by round. The quartiles of the static layer's times lie {:.1} % \
         around their median.",
        turns.noise(constant) * 100.0
    ));

    profile(&mut report, &rows[ours], &rows[constant], &rows[base(ours)]);

    report.at_most(
        "layer-instructions",
        "warm tower layer, instructions per request, by the static layer's",
        1.30,
        instructions(ours) / instructions(constant),
    );
    report.at_most(
        "layer-made",
        "warm tower layer, time per request, by the static layer's",
        1.25,
        turns.ratio(ours, constant),
    );
    let more = match (&rows[ours].allocated, &rows[constant].allocated) {
        (Ok(ours), Ok(constant)) => ours.calls - constant.calls,
        _ => f64::NAN,
    };
    report.at_most("layer-allocations", "warm tower layer, allocations more than the static layer", 0.0, more);
    let peers = (0..rows.len()).filter(|&one| {
        let Profile { role, checks_expiry, .. } = rows[one].profile;
        matches!(role, Role::Peer | Role::PeerByHand) && checks_expiry
    });
    let fastest = peers.min_by(|&one, &other| net_nanos(one).total_cmp(&net_nanos(other)));
    // Without the peers, the bar is missed.
    let net_of_fastest = fastest.map_or(f64::NAN, net_nanos);
    report.at_least(
        "peer-net",
        "warm, net time of the fastest peer that checks expiry, by ours",
        4.0,
        net_of_fastest / net_nanos(ours),
    );
    if let Some(fastest) = fastest {
        let by_hand = rows.iter().position(|row| row.profile.name == BY_HAND).expect("everyone is there");
        report.text(format!(
            "The fastest peer that checks expiry is {}. It takes {:.1} times what our layer takes, and {:.1} times what {BY_HAND} \
             takes, which is how it is used itself: it has no layer, and sees no response.",
            rows[fastest].profile.name,
            net_of_fastest / net_nanos(ours),
            net_of_fastest / net_nanos(by_hand),
        ));
        let look = rows.iter().position(|row| row.profile.name == LOOK).expect("everyone is there");
        report.text(format!(
            "A layer that is 4 times as fast as that peer has {:.0} ns. The static layer takes {:.0} of them, and {:.0} with \
             a look at the response; checking the expiry, the origin and the caller's own header makes ours by hand {:.0}, \
             and its layer {:.0}.",
            net_of_fastest / 4.0,
            net_nanos(constant),
            net_nanos(look),
            net_nanos(by_hand),
            net_nanos(ours),
        ));
    }
    report
}

/// The parts of the net cost.
fn profile(report: &mut Report, ours: &Row, constant: &Row, base: &Row) {
    if let (Ok(ours), Ok(constant), Ok(base)) = (&ours.instructions, &constant.instructions, &base.instructions) {
        let net = |executed: &Executed, function: &str| executed.of(function) - base.of(function);
        let mut functions: Vec<_> = ours.0.keys().map(|name| (name, net(ours, name), net(constant, name))).collect();
        functions.sort_by(|one, other| other.1.total_cmp(&one.1));
        let shown = functions.iter().filter(|(_, ours, _)| *ours >= 5.0);
        let rows = shown.map(|(name, ours, constant)| {
            vec![format!("`{}`", name.replace('|', "\\|")), format!("{ours:.0}"), format!("{constant:.0}")]
        });
        report.text("The net instructions of our layer and of the static layer, by function (callgrind's profile).");
        report.table(&["function, with what is inlined into it", "ours", "static layer"], rows.collect());
    }
    let platform = Platform::system();
    let count = AtomicU64::new(0);
    let mut parts: [(&str, Box<dyn FnMut()>); 2] = [
        ("a reading of the clocks", Box::new(|| _ = black_box(platform.now()))),
        ("one change of an atomic number", Box::new(|| _ = black_box(count.fetch_add(1, Ordering::SeqCst)))),
    ];
    let turns = Turns::take(parts.len(), 301, |one| timed(|| (0..REQUESTS).for_each(|_| parts[one].1())));
    let nanos = |one: usize| format!("{:.1}", turns.seconds(one) / REQUESTS as f64 * 1e9);
    let names = parts.iter().map(|(name, _)| *name);
    let rows = names.enumerate().map(|(one, name)| vec![name.to_owned(), nanos(one)]).collect();
    report.text(
        "The times of single parts, each in a loop. Reading the slot changes an atomic number twice, and so does cloning and \
         dropping the value, which the static layer does too.",
    );
    report.table(&["part", "ns"], rows);
}
