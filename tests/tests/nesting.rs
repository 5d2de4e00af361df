//! An error of any kind, shown by each wrapper that prints one: no name and no sentence is in it twice.
//!
//! Errors travel through many hands, and each adds what it knows. Where one prints its cause and adds a name that the cause
//! has already, a reader meets both.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{convert::Infallible, error::Error as StdError, future::ready};

use bearer_token::{AccessToken, Error, ErrorKind, FetchContext, HotSwap, Retry, TokenProvider, transport::Transport};
use bearer_token_config::ProviderConfig;
use bytes::Bytes;
use http::{Request, Response};
use reqwest_bearer::{BearerMiddleware, reqwest_middleware::ClientBuilder, token_error};
use tower::{Layer, ServiceExt, service_fn};
use tower_bearer::BearerLayer;

const KINDS: [ErrorKind; 12] = [
    ErrorKind::Config,
    ErrorKind::Origin,
    ErrorKind::Signing,
    ErrorKind::Refused,
    ErrorKind::Transport,
    ErrorKind::Timeout,
    ErrorKind::Unavailable,
    ErrorKind::Response,
    ErrorKind::Token,
    ErrorKind::Source,
    ErrorKind::Panicked,
    ErrorKind::Abandoned,
];

/// An error with a cause, as a source returns it.
fn failure(kind: ErrorKind) -> Error {
    Error::new(kind, "the vault in the cellar has no key").with_source("the door of the cellar is shut")
}

fn orders(kind: ErrorKind) -> TokenProvider {
    let source = move |_cx: FetchContext| ready(Err::<AccessToken, _>(failure(kind)));
    TokenProvider::builder(source).name("orders").allow_origin("https://api.example.com").build().unwrap()
}

/// What is in a text more than once: the names of providers, and any four words in a row.
fn repeated(text: &str) -> Vec<String> {
    let words: Vec<_> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let is_twice = |part: &[&str]| words.windows(part.len()).filter(|window| *window == part).count() > 1;
    let names = [["orders"], ["own"], ["error"]];
    let names = names.iter().filter(|name| is_twice(&name[..])).map(|name| name[0].to_owned());
    names.chain(words.windows(4).filter(|part| is_twice(part)).map(|part| part.join(" "))).collect()
}

/// Fails if a text repeats anything, or lacks the sentence of the failure.
#[track_caller]
fn check(shown_by: &str, kind: ErrorKind, text: &str) {
    assert!(text.contains("the vault in the cellar"), "{shown_by}, {kind:?}: the sentence is missing: {text}");
    assert_eq!(repeated(text), Vec::<String>::new(), "{shown_by}, {kind:?}: {text}");
}

/// The whole chain, as programs print it that know nothing of this crate.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let (mut sentences, mut next) = (Vec::new(), Some(error));
    while let Some(error) = next {
        sentences.push(error.to_string());
        next = error.source();
    }
    sentences.join("\n")
}

#[test]
fn a_repetition_is_noticed() {
    assert_eq!(repeated("orders: not ready; the last: orders: gone"), ["orders"]);
    assert_eq!(repeated("the door is shut: the door is shut"), ["the door is shut", "the door is shut"]);
    assert!(repeated("orders: the door is shut: the lock is new").is_empty());
}

#[tokio::test]
async fn a_provider_and_its_status_repeat_nothing() {
    for kind in KINDS {
        let provider = orders(kind);
        let error = provider.token().await.unwrap_err();
        check("the error", kind, &error.to_string());
        check("the error with its causes", kind, &format!("{error:#}"));
        check("a chain", kind, &chain(&error));
        check("the error with a context", kind, &format!("{:#}", error.with_context("tenant north gets no token")));
        check("the status", kind, &provider.status().to_string());
        check("the probe", kind, &provider.probe().to_string());
        // In the cool-down.
        check("the next error", kind, &format!("{:#}", provider.token().await.unwrap_err()));
    }
}

#[tokio::test]
async fn a_provider_as_a_source_repeats_nothing() {
    for kind in KINDS {
        let outer = TokenProvider::builder(orders(kind)).name("reports").build().unwrap();
        let error = outer.token().await.unwrap_err();
        check("a provider around another", kind, &format!("{error:#}"));
        check("its status", kind, &outer.status().to_string());
    }
}

#[tokio::test]
async fn a_refused_credential_beside_an_outage_repeats_no_name() {
    let own = |error: Error| {
        let source = move |_cx: FetchContext| ready(Err::<AccessToken, _>(error.clone()));
        TokenProvider::builder(source).name("own").allow_any_https_origin().build().unwrap()
    };
    let source = HotSwap::new(own(failure(ErrorKind::Transport)));
    let refusal = Error::new(ErrorKind::Refused, "this client is unknown here").with_retry(Retry::AfterChange);
    source.replace(own(refusal));
    let provider = TokenProvider::builder(source).name("orders").allow_any_https_origin().build().unwrap();
    let error = provider.token().await.unwrap_err();
    let text = format!("{error:#}");
    check("hot swap", error.kind(), &text);
    assert!(text.contains("this client is unknown here"), "{text}");
}

#[tokio::test]
async fn tower_and_reqwest_repeat_nothing() {
    for kind in KINDS {
        let service = BearerLayer::new(orders(kind))
            .layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(()))));
        let request = Request::get("https://api.example.com/").body(()).unwrap();
        let error = service.oneshot(request).await.unwrap_err();
        check("tower", kind, &error.to_string());
        check("tower, as a chain", kind, &chain(&*error));

        let client = ClientBuilder::new(reqwest::Client::new()).with(BearerMiddleware::new(orders(kind))).build();
        let error = client.get("https://api.example.com/").send().await.unwrap_err();
        // With `{:#}`, anyhow adds the causes, of which the first is in the sentence already: see its documentation.
        check("reqwest", kind, &error.to_string());
        check("the error behind reqwest's", kind, &format!("{:#}", token_error(&error).unwrap()));
    }
}

/// A transport that fails.
struct Failing(ErrorKind);

impl Transport for Failing {
    async fn send(&self, _: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        Err(failure(self.0))
    }
}

#[tokio::test]
async fn a_configuration_and_its_stages_repeat_nothing() {
    let alone = "name = 'orders'\n[token_endpoint]\nurl = 'https://as.example.com'\nclient = { id = 'a' }";
    let stages = "name = 'orders'\n[sources.own.token_endpoint]\nurl = 'https://first.example.com'\nclient = { id = 'a' }\n\
         [token_exchange]\nsubject_token = { source = 'own' }\nsubject_token_type = 'access_token'\n\
         [token_endpoint]\nurl = 'https://as.example.com'\nclient = { id = 'a' }";
    for kind in KINDS {
        for toml in [alone, stages] {
            let config = ProviderConfig::from_toml(toml).unwrap().transport(Failing(kind));
            let provider = config.build().unwrap();
            let error = provider.token().await.unwrap_err();
            check("a configured provider", kind, &format!("{error:#}"));
            check("its status", kind, &provider.status().to_string());
        }
    }
}
