//! What a fetch is waiting for, for the error of one that runs out of time.
//!
//! In a chain of providers, a timeout is reported by the last stage and caused by the first. Without this, its error
//! would say that the token endpoint of the last stage is slow, which was never asked:
//!
//! ```text
//! storage: the token source gave no token within 10s; the fetch was aborted; it was waiting for the token of
//! `federation`, which was waiting for the token of `pod identity`
//! ```

use std::sync::{Arc, Weak};

use crate::sync::{Mutex, lock};

/// The provider that a fetch waits for at the moment, if its source needs the token of another one. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waits(Arc<Cell>);

type Cell = Mutex<Option<Stage>>;

#[derive(Debug)]
struct Stage {
    provider: Box<str>,
    /// What the fetches of that provider wait for. It is weak, because they may wait for this one.
    then: Weak<Cell>,
}

/// The longest chain that an error names. Longer ones are rings.
const MOST_STAGES: usize = 8;

impl Waits {
    /// Notes that a fetch waits for this provider, whose own fetches note theirs in `then`.
    ///
    /// The note stays if the fetch is dropped.
    pub(crate) async fn on<T>(&self, provider: &str, then: &Waits, token: impl Future<Output = T>) -> T {
        *lock(&self.0) = Some(Stage { provider: provider.into(), then: Arc::downgrade(&then.0) });
        let result = token.await;
        self.forget();
        result
    }

    /// Notes that a fetch waits for no other provider.
    pub(crate) fn forget(&self) {
        *lock(&self.0) = None;
    }

    /// The names of the providers in the chain: from the one that the fetch waits for, to the last one.
    pub(crate) fn stages(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut next = Some(Arc::clone(&self.0));
        while let Some(cell) = next.filter(|_| names.len() < MOST_STAGES) {
            let stage = lock(&cell);
            next = stage.as_ref().and_then(|stage| stage.then.upgrade());
            names.extend(stage.as_ref().map(|stage| stage.provider.to_string()));
        }
        names
    }
}
