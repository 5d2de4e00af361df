//! gcp_auth.

use std::sync::Arc;

use gcp_auth::{CustomServiceAccount, TokenProvider};
use http::Request;

use crate::{
    contenders::{
        peers::{bearer, service_account},
        with_header,
    },
    drive::{Attach, Failed},
    endpoint::Endpoint,
    warm::Reply,
};

const SCOPES: [&str; 1] = ["https://www.example.com/auth/things"];

#[derive(Clone)]
pub(crate) struct Gcp(Arc<dyn TokenProvider>);

pub(crate) fn new(endpoint: &Endpoint) -> Gcp {
    let account = CustomServiceAccount::from_json(&service_account(&endpoint.url()).to_string());
    Gcp(Arc::new(account.expect("a valid account")))
}

impl Attach for Gcp {
    #[inline]
    async fn send(&mut self, request: Request<()>) -> Result<Reply, Failed> {
        let token = self.0.token(&SCOPES).await.map_err(Failed::new)?;
        let value = bearer(token.as_str())?;
        with_header(request, value).await.map_err(Failed::new)
    }
}
