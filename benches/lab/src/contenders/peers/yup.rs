//! yup-oauth2.

use http::Request;
use yup_oauth2::{
    ServiceAccountAuthenticator,
    authenticator::{Authenticator, DefaultAuthenticator},
};

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
pub(crate) struct Yup(DefaultAuthenticator);

pub(crate) async fn new(endpoint: &Endpoint) -> Yup {
    let key = serde_json::from_value(service_account(&endpoint.url())).expect("a valid key");
    let authenticator: Authenticator<_> =
        ServiceAccountAuthenticator::builder(key).build().await.expect("a valid authenticator");
    Yup(authenticator)
}

impl Attach for Yup {
    #[inline]
    async fn send(&mut self, request: Request<()>) -> Result<Reply, Failed> {
        let token = self.0.token(&SCOPES).await.map_err(Failed::new)?;
        let value = bearer(token.token().ok_or_else(|| Failed::new("no access token"))?)?;
        with_header(request, value).await.map_err(Failed::new)
    }
}
