//! Measurements in separate processes: instructions (by callgrind), allocations, and times.

use std::{
    collections::{BTreeMap, HashMap},
    env, fs,
    process::Command,
};

use crate::statistics::{Runs, Turns, rounds};

/// The instructions of one warm request, by function. An inlined function counts as its caller.
#[derive(Clone, Debug)]
pub struct Executed(pub BTreeMap<String, f64>);

impl Executed {
    pub fn total(&self) -> f64 {
        self.0.values().sum()
    }

    /// The instructions of all functions with this name.
    pub fn of(&self, function: &str) -> f64 {
        self.0.get(function).copied().unwrap_or(0.0)
    }
}

/// The allocations of one warm request.
#[derive(Clone, Copy, Debug)]
pub struct Allocated {
    pub calls: f64,
    pub bytes: f64,
}

const REQUESTS: u64 = 1_000;

/// Counts the instructions of one warm request. The result repeats to within a few, under any load.
pub fn instructions(program: &str, contender: &str) -> Result<Executed, String> {
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
    let text = fs::read_to_string(&file).map_err(|error| format!("callgrind left no report: {error}"))?;
    let _ = fs::remove_file(&file);
    let executed = Executed(by_function(&text));
    if executed.total() > 0.0 { Ok(executed) } else { Err("callgrind counted nothing".to_owned()) }
}

/// Counts the allocations of one warm request.
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

/// The times of whole requests and of bare ones.
#[derive(Debug, Default)]
pub struct Times {
    pub whole: Runs,
    /// Requests were made before, and responses have no headers.
    pub bare: Runs,
}

/// The times of a set of contenders with tokens of some length, in several runs, each of several processes.
///
/// The place of a process's stack and heap makes a contender faster or slower for as long as the process lives.
///
/// # Errors
///
/// If the program fails.
pub fn times(program: &str, set: &str, bytes: usize, processes: usize, requests: u64) -> Result<Times, String> {
    let mut times = Times::default();
    for _ in 0..RUNS {
        let (mut whole, mut bare) = (Turns::default(), Turns::default());
        for _ in 0..rounds(processes) {
            let (more, more_bare) = process(program, set, bytes, requests)?;
            whole.extend(more);
            bare.extend(more_bare);
        }
        times.whole.0.push(whole);
        times.bare.0.push(bare);
    }
    Ok(times)
}

/// A bar is judged by the median of so many runs.
pub const RUNS: usize = 5;

/// The rounds of one process.
pub const ROUNDS: usize = 15;

fn process(program: &str, set: &str, bytes: usize, requests: u64) -> Result<(Turns, Turns), String> {
    let output = Command::new(program)
        .args([set.to_owned(), bytes.to_string(), ROUNDS.to_string(), requests.to_string()])
        .output()
        .map_err(|error| format!("{program} could not be started: {error}"))?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{program} failed: {error}, {}", String::from_utf8_lossy(&output.stderr)))
}

/// Reads callgrind's format: a line with a function's name, then lines whose last number is a cost of its own.
fn by_function(text: &str) -> BTreeMap<String, f64> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut counted: BTreeMap<String, f64> = BTreeMap::new();
    let mut current = "";
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn=")) {
            // Only the first line with a number also has the name.
            let (id, name) = rest.split_once(' ').unwrap_or((rest, ""));
            if !name.is_empty() {
                names.insert(id, name);
            }
            if line.starts_with("fn=") {
                current = id;
            }
        } else if line.starts_with("calls=") {
            // The next line is the cost of the called function, which has its own lines.
            lines.next();
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost: f64 = line.rsplit(' ').next().and_then(|cost| cost.parse().ok()).unwrap_or(0.0);
            let name = names.get(current).copied().unwrap_or(current);
            *counted.entry(name.to_owned()).or_default() += cost / REQUESTS as f64;
        }
    }
    counted
}
