//! The series of each name that is told apart.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use ::metrics::{Counter, Label, SharedString, counter, gauge, histogram};

use super::REFUSED;
use crate::{
    observe::{CacheRead, EventKind, WaitOutcome},
    sync::{Mutex, Slot, lock},
    token::{FetchReason, Rejection},
};

/// The names that were seen so far, up to a limit. They are read without a lock.
pub(super) struct Names {
    known: Slot<Vec<Known>>,
    growing: Mutex<()>,
}

/// A name that is told apart, and its counters of reads.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) name: SharedString,
    reads: Arc<OnceLock<[Counter; 3]>>,
}

/// The name under which everything beyond the limit is counted.
const OTHER: &str = "_other";

impl Names {
    /// No name was seen yet.
    pub(super) fn new() -> Self {
        Names { known: Slot::new(None), growing: Mutex::new(()) }
    }

    /// The entry of a name, and whether it is new. A new one is added under a lock, and beyond the limit there is one
    /// entry for all others.
    pub(super) fn get(&self, name: &str, limit: usize) -> (Known, bool) {
        let read = self.known.read(|all| {
            let all = all?;
            find(all, name).or_else(|| if all.len() > limit { find(all, OTHER) } else { None })
        });
        if let Some(known) = read {
            return (known, false);
        }
        let _growing = lock(&self.growing);
        let mut all = self.known.get().map_or_else(Vec::new, |all| Vec::clone(&all));
        let name = if all.len() < limit { name } else { OTHER };
        if let Some(known) = find(&all, name) {
            return (known, false);
        }
        let known = Known { name: SharedString::from_shared(name.into()), reads: Arc::default() };
        all.push(known.clone());
        self.known.set(Some(Arc::new(all)));
        (known, true)
    }
}

fn find(all: &[Known], name: &str) -> Option<Known> {
    all.iter().find(|known| *known.name == *name).cloned()
}

impl Known {
    pub(super) fn label(&self) -> Label {
        Label::new("provider", self.name.clone())
    }

    fn labels(&self, more: &[(&'static str, &'static str)]) -> Vec<Label> {
        let more = more.iter().map(|&(name, value)| Label::from_static_parts(name, value));
        std::iter::once(self.label()).chain(more).collect()
    }

    /// Records zero for the counters whose labels have few values. A counter that appears with its first event has not
    /// increased, as far as Prometheus can tell.
    pub(super) fn begin(&self, counts_reads: bool) {
        let zero = |name: &'static str, labels: &[(&'static str, &'static str)]| {
            counter!(name, self.labels(labels)).increment(0);
        };
        for reason in FetchReason::ALL {
            zero("bearer_token.fetches", &[("reason", reason.as_str()), ("outcome", "fetched")]);
        }
        zero("bearer_token.fetches", &[("reason", "unknown"), ("outcome", "abandoned")]);
        for outcome in [WaitOutcome::Failed.as_str(), WaitOutcome::Dropped.as_str(), REFUSED] {
            zero("bearer_token.unserved", &[("outcome", outcome)]);
        }
        for outcome in Rejection::ALL {
            zero("bearer_token.rejections", &[("outcome", outcome.as_str())]);
            zero("bearer_token.replays", &[("outcome", outcome.as_str())]);
        }
        for outcome in Rejection::ALL.into_iter().filter(|outcome| outcome.can_replay_succeed()) {
            zero("bearer_token.not_replayed", &[("outcome", outcome.as_str())]);
        }
        for outcome in ["passed", "refused"] {
            zero("bearer_token.requests_without_token", &[("outcome", outcome)]);
        }
        for &warning in EventKind::WARNINGS {
            zero("bearer_token.warnings", &[("warning", warning)]);
        }
        if counts_reads {
            self.reads.get_or_init(|| self.read_counters()).iter().for_each(|counter| counter.increment(0));
        }
    }

    pub(super) fn count(&self, name: &'static str, labels: &[(&'static str, &'static str)]) {
        counter!(name, self.labels(labels)).increment(1);
    }

    pub(super) fn measure(&self, name: &'static str, labels: &[(&'static str, &'static str)], duration: Duration) {
        histogram!(name, self.labels(labels)).record(duration.as_secs_f64());
    }

    pub(super) fn set(&self, name: &'static str, value: f64) {
        gauge!(name, self.labels(&[])).set(value);
    }

    /// Every request comes here, so the counters are looked up once.
    pub(super) fn count_read(&self, state: CacheRead) {
        let [fresh, stale, missing] = self.reads.get_or_init(|| self.read_counters());
        let counter = match state {
            CacheRead::Fresh => fresh,
            CacheRead::Stale => stale,
            CacheRead::Missing => missing,
        };
        counter.increment(1);
    }

    fn read_counters(&self) -> [Counter; 3] {
        let states = [CacheRead::Fresh, CacheRead::Stale, CacheRead::Missing];
        states.map(|state| counter!("bearer_token.cache.reads", self.labels(&[("state", state.as_str())])))
    }
}
