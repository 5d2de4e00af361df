//! Runs the benches of the package `lab`, which is outside this workspace.
//!
//! `cargo bench --bench hot_path` builds and runs the bench of that name there; its exit status says whether it
//! reached its bars. `benches/report.sh` runs them all and writes `docs/PERFORMANCE.md`.

use std::{
    env,
    ffi::OsStr,
    path::Path,
    process::{Command, ExitCode},
};

/// Runs a bench of the lab with the arguments of this process, and returns its exit status.
pub fn hand_over(bench: &str) -> ExitCode {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // cargo itself adds `--bench` for harnesses.
    let arguments = env::args_os().skip(1).filter(|argument| argument != "--bench");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // cargo's variables for this package would make build scripts run again and rebuild everything.
    for (name, _) in env::vars_os().filter(|(name, _)| is_of_this_package(name)) {
        cargo.env_remove(name);
    }
    let status = cargo
        .args(["bench", "--locked", "--quiet", "--bench", bench, "--manifest-path"])
        .arg(here.join("lab/Cargo.toml"))
        .arg("--target-dir")
        .arg(here.parent().unwrap_or(here).join("target/lab"))
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

fn is_of_this_package(variable: &OsStr) -> bool {
    let name = variable.to_string_lossy();
    ["CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(|prefix| name.starts_with(prefix))
}
