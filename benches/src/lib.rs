//! Runs the benches of the package `lab`, which is no member of this workspace.
//!
//! `cargo bench --bench hot_path` builds and runs the bench of that name there; its exit status tells whether it
//! reached its bars. `benches/report.sh` runs them all and writes `docs/PERFORMANCE.md`.

use std::{
    env,
    path::Path,
    process::{Command, ExitCode},
};

/// Runs a bench of the lab with the arguments of this process, and ends as it ends.
pub fn hand_over(bench: &str) -> ExitCode {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // `--bench` is what cargo itself adds for harnesses.
    let arguments = env::args_os().skip(1).filter(|argument| argument != "--bench");
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["bench", "--locked", "--quiet", "--bench", bench, "--manifest-path"])
        .arg(here.join("lab/Cargo.toml"))
        .arg("--target-dir")
        .arg(here.join("../target/lab"))
        .arg("--")
        .args(arguments)
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cargo could not be started: {error}");
            ExitCode::FAILURE
        }
    }
}
