//! The library against authorization servers that others wrote.
//!
//! `tests/interop/run` prepares the servers and calls this program. See that script.
#![allow(clippy::disallowed_methods, reason = "real servers have the real time")]

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::{profile::Profile, results::Results, run::Run};

mod api;
mod caller;
mod client;
mod flows;
mod keys;
mod life;
mod mistakes;
mod process;
mod profile;
mod refresh;
mod results;
mod run;
mod secrets;
mod servers;
mod shifted;

/// The longest that a run against one server may take.
const LIMIT: Duration = Duration::from_secs(300);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    match words.as_slice() {
        ["list"] => {
            servers::ALL.iter().for_each(|profile| println!("{}", profile.name));
            Ok(())
        }
        ["run", name, cache, work, check] => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let run = one(folder, name, cache, work, *check == "check");
                tokio::time::timeout(LIMIT, run).await.with_context(|| format!("{name} took longer than {LIMIT:?}"))?
            })
        }
        ["page", skipped @ ..] => page(folder, skipped),
        _ => bail!("expected `list`, `run NAME CACHE WORK check|write` or `page [NAME=REASON ...]`"),
    }
}

async fn one(folder: &Path, name: &str, cache: &str, work: &str, check: bool) -> Result<()> {
    let profile = find(name)?;
    let events = Arc::default();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("bearer_token=trace,tower_bearer=trace,reqwest_bearer=trace"))
        .with_ansi(false)
        .with_writer(Events(Arc::clone(&events)))
        .init();
    println!("== {}", profile.title);
    let run = Run::start(profile, folder, Path::new(cache), Path::new(work), events).await?;
    flows::all(&run).await?;
    mistakes::all(&run).await?;
    refresh::all(&run).await?;
    life::all(&run).await?;
    let count = run.markers.check_events()?;
    run.process.lock().await.stop().await?;

    let (failures, results) = (run.failures(), run.results.borrow().clone());
    println!("{name}: {} cases, {} failed; {count} events without a secret", results.rows.len(), failures.len());
    ensure!(failures.is_empty(), "{name} failed:\n{}", failures.join("\n"));
    if check {
        let earlier = Results::read(folder, name)?.with_context(|| format!("there are no results of {name} yet"))?;
        let differences = results.differences(&earlier);
        let found = differences.join("\n");
        ensure!(differences.is_empty(), "{name} differs from its results; if that is right, run it again:\n{found}");
        return Ok(());
    }
    results.write(folder)
}

fn find(name: &str) -> Result<&'static Profile> {
    let found = servers::ALL.iter().find(|profile| profile.name == name);
    found.copied().with_context(|| format!("there is no server {name}; `tests/interop/run list` has them"))
}

/// Writes `docs/INTEROP.md` from the results of all servers.
fn page(folder: &Path, skipped: &[&str]) -> Result<()> {
    let (mut all, mut missing) = (Vec::new(), Vec::new());
    for profile in servers::ALL {
        match Results::read(folder, profile.name)? {
            Some(results) => all.push(results),
            None => {
                let reason = skipped.iter().find_map(|word| word.strip_prefix(profile.name)?.strip_prefix('='));
                missing.push((profile.name.to_owned(), reason.unwrap_or("there are no results yet").to_owned()));
            }
        }
    }
    let path: PathBuf = folder.join("../../docs/INTEROP.md");
    std::fs::write(path, results::page(&all, &missing)?)?;
    Ok(())
}

/// Where the library's events go.
#[derive(Clone)]
struct Events(Arc<Mutex<Vec<u8>>>);

impl io::Write for Events {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Events {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
