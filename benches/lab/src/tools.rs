//! What is counted in a process of its own: instructions, by callgrind, and allocations.

use std::{env, fs, path::Path, process::Command};

/// What one warm request allocates.
#[derive(Clone, Copy, Debug)]
pub struct Allocated {
    pub calls: f64,
    pub bytes: f64,
}

const REQUESTS: u64 = 1_000;

/// Instructions of one warm request. Repeats to within a few, whatever else the machine does.
pub fn instructions(program: &str, contender: &str) -> Result<f64, String> {
    let file = env::temp_dir().join(format!("callgrind.{}.{}", std::process::id(), contender.replace(' ', "-")));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*hot_loop*", "--quiet"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .args([program, contender, &REQUESTS.to_string()])
        .output()
        .map_err(|error| format!("valgrind could not be started ({error}): install it"))?;
    if !output.status.success() {
        return Err(format!("valgrind failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let total = total(&file)?;
    let _ = fs::remove_file(&file);
    Ok(total as f64 / REQUESTS as f64)
}

/// Allocations of one warm request.
pub fn allocations(program: &str, contender: &str) -> Result<Allocated, String> {
    let output = Command::new(program)
        .args([contender, &REQUESTS.to_string()])
        .output()
        .map_err(|error| format!("{program} could not be started: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [calls, bytes] => Ok(Allocated { calls: calls / REQUESTS as f64, bytes: bytes / REQUESTS as f64 }),
        _ => Err(format!("{program} failed: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

fn total(file: &Path) -> Result<u64, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("callgrind left no report: {error}"))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    total.filter(|&total| total > 0).ok_or_else(|| "callgrind's report has no totals".to_owned())
}
