//! What a source is told if another replica has tried its credential, so it does not have to.

use std::{fmt, sync::Arc};

use crate::sync::{Mutex, lock};

type Call = Box<dyn FnOnce() + Send>;

/// Calls that sources have left while their credentials were looked up. Clones share them.
///
/// A source that shares calls them if it adopts a token, or a refusal, for which the same credential was sent.
#[derive(Clone, Default)]
#[cfg_attr(not(feature = "shared"), allow(dead_code, reason = "made by shared sources"))]
pub(crate) struct TriedElsewhere(Arc<Mutex<Vec<Call>>>);

impl TriedElsewhere {
    #[allow(dead_code, reason = "used by `HotSwap`, which is behind a feature")]
    pub(crate) fn then(&self, call: impl FnOnce() + Send + 'static) {
        lock(&self.0).push(Box::new(call));
    }

    #[cfg(feature = "shared")]
    pub(crate) fn tell(&self) {
        let calls = std::mem::take(&mut *lock(&self.0));
        calls.into_iter().for_each(|call| call());
    }
}

impl fmt::Debug for TriedElsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TriedElsewhere").finish_non_exhaustive()
    }
}
