//! A provider as the source of another.

use std::borrow::Cow;

use super::{Bearer, TokenFuture, TokenProvider, cache::Want};
use crate::{
    error::Error,
    source::{CredentialInUse, FetchContext, Identity, TokenSource},
    token::AccessToken,
};

/// A provider is a source too: another source can use its token as an assertion, a subject token or a bearer. It
/// returns the bearer in service, even if the API rejected a token that was made with it. The other source handles what
/// the API asked for.
impl TokenSource for TokenProvider {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        let bearer = self.for_fetch(&cx, false).await?;
        let token = AccessToken::new(bearer.secret());
        Ok(match bearer.expires_at() {
            Some(time) => token.expires_at(time),
            None => token.never_expires(),
        })
    }

    fn has_changed(&self) -> bool {
        self.inner.has_changed()
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.name())
    }

    fn identity(&self, identity: &mut Identity) {
        self.inner.source.identity(identity);
    }

    fn credential_in_use(&self) -> Option<CredentialInUse> {
        self.inner.source.credential_in_use()
    }
}

impl TokenProvider {
    /// The token for a fetch of another provider. If that fetch runs out of time, its error names this provider.
    pub(crate) async fn for_fetch(&self, cx: &FetchContext, fresh: bool) -> Result<Bearer, Error> {
        let want = if fresh { Want::Renewal } else { Want::Token };
        cx.waits().on(self.name(), &self.inner.waits, TokenFuture::new(self.inner.clone(), want)).await
    }
}
