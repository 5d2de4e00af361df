//! Clients that trust one CA, and may have a certificate.

use std::{error::Error as StdError, fmt::Write, sync::Arc};

use bearer_token::{Error, TokenProvider};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use reqwest_bearer::BearerMiddleware;
use reqwest_middleware::ClientBuilder;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_bearer::BearerLayer;

use crate::server::Identity;

/// The CA that a client trusts, and its own certificate.
pub(crate) struct Trust {
    pub(crate) ca: String,
    pub(crate) identity: Option<Identity>,
}

impl Trust {
    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        match &self.identity {
            None => config.with_no_client_auth(),
            Some(Identity { certificate, key }) => config
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
        }
    }
}

pub(crate) fn hyper_client(trust: &Trust) -> Client<HttpsConnector<HttpConnector>, Full<Bytes>> {
    let connector = HttpsConnectorBuilder::new().with_tls_config(trust.config()).https_only().enable_http1().build();
    Client::builder(TokioExecutor::new()).build(connector)
}

pub(crate) fn reqwest_client(trust: &Trust) -> reqwest::Client {
    let client = reqwest::Client::builder().tls_backend_preconfigured(trust.config()).no_proxy();
    client.redirect(reqwest::redirect::Policy::none()).retry(reqwest::retry::never()).build().unwrap()
}

type Outcome = Result<u16, (String, Option<Error>)>;

pub(crate) async fn call_with_tower(api: &str, trust: &Trust, provider: TokenProvider) -> Outcome {
    let mut client = ServiceBuilder::new().layer(BearerLayer::new(provider)).service(hyper_client(trust));
    let request = Request::get(format!("{api}/orders")).body(Full::default()).unwrap();
    match client.ready().await.unwrap().call(request).await {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => Err((chain(&*error), Error::find(&*error).cloned())),
    }
}

pub(crate) async fn call_with_reqwest(api: &str, trust: &Trust, provider: TokenProvider) -> Outcome {
    let client = ClientBuilder::new(reqwest_client(trust)).with(BearerMiddleware::new(provider)).build();
    match client.get(format!("{api}/orders")).send().await {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => Err((chain(&error), reqwest_bearer::token_error(&error).cloned())),
    }
}

/// An error with all of its sources.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        write!(text, "{error} {error:?}; ").unwrap();
        next = error.source();
    }
    text
}
