//! A limit on how many fetches are in progress at the same time.
//!
//! It is around the source of each provider of a map, inside of its flight. A fetch waits for its turn while its
//! deadline runs. A caller waits for the fetch as for any other. A fetch whose runtime has stopped does not hold its
//! permit forever, because a permit ends at its fetch's deadline.

use std::{borrow::Cow, sync::Arc};

use crate::{
    error::{Error, ErrorKind},
    platform::BoxFuture,
    source::{ChallengeTest, CredentialInUse, DynTokenSource, FetchContext, Identity},
    sync::permits::Permits,
    token::AccessToken,
};

/// The permits of the fetches in progress. A permit ends by itself at its fetch's deadline.
#[derive(Clone)]
pub(crate) struct FetchLimit {
    most: usize,
    permits: Arc<Permits<()>>,
}

impl FetchLimit {
    /// A limit that all clones share.
    pub(crate) fn new(most: usize) -> Self {
        FetchLimit { most, permits: Permits::new(most) }
    }
}

/// A source whose fetches wait for a permit.
pub(crate) struct Limited {
    pub(crate) source: Arc<dyn DynTokenSource>,
    pub(crate) limit: FetchLimit,
}

impl DynTokenSource for Limited {
    fn fetch(self: Arc<Self>, cx: FetchContext) -> BoxFuture<Result<AccessToken, Error>> {
        Box::pin(async move {
            // A fetch that would be aborted at once is not begun.
            let permit = self.limit.permits.acquire(cx.platform(), cx.deadline().monotonic()).await;
            let Some(_permit) = permit else {
                let message = format!(
                    "the fetch waited for a permit until its deadline, because {} others were in progress; raise \
                     max_concurrent_fetches or the fetch timeout",
                    self.limit.most
                );
                return Err(Error::new(ErrorKind::Timeout, message));
            };
            self.source.clone().fetch(cx).await
        })
    }

    fn has_changed(&self) -> bool {
        self.source.has_changed()
    }

    fn name(&self) -> Cow<'_, str> {
        self.source.name()
    }

    fn identity(&self, identity: &mut Identity) {
        self.source.identity(identity);
    }

    fn challenge_test(&self) -> Option<ChallengeTest> {
        self.source.challenge_test()
    }

    fn credential_in_use(&self) -> Option<CredentialInUse> {
        self.source.credential_in_use()
    }
}
