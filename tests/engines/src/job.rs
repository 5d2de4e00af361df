//! What a worker process is told to do, and what it reports.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::faulty::Fault;

/// The environment variable with the job of a worker, as JSON.
pub const VARIABLE: &str = "WORKER_JOB";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub store: Store,
    pub keys: PathBuf,
    pub token_url: String,
    pub api_url: String,
    /// By how many seconds the clock of the worker's host is off.
    pub clock_offset: i64,
    /// The pause between two requests to the API.
    pub every_ms: u64,
    /// What is wrong with the worker.
    pub fault: Option<Fault>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Store {
    Redis {
        url: String,
    },
    Sentinel {
        urls: Vec<String>,
        name: String,
    },
    Cluster {
        urls: Vec<String>,
    },
    /// A refresh token, which is used as often as possible.
    Postgres {
        url: String,
        lease_ms: u64,
    },
    /// An access token on PostgreSQL.
    Table {
        url: String,
    },
    /// Each replica for itself.
    None,
}

/// What one worker did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The requests to the API that were accepted.
    pub accepted: u64,
    /// Those that were refused (401), each of which was reported to the provider.
    pub refused: u64,
    /// Tokens that were not to be had.
    pub failed: u64,
    /// Those of them for which the replica had a token that the API had accepted, with half a second to live.
    pub failed_with_token: u64,
    /// Some of the reasons.
    pub errors: Vec<String>,
    /// The time until the first token.
    pub first_ms: f64,
    /// The longest time until a token, after the first.
    pub longest_ms: f64,
}
