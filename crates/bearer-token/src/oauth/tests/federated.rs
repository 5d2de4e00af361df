//! Client assertions from another issuer.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::{FileToken, StaticToken, TokenProvider, source::TokenSource};

const CLIENT_ASSERTION_TYPE: &str = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";

fn endpoint(script: &Script, assertions: impl TokenSource) -> TokenEndpoint {
    let builder = TokenEndpoint::builder(URL, ClientCredentials::new());
    let builder = builder.client_auth(ClientAuth::assertion_from("client id", assertions));
    builder.transport(script.clone()).build().unwrap()
}

fn body(assertion: &str) -> String {
    format!(
        "grant_type=client_credentials&client_id=client+id&client_assertion_type={CLIENT_ASSERTION_TYPE}\
         &client_assertion={assertion}"
    )
}

#[tokio::test]
async fn l20_every_attempt_gets_a_new_assertion() {
    let count = Arc::new(AtomicU64::new(1));
    let source = move |cx: FetchContext| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        async move {
            assert_eq!(cx.reason(), FetchReason::Missing);
            Ok(AccessToken::new(format!("assertion-{number}")))
        }
    };
    let script = Script::new([broken(ErrorKind::Transport), reply(200, TOKEN), reply(200, TOKEN)]);
    let source = endpoint(&script, source);
    source.fetch(script.context()).await.unwrap();
    source.fetch(script.context()).await.unwrap();
    assert_eq!(script.bodies(), [1, 2, 3].map(|number| body(&format!("assertion-{number}"))));
}

#[tokio::test]
async fn l24_a_changed_assertion_file_is_noticed_and_sent() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "first\n").unwrap();
    let refused = || reply(401, r#"{"error":"invalid_client"}"#);
    let script = Script::new([reply(200, TOKEN), refused(), reply(200, TOKEN)]);
    let source = endpoint(&script, FileToken::new(&path));
    source.fetch(script.context()).await.unwrap();
    let error = source.fetch(script.context()).await.unwrap_err();
    assert_eq!((error.oauth_code(), error.retry()), (Some("invalid_client"), Retry::AfterChange));
    assert!(!source.has_changed());
    std::fs::write(&path, "second\n").unwrap();
    assert!(source.has_changed());
    source.fetch(script.context()).await.unwrap();
    assert!(!source.has_changed());
    assert_eq!(script.bodies(), ["first", "first", "second"].map(body));
}

#[tokio::test]
async fn another_providers_token_is_an_assertion() {
    let script = Script::new([reply(200, TOKEN)]);
    let other = TokenProvider::builder(StaticToken::new("of-another")).build().unwrap();
    endpoint(&script, other).fetch(script.context()).await.unwrap();
    assert_eq!(script.bodies(), [body("of-another")]);
}

#[tokio::test]
async fn without_an_assertion_the_sources_error_is_returned() {
    struct Failing(AtomicBool);
    impl TokenSource for Failing {
        async fn fetch(&self, _cx: FetchContext) -> Result<AccessToken, Error> {
            // Once: a source that cannot be reached is no broken connection to the token endpoint.
            assert!(!self.0.swap(true, Ordering::Relaxed));
            Err(Error::new(ErrorKind::Transport, "the metadata service is away"))
        }
    }
    let script = Script::default();
    let error = endpoint(&script, Failing(AtomicBool::new(false))).fetch(script.context()).await.unwrap_err();
    assert_eq!(error.to_string(), "the metadata service is away");
    // {"exp":1}
    let error = endpoint(&script, StaticToken::new("e30.eyJleHAiOjF9.c2ln")).fetch(script.context()).await.unwrap_err();
    assert!(error.to_string().contains("a client assertion that has expired"), "{error}");
    assert!(script.bodies().is_empty());
}

#[test]
fn a_federated_credential_is_checked_and_never_shown() {
    let build = |auth: ClientAuth| {
        TokenEndpoint::builder(URL, ClientCredentials::new()).client_auth(auth).transport(Script::default()).build()
    };
    let auth = |id: &str| ClientAuth::assertion_from(id, StaticToken::new("planted"));
    assert_eq!(build(auth("")).unwrap_err().problems()[0].path(), "client_auth.client_id");
    #[cfg(feature = "jwt")]
    assert_eq!(build(auth("id").audience("a")).unwrap_err().problems()[0].path(), "client_auth.audience");
    let shown = format!("{:?} {:?}", auth("client-id"), build(auth("client-id")).unwrap());
    assert!(shown.contains("assertion_from") && shown.contains("client-id") && !shown.contains("planted"), "{shown}");
}

mod of_a_value {
    use super::*;
    use crate::{Value, oauth::ClientSecret};

    const SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";

    fn builder(auth: ClientAuth) -> TokenEndpointBuilder {
        TokenEndpoint::builder(URL, ClientCredentials::new()).client_auth(auth)
    }

    #[tokio::test]
    async fn a_file_is_read_for_each_request() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("jwt-svid");
        std::fs::write(&path, "first\n").unwrap();
        let script = Script::new([reply(200, TOKEN), reply(200, TOKEN), reply(200, TOKEN)]);
        let auth = ClientAuth::assertion_value("client id", Value::file(&path)).assertion_type(SPIFFE);
        let source = builder(auth).transport(script.clone()).build().unwrap();
        source.fetch(script.context()).await.unwrap();
        source.fetch(script.context()).await.unwrap();
        std::fs::write(&path, "second\n").unwrap();
        assert!(source.has_changed());
        source.fetch(script.context()).await.unwrap();
        let expected =
            ["first", "first", "second"].map(|assertion| body(assertion).replace("jwt-bearer", "jwt-spiffe"));
        assert_eq!(script.bodies(), expected);
    }

    #[tokio::test]
    async fn another_providers_token_or_error_is_passed_on() {
        let provider = TokenProvider::builder(StaticToken::new("two words")).build().unwrap();
        let script = Script::new([]);
        let auth = ClientAuth::assertion_value("id", provider);
        let source = builder(auth).transport(script.clone()).build().unwrap();
        let error = source.fetch(script.context()).await.unwrap_err();
        assert!(error.to_string().contains("the client assertion is missing"), "{error}");
    }

    #[tokio::test]
    async fn l20_an_expired_assertion_in_a_file_is_not_sent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        // {"exp":1}
        std::fs::write(&path, "e30.eyJleHAiOjF9.c2ln").unwrap();
        let script = Script::new([]);
        let auth = ClientAuth::assertion_value("id", Value::file(&path));
        let error = builder(auth).transport(script.clone()).build().unwrap().fetch(script.context()).await.unwrap_err();
        assert!(error.to_string().contains("found a client assertion that has expired"), "{error}");
    }

    #[test]
    fn literals_and_misplaced_types_are_problems() {
        let secret = || ClientSecret::from("secret-7");
        for (auth, path, words) in [
            (ClientAuth::assertion_value("id", "planted"), "client_auth.assertion", "found a literal"),
            (ClientAuth::assertion_value("id", Value::file("/none")), "client_auth.assertion", "cannot be read"),
            (ClientAuth::basic("id", secret()).assertion_type(SPIFFE), "client_auth.assertion_type", "no assertion"),
            (ClientAuth::none().assertion_type(SPIFFE), "client_auth.assertion_type", "no assertion"),
            (
                ClientAuth::assertion_from("id", StaticToken::new("x")).assertion_type(""),
                "client_auth.assertion_type",
                "an empty string",
            ),
            (
                ClientAuth::assertion_from("id", StaticToken::new("x")).assertion_type("a\n"),
                "client_auth.assertion_type",
                "a newline",
            ),
        ] {
            let error = builder(auth).transport(Script::new([])).build().unwrap_err();
            assert_eq!(error.problems().iter().map(crate::Problem::path).collect::<Vec<_>>(), [path]);
            assert!(error.to_string().contains(words) && !error.to_string().contains("planted"), "{error}");
        }
    }
}
