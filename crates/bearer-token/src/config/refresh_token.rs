//! The section `refresh_token`.

use std::sync::Arc;

use super::{
    build::Reader,
    fields::{Fields, RefreshFields},
};
use crate::{
    oauth::{RefreshToken, TokenEndpoint},
    provider::{TokenProvider, TokenProviderBuilder},
    store::{FileStore, MemoryStore},
    transport::DynTransport,
};

impl Reader<'_> {
    /// A builder on the refresh token grant, if nothing is wrong with it.
    pub(super) fn refreshing(
        &mut self,
        refresh: &RefreshFields,
        fields: &Fields,
        transport: Option<Arc<dyn DynTransport>>,
    ) -> Option<TokenProviderBuilder> {
        if fields.token.is_some() || fields.jwt.is_some() {
            let message = "found beside `token` or `jwt`; expected only one way to get tokens";
            self.problems.push("refresh_token", message);
        }
        let grant = self.refresh_token(refresh);
        let Some(endpoint) = &fields.token_endpoint else {
            self.problems.push("token_endpoint", "found nothing; expected where the refresh token is exchanged");
            return None;
        };
        // With a stand-in, so that the endpoint is looked at as well.
        let stand_in = || RefreshToken::new(MemoryStore::default());
        let url = endpoint.url.as_deref().unwrap_or_default();
        let source = TokenEndpoint::builder(url, grant.clone().unwrap_or_else(stand_in));
        let source = self.endpoint(source, endpoint, transport)?;
        grant.map(|_| TokenProvider::builder(source))
    }

    fn refresh_token(&mut self, fields: &RefreshFields) -> Option<RefreshToken> {
        let initial = fields.initial.as_ref().map(|initial| self.secret("refresh_token.initial", initial));
        let mut grant = match &fields.file {
            Some(file) => RefreshToken::new(FileStore::new(self.directory.join(file))),
            None if fields.reusable && initial.is_some() => RefreshToken::new(MemoryStore::default()),
            None => {
                let message = "found nothing; expected a file for the new refresh token that each answer brings; or set \
                               `initial`, and `reusable = true` if the server takes the same one again and again";
                self.problems.push("refresh_token.file", message);
                return None;
            }
        };
        if let Some(initial) = initial {
            grant = grant.initial(initial?.as_str());
        }
        if fields.reusable {
            grant = grant.reusable();
        }
        if fields.retry_previous {
            grant = grant.retry_previous();
        }
        Some(grant)
    }
}
