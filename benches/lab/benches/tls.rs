//! An authorization server behind TLS: the first request of a process, and many tenants.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use lab::{
    contenders::Role,
    endpoint::{Endpoint, Manner},
    load,
    report::Report,
    statistics::{median, rounds},
};

/// aws-lc reads it when it is built.
const NO_JITTER_ENTROPY: &str = "AWS_LC_SYS_NO_JITTER_ENTROPY";
const TENANTS: usize = 10_000;

fn main() -> ExitCode {
    let (endpoint, ca) = Endpoint::start_tls(Manner::prompt());
    let trusted = env::temp_dir().join(format!("lab-ca.{}.pem", std::process::id()));
    // As many CAs as the system has, and the endpoint's.
    let system = fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
    if let Err(error) = fs::write(&trusted, system + "\n" + &ca) {
        eprintln!("{}: {error}", trusted.display());
        return ExitCode::FAILURE;
    }
    let mut report = Report::new("tls");
    cold_start(&mut report, &endpoint, &trusted);
    tenants(&mut report, &endpoint, &trusted);
    let _ = fs::remove_file(&trusted);
    report.finish()
}

/// A fresh process that trusts the endpoint; the numbers that it prints.
fn run(program: &Path, arguments: &[&str], trusted: &Path) -> Result<Vec<f64>, String> {
    let output = Command::new(program)
        .args(arguments)
        .env("SSL_CERT_FILE", trusted)
        .output()
        .map_err(|error| format!("{} could not be started: {error}", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        // A panic's message is between where it happened and a note about backtraces.
        let lines = said.lines().filter(|line| !line.starts_with("note:") && !line.starts_with("thread "));
        return Err(lines.collect::<Vec<_>>().join(" ").trim().chars().take(300).collect());
    }
    Ok(String::from_utf8_lossy(&output.stdout).split_whitespace().filter_map(|word| word.parse().ok()).collect())
}

/// Builds the program again with aws-lc's setting, beside the usual build.
fn without_jitter_entropy() -> Result<PathBuf, String> {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = lab.join("../../target/lab-no-jitter-entropy");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--release", "--locked", "--bin", "cold_start", "--manifest-path"]);
    cargo.arg(lab.join("Cargo.toml")).arg("--target-dir").arg(&target).env(NO_JITTER_ENTROPY, "1");
    if !cfg!(feature = "peers") {
        cargo.arg("--no-default-features");
    }
    match cargo.status() {
        Ok(status) if status.success() => Ok(target.join("release/cold_start")),
        Ok(status) => Err(format!("the build with {NO_JITTER_ENTROPY}=1 failed: {status}")),
        Err(error) => Err(format!("cargo could not be started: {error}")),
    }
}

fn cold_start(report: &mut Report, endpoint: &Endpoint, trusted: &Path) {
    let usual = PathBuf::from(env!("CARGO_BIN_EXE_cold_start"));
    let set = match without_jitter_entropy() {
        Ok(program) => program,
        Err(problem) => {
            report.bar("cold-start", "cold start over TLS", "a build with the setting", problem, false);
            return;
        }
    };
    let contenders = load::storming();
    // Turns of fresh processes: contender by contender, with and without the setting.
    let mut times: Vec<[Vec<Vec<f64>>; 2]> = contenders.iter().map(|_| [Vec::new(), Vec::new()]).collect();
    let mut problems = Vec::new();
    for round in 0..rounds(21).max(3) {
        for (one, profile) in contenders.iter().enumerate() {
            for (which, program) in [&set, &usual].into_iter().enumerate() {
                if problems.iter().any(|(failed, _)| *failed == one) {
                    continue;
                }
                match run(program, &[profile.name, &endpoint.url()], trusted) {
                    // The first round reads programs from the disk.
                    Ok(_) if round == 0 => {}
                    Ok(found) => times[one][which].push(found),
                    Err(problem) => problems.push((one, problem)),
                }
            }
        }
    }
    let found = |one: usize, which: usize, number: usize| {
        let times = &times[one][which];
        if times.is_empty() { f64::NAN } else { median(times.iter().map(|found| found[number])) }
    };
    let rows = contenders.iter().enumerate().map(|(one, profile)| {
        let failed = problems.iter().find(|(failed, _)| *failed == one);
        let cell = |which, number| match failed {
            Some(_) => "-".to_owned(),
            None => format!("{:.1}", found(one, which, number)),
        };
        vec![profile.name.to_owned(), cell(0, 0), cell(0, 1), cell(1, 0), cell(1, 1)]
    });
    report.text(format!(
        "**Cold start.** Milliseconds from the start of a fresh process to the end of its first request with a token, from an \
         endpoint behind TLS on loopback, and the longest stretch of processor time for which a worker was busy, which no poll \
         exceeds. Medians of {} processes each, which take turns. aws-lc gathers randomness from the timing of the processor \
         when it is first used; `{NO_JITTER_ENTROPY}=1` at build time turns that off. Both builds have the same contenders.",
        rounds(21).max(3) - 1
    ));
    report.table(&["", "with the setting, ms", "busy, ms", "without it, ms", "busy, ms"], rows.collect());
    for (one, problem) in &problems {
        report.text(format!("Not measured of {}: {problem}", contenders[*one].name));
    }
    let ours = contenders.iter().position(|profile| profile.role == Role::Ours).expect("everyone is there");
    let peers = (0..contenders.len()).filter(|&one| one != ours).map(|one| found(one, 0, 0));
    // Without the peers, the bar is missed.
    let fastest = peers.filter(|time| time.is_finite()).min_by(f64::total_cmp).unwrap_or(f64::NAN);
    let what = format!("cold start over TLS with {NO_JITTER_ENTROPY}=1, by the fastest peer's in the same build");
    report.at_most("cold-start", &what, 1.3, found(ours, 0, 0) / fastest);
    report.at_most(
        "cold-start-poll",
        "cold start over TLS without that setting, ms for which a worker is busy at most",
        1.0,
        found(ours, 1, 1),
    );
}

fn tenants(report: &mut Report, endpoint: &Endpoint, trusted: &Path) {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_tenants"));
    let arguments = [&endpoint.url(), &TENANTS.to_string()];
    let runs: Result<Vec<_>, _> = (0..5).map(|_| run(&program, &arguments.map(String::as_str), trusted)).collect();
    let runs = match runs {
        Ok(runs) if runs.iter().all(|run| run.len() == 3) => runs,
        Ok(_) => return report.bar("tenants-tls-time", "10,000 tenants over TLS", "three numbers", "fewer", false),
        Err(problem) => return report.bar("tenants-tls-time", "10,000 tenants over TLS", "tokens", problem, false),
    };
    let of = |number: usize| median(runs.iter().map(|run| run[number]));
    report.text(format!(
        "**Many tenants.** {TENANTS} tenants of one authorization server behind TLS, with the default transport, 64 fetches at \
         a time: {:.1} KiB for each tenant with its token, and {:.3} ms for its first token. As many bare requests through the \
         same transport take {:.3} ms each. Medians of {} processes.",
        of(0) / 1_024.0,
        of(1),
        of(2),
        runs.len()
    ));
    report.at_most(
        "tenants-tls-memory",
        "10,000 tenants with tokens over TLS, KiB each",
        8.0,
        runs.iter().map(|run| run[0] / 1_024.0).collect::<Vec<_>>(),
    );
    report.at_most(
        "tenants-tls-time",
        "10,000 tenants over TLS, ms for the first token of each beside the network's time",
        0.2,
        runs.iter().map(|run| (run[1] - run[2]).max(0.0)).collect::<Vec<_>>(),
    );
}
