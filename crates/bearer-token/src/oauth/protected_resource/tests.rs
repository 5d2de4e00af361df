//! Whole fetches, against an API and an authorization server with pages.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header::WWW_AUTHENTICATE};

use super::*;
use crate::{
    Rejection, TokenProvider, TokenProviderBuilder,
    oauth::{ClientAuth, ClientCredentials, RefreshToken, StepUp},
    source::Challenge,
    store::MemoryStore,
    test_support::{ManualClock, first_fetch},
    transport::Transport,
};

#[cfg(feature = "shared")]
mod sharing;

const RESOURCE: &str = "https://api.example.com/mcp";
const WELL_KNOWN: &str = "https://api.example.com/.well-known/oauth-protected-resource/mcp";
const CUSTOM: &str = "https://api.example.com/custom.json";
const ISSUER: &str = "https://as.example.com";
const ISSUER_METADATA: &str = "https://as.example.com/.well-known/oauth-authorization-server";
const TOKEN_URL: &str = "https://as.example.com/token";
const HOUR: Duration = Duration::from_secs(3_600);

/// A status, a `WWW-Authenticate` and a body. A status of 0 is a connection that fails, and 1 one that never responds.
type Page = (u16, String, String);

/// An API and an authorization server.
#[derive(Clone, Default)]
struct Site {
    clock: ManualClock,
    pages: Arc<Mutex<HashMap<String, Page>>>,
    requests: Arc<Mutex<Vec<Request<Bytes>>>>,
}

impl Site {
    fn new() -> Self {
        let site = Site::default();
        site.page(RESOURCE, 401, "Bearer", "");
        site.metadata(WELL_KNOWN, "");
        let metadata = format!(r#"{{"issuer":"{ISSUER}","token_endpoint":"{TOKEN_URL}"}}"#);
        site.page(ISSUER_METADATA, 200, "", &metadata);
        site.page(TOKEN_URL, 200, "", r#"{"access_token":"t","token_type":"Bearer","expires_in":600}"#);
        site
    }

    fn page(&self, url: &str, status: u16, challenge: &str, body: &str) {
        self.pages.lock().unwrap().insert(url.to_owned(), (status, challenge.to_owned(), body.to_owned()));
    }

    fn metadata(&self, url: &str, members: &str) {
        let body = format!(r#"{{"resource":"{RESOURCE}","authorization_servers":["{ISSUER}"]{members}}}"#);
        self.page(url, 200, "", &body);
    }

    fn registration(&self) -> TokenEndpointBuilder {
        TokenEndpoint::discover(ISSUER, ClientCredentials::new()).client_auth(ClientAuth::post("id", "planted-secret"))
    }

    fn builder(&self) -> ProtectedResourceBuilder {
        ProtectedResource::builder(RESOURCE).authorization_server(self.registration()).transport(self.clone())
    }

    fn provider(&self, source: ProtectedResource) -> TokenProviderBuilder {
        TokenProvider::builder(source).platform(self.clock.platform()).allow_origin("https://api.example.com")
    }

    async fn fetch(&self, source: &ProtectedResource) -> Result<AccessToken, Error> {
        source.fetch(first_fetch(self.clock.platform())).await
    }

    async fn fetch_after(&self, source: &ProtectedResource, challenge: &str) -> Result<AccessToken, Error> {
        let challenges = Challenge::read(&response(challenge));
        self.clock.advance(Duration::from_millis(1));
        source.fetch(first_fetch(self.clock.platform()).with_challenges(challenges)).await
    }

    /// The method and the URL of each request, or the body of each token request.
    fn take(&self) -> Vec<String> {
        let requests: Vec<_> = self.requests.lock().unwrap().drain(..).collect();
        let shown = |request: Request<Bytes>| match request.uri() == TOKEN_URL {
            true => String::from_utf8(request.body().to_vec()).unwrap(),
            false => {
                let head = format!("{request:?}");
                assert!(request.body().is_empty() && !head.contains("planted"));
                assert!(!request.headers().contains_key("authorization"));
                format!("{} {}", request.method(), request.uri())
            }
        };
        requests.into_iter().map(shown).collect()
    }

    /// The scopes of the token requests since the last call.
    fn take_scopes(&self) -> Vec<String> {
        let bodies = self.take().into_iter().filter(|shown| shown.starts_with("grant_type="));
        let scope = |body: String| {
            form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "scope").unwrap().1.into_owned()
        };
        bodies.map(scope).collect()
    }
}

impl Transport for Site {
    fn identity(&self, _: &mut Identity) {}

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        let page = self.pages.lock().unwrap().get(&request.uri().to_string()).cloned();
        self.requests.lock().unwrap().push(request);
        tokio::task::yield_now().await;
        let (status, challenge, body) = page.unwrap_or((404, String::new(), "<p>planted</p>".to_owned()));
        match status {
            0 => Err(Error::new(ErrorKind::Transport, "scripted")),
            1 => std::future::pending().await,
            _ => {
                let mut response = Response::builder().status(status).body(Bytes::from(body)).unwrap();
                if !challenge.is_empty() {
                    response.headers_mut().insert(WWW_AUTHENTICATE, challenge.parse().unwrap());
                }
                Ok(response)
            }
        }
    }
}

fn response(challenge: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(WWW_AUTHENTICATE, challenge.parse().unwrap());
    headers
}

const TOKEN_REQUEST: &str = "grant_type=client_credentials&resource=https%3A%2F%2Fapi.example.com%2Fmcp&client_id=id&client_secret=planted-secret";

mod the_first_token {
    use super::*;

    // shows: 6750/5.3f 8707/2.2 8707/3 9700/2.3b 9700/4.10 9728/3.1a 9728/7.4
    #[tokio::test]
    async fn is_fetched_from_the_server_that_the_metadata_names() {
        let site = Site::new();
        let source = site.builder().build().unwrap();
        assert_eq!(site.fetch(&source).await.unwrap().secret(), "t");
        let get = |url: &str| format!("GET {url}");
        assert_eq!(site.take(), [get(RESOURCE), get(WELL_KNOWN), get(ISSUER_METADATA), TOKEN_REQUEST.to_owned()]);
        // What is known is not asked again.
        site.fetch(&source).await.unwrap();
        assert_eq!(site.take(), [TOKEN_REQUEST]);
        assert_eq!(source.name(), "https://api.example.com");
    }

    #[tokio::test]
    async fn begins_where_the_challenge_says_and_with_its_scope() {
        let site = Site::new();
        let challenge = format!(r#"Basic realm="x", Bearer resource_metadata="{CUSTOM}", scope="read write""#);
        site.page(RESOURCE, 401, &challenge, "");
        site.page(WELL_KNOWN, 500, "", "");
        site.metadata(CUSTOM, r#","scopes_supported":["all"]"#);
        let source = site.builder().request_supported_scopes().probe(Method::POST).build().unwrap();
        site.fetch(&source).await.unwrap();
        let requests = site.take();
        assert_eq!(requests[..2], [format!("POST {RESOURCE}"), format!("GET {CUSTOM}")]);
        assert!(requests[3].contains("&scope=read+write&"), "{}", requests[3]);
    }

    // shows: 9728/7.2
    #[tokio::test]
    async fn asks_for_the_supported_scopes_only_if_that_is_wanted() {
        for (wanted, own, scope) in
            [(false, "", None), (true, "", Some("a b")), (true, "own", Some("own")), (false, "own", Some("own"))]
        {
            let site = Site::new();
            site.metadata(WELL_KNOWN, r#","scopes_supported":["a","b"]"#);
            let builder = ProtectedResource::builder(RESOURCE).transport(site.clone()).no_probe();
            let builder = builder.authorization_server(site.registration().scope(own));
            let builder = if wanted { builder.request_supported_scopes() } else { builder };
            site.fetch(&builder.build().unwrap()).await.unwrap();
            let body = site.take().pop().unwrap();
            let found = form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "scope");
            assert_eq!(found.map(|(_, scope)| scope.into_owned()).as_deref(), scope, "{wanted} {own}");
        }
    }

    #[tokio::test]
    async fn needs_no_probe_and_no_resource_parameter() {
        let site = Site::new();
        let source = site.builder().no_probe().send_resource(false).build().unwrap();
        site.fetch(&source).await.unwrap();
        let requests = site.take();
        assert_eq!(requests[0], format!("GET {WELL_KNOWN}"));
        assert!(!requests[2].contains("resource"));
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_wait_for_an_api_that_never_responds() {
        let site = Site::new();
        site.page(RESOURCE, 1, "", "");
        let source = site.builder().build().unwrap();
        let platform = crate::platform::Platform::system().with_clock(crate::test_support::PausedClock::new());
        let started = platform.now();
        source.fetch(first_fetch(platform.clone())).await.unwrap();
        assert!(started.after(Duration::from_secs(6)).remaining(platform.now()) > Duration::ZERO);
    }

    #[tokio::test]
    async fn comes_from_a_fixed_place_whatever_a_challenge_says() {
        let site = Site::new();
        let elsewhere = "https://docs.example.net/metadata.json";
        site.page(RESOURCE, 401, &format!(r#"Bearer resource_metadata="{CUSTOM}""#), "");
        site.metadata(elsewhere, "");
        let source = site.builder().metadata_url(elsewhere).build().unwrap();
        site.fetch(&source).await.unwrap();
        assert_eq!(site.take()[0], format!("GET {elsewhere}"));
        site.fetch_after(&source, &format!(r#"Bearer resource_metadata="{CUSTOM}""#)).await.unwrap();
        assert_eq!(site.take(), [TOKEN_REQUEST]);
    }
}

mod an_untrusted_api {
    use super::*;

    /// Fails without a token request, and the error repeats nothing that the API sent.
    async fn refused(site: &Site, source: &ProtectedResource) -> Error {
        let error = site.fetch(source).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains("planted") && !text.contains("evil"), "{text}");
        let requests = site.take();
        assert!(requests.iter().all(|request| request.starts_with("GET https://api.example.com/")), "{requests:?}");
        error
    }

    // shows: 9700/4.4.2 9728/7.6
    #[tokio::test]
    async fn l70_cannot_name_an_authorization_server_of_its_own() {
        for servers in [
            r#"["https://evil.example.net"]"#,
            r#"["https://as.example.com.evil.example.net"]"#,
            r#"["https://as.example.com:8443"]"#,
            r#"["https://as.example.com/evil"]"#,
            r#"["HTTPS://as.example.com"]"#,
            r#"["http://as.example.com"]"#,
            r#"["evil", "", "https://evil.example.net"]"#,
        ] {
            let site = Site::new();
            let body = format!(r#"{{"resource":"{RESOURCE}","authorization_servers":{servers}}}"#);
            site.page(WELL_KNOWN, 200, "", &body);
            let error = refused(&site, &site.builder().build().unwrap()).await;
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Response, Retry::AfterChange), "{servers}");
            assert!(error.to_string().contains("none is among the 1 that are trusted"), "{error}");
            assert!(error.server_description().is_some());
        }
        let site = Site::new();
        let body = format!(r#"{{"resource":"{RESOURCE}","authorization_servers":["{ISSUER}/"]}}"#);
        site.page(WELL_KNOWN, 200, "", &body);
        let error = refused(&site, &site.builder().build().unwrap()).await;
        assert!(error.to_string().contains("differs by a slash"), "{error}");
    }

    // shows: 9700/4.9.1 9728/3.3b 9728/7.3b
    #[tokio::test]
    async fn l70_cannot_speak_for_another_resource() {
        let site = Site::new();
        let body = format!(r#"{{"resource":"https://evil.example.com/mcp","authorization_servers":["{ISSUER}"]}}"#);
        site.page(WELL_KNOWN, 200, "", &body);
        let error = refused(&site, &site.builder().build().unwrap()).await;
        assert!(error.to_string().contains("https://api.example.com/mcp names another resource"), "{error}");
    }

    // shows: 9728/7.7
    #[tokio::test]
    async fn l70_cannot_lead_to_metadata_elsewhere() {
        for location in ["https://evil.example.net/m", "http://api.example.com/evil", "https://127.0.0.1/evil", "evil"]
        {
            let site = Site::new();
            site.page(RESOURCE, 401, &format!(r#"Bearer resource_metadata="{location}""#), "");
            let error = refused(&site, &site.builder().build().unwrap()).await;
            assert!(error.to_string().contains("a challenge whose `resource_metadata`"), "{error}");
        }
    }

    // shows: 9728/3.2a
    #[tokio::test]
    async fn l70_is_not_followed_by_a_redirect_nor_beyond_a_limit() {
        let large = format!(r#"{{"resource":"{RESOURCE}","x":"{}"}}"#, "planted".repeat(20_000));
        for (status, body, part) in [
            (302, "planted", "a redirect"),
            (404, "planted", "responded with 404 in place of its metadata (RFC 9728 section 3)"),
            (200, &large, "bytes, which is more than 131072"),
            (200, "<html>planted", "expected a JSON object"),
        ] {
            let site = Site::new();
            site.page(WELL_KNOWN, status, "", body);
            let error = refused(&site, &site.builder().build().unwrap()).await;
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[tokio::test]
    async fn is_asked_again_when_it_was_down() {
        let site = Site::new();
        let source = site.builder().build().unwrap();
        site.page(RESOURCE, 0, "", "");
        assert_eq!(refused(&site, &source).await.kind(), ErrorKind::Transport);
        site.page(RESOURCE, 401, "Bearer", "");
        site.page(WELL_KNOWN, 503, "", "planted");
        let error = refused(&site, &source).await;
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true));
        site.metadata(WELL_KNOWN, "");
        site.fetch(&source).await.unwrap();
    }
}

mod metadata_that_is_known {
    use super::*;

    // shows: 9728/7.10
    #[tokio::test]
    async fn is_read_again_after_an_hour_and_outlives_an_outage() {
        let site = Site::new();
        let source = site.builder().build().unwrap();
        site.fetch(&source).await.unwrap();
        site.take();
        site.clock.advance(HOUR);
        site.page(WELL_KNOWN, 503, "", "");
        site.fetch(&source).await.unwrap();
        assert_eq!(site.take()[0], format!("GET {WELL_KNOWN}"));
        site.page(WELL_KNOWN, 200, "", "<html>");
        site.fetch(&source).await.unwrap();
        site.clock.advance(24 * HOUR);
        assert!(site.fetch(&source).await.is_err());
    }

    // shows: 9728/3.3b 9728/5.2
    #[tokio::test]
    async fn gives_way_to_what_a_challenge_names() {
        let site = Site::new();
        let source = site.builder().build().unwrap();
        site.fetch(&source).await.unwrap();
        site.take();
        site.metadata(CUSTOM, "");
        let challenge = format!(r#"Bearer error="invalid_token", resource_metadata="{CUSTOM}""#);
        site.fetch_after(&source, &challenge).await.unwrap();
        assert_eq!(site.take(), [format!("GET {CUSTOM}"), TOKEN_REQUEST.to_owned()]);
        // It is no longer vouched for: what is known is not used in its place.
        site.page(CUSTOM, 404, "", "");
        assert!(site.fetch_after(&source, &challenge).await.is_err());
        site.page(CUSTOM, 503, "", "");
        site.fetch_after(&source, &challenge).await.unwrap();
    }
}

mod a_function_that_finds_servers {
    use super::*;

    // shows: 9728/7.6
    #[tokio::test]
    async fn l70_decides_about_each_issuer() {
        let site = Site::new();
        let body =
            format!(r#"{{"resource":"{RESOURCE}","authorization_servers":["https://evil.example.net","{ISSUER}"]}}"#);
        site.page(WELL_KNOWN, 200, "", &body);
        let (asked, other) = (Arc::new(Mutex::new(Vec::new())), site.clone());
        let seen = asked.clone();
        let builder =
            ProtectedResource::builder(RESOURCE).transport(site.clone()).authorization_servers(move |issuer| {
                seen.lock().unwrap().push(issuer.to_owned());
                (issuer == ISSUER).then(|| other.registration())
            });
        let source = builder.build().unwrap();
        site.fetch(&source).await.unwrap();
        site.fetch(&source).await.unwrap();
        assert_eq!(*asked.lock().unwrap(), ["https://evil.example.net", ISSUER]);
    }

    #[tokio::test]
    async fn l70_cannot_answer_with_another_issuer() {
        let site = Site::new();
        let body = format!(r#"{{"resource":"{RESOURCE}","authorization_servers":["https://evil.example.net"]}}"#);
        site.page(WELL_KNOWN, 200, "", &body);
        let other = site.clone();
        let builder = ProtectedResource::builder(RESOURCE).transport(site.clone());
        let source = builder.authorization_servers(move |_| Some(other.registration())).build().unwrap();
        let error = site.fetch(&source).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("a registration for another issuer"), "{error}");
    }
}

mod a_wider_scope {
    use super::*;

    const MORE: &str = r#"Bearer error="insufficient_scope", scope="write""#;

    fn scoped(site: &Site, step_up: StepUp) -> ProtectedResource {
        let builder = ProtectedResource::builder(RESOURCE).transport(site.clone()).no_probe().step_up(step_up);
        builder.authorization_server(site.registration().scope("read")).build().unwrap()
    }

    fn granting(site: &Site, token: &str) {
        site.page(
            TOKEN_URL,
            200,
            "",
            &format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":600}}"#),
        );
    }

    /// What the API's refusal comes to, and the token that is in service then.
    async fn refuse(provider: &TokenProvider, challenge: &str) -> (bool, Rejection, String) {
        let ticket = provider.token().await.unwrap().ticket();
        let headers = response(challenge);
        let is_rejection = provider.is_rejection(http::StatusCode::FORBIDDEN, &headers);
        let rejection = ticket.reject(&headers);
        (is_rejection, rejection, provider.token().await.unwrap().secret().to_owned())
    }

    #[tokio::test]
    async fn l71_is_the_union_and_replaces_the_old_token() {
        let site = Site::new();
        let provider = site.provider(scoped(&site, StepUp::at_most(3))).build().unwrap();
        provider.token().await.unwrap();
        assert_eq!(site.take_scopes(), ["read"]);
        granting(&site, "wide");
        assert_eq!(refuse(&provider, MORE).await, (true, Rejection::Renewing, "wide".to_owned()));
        assert_eq!(site.take_scopes(), ["read write"]);
        // Later tokens have it too.
        site.clock.advance(HOUR);
        granting(&site, "later");
        provider.token().await.unwrap();
        assert_eq!(site.take_scopes(), ["read write"]);
    }

    #[tokio::test]
    async fn l71_includes_what_the_server_granted_by_itself() {
        let site = Site::new();
        let builder = ProtectedResource::builder(RESOURCE).transport(site.clone()).no_probe();
        let builder = builder.step_up(StepUp::at_most(3)).authorization_server(site.registration());
        let provider = site.provider(builder.build().unwrap()).build().unwrap();
        site.page(
            TOKEN_URL,
            200,
            "",
            r#"{"access_token":"t","token_type":"Bearer","scope":"default","expires_in":600}"#,
        );
        provider.token().await.unwrap();
        site.take();
        granting(&site, "wide");
        assert_eq!(refuse(&provider, MORE).await.1, Rejection::Renewing);
        assert_eq!(site.take_scopes(), ["default write"]);
    }

    // shows: 9110/15.5.4
    #[tokio::test]
    async fn l71_is_not_asked_for_twice() {
        let site = Site::new();
        let provider = site.provider(scoped(&site, StepUp::at_most(9))).build().unwrap();
        provider.token().await.unwrap();
        granting(&site, "wide");
        refuse(&provider, MORE).await;
        site.take();
        for _ in 0..5 {
            site.clock.advance(Duration::from_secs(60));
            for challenge in [MORE, r#"Bearer error="insufficient_scope", scope="read write""#] {
                assert_eq!(refuse(&provider, challenge).await, (false, Rejection::Declined, "wide".to_owned()));
            }
        }
        assert!(site.take().is_empty());
    }

    #[tokio::test]
    async fn l71_ends_at_the_limit_however_many_words_the_api_invents() {
        let site = Site::new();
        let provider = site.provider(scoped(&site, StepUp::at_most(2))).build().unwrap();
        for number in 0..50 {
            granting(&site, &format!("t{number}"));
            refuse(&provider, &format!(r#"Bearer error="insufficient_scope", scope="w{number}""#)).await;
            site.clock.advance(Duration::from_secs(20));
        }
        let scopes = site.take_scopes();
        assert!(scopes.iter().all(|scope| scope.split(' ').count() <= 3), "{scopes:?}");
        assert_eq!(scopes.iter().filter(|scope| scope.contains("w1")).count(), scopes.len() - 2, "{scopes:?}");
    }

    #[tokio::test]
    async fn l71_that_is_refused_leaves_the_old_scope_in_service() {
        let site = Site::new();
        let provider = site.provider(scoped(&site, StepUp::at_most(9))).build().unwrap();
        provider.token().await.unwrap();
        site.take();
        site.page(TOKEN_URL, 400, "", r#"{"error":"invalid_scope"}"#);
        let ticket = provider.token().await.unwrap().ticket();
        assert_eq!(ticket.reject(&response(MORE)), Rejection::Renewing);
        // The server refuses both: then the old token is back.
        assert_eq!(provider.token().await.unwrap().secret(), "t");
        assert_eq!(site.take_scopes(), ["read write", "read"]);
        site.clock.advance(HOUR);
        granting(&site, "u");
        assert_eq!(refuse(&provider, MORE).await, (false, Rejection::Declined, "u".to_owned()));
        assert_eq!(site.take_scopes(), ["read"]);
        // After the client was given more rights.
        granting(&site, "v");
        provider.refresh_now().await.unwrap();
        granting(&site, "wide");
        assert_eq!(refuse(&provider, MORE).await, (true, Rejection::Renewing, "wide".to_owned()));
        assert_eq!(site.take_scopes(), ["read", "read write"]);
    }

    #[tokio::test]
    async fn l71_of_an_outage_is_asked_for_again() {
        let site = Site::new();
        let provider = site.provider(scoped(&site, StepUp::at_most(1))).build().unwrap();
        provider.token().await.unwrap();
        site.page(TOKEN_URL, 503, "", "");
        assert_eq!(refuse(&provider, MORE).await, (true, Rejection::Renewing, "t".to_owned()));
        site.clock.advance(Duration::from_secs(120));
        granting(&site, "wide");
        assert_eq!(refuse(&provider, MORE).await, (true, Rejection::Renewing, "wide".to_owned()));
    }

    // shows: 6750/3b
    #[tokio::test]
    async fn l71_is_for_challenges_that_name_words_it_may_have() {
        for challenge in [
            r#"Bearer error="insufficient_scope""#,
            r#"Bearer error="insufficient_scope", scope="""#,
            r#"Bearer error="insufficient_scope", scope="read""#,
            r#"Bearer error="insufficient_scope", scope="admin""#,
            r#"Bearer error="insufficient_scope", scope="write admin""#,
            r#"Bearer error="insufficient_scope", scope="wri\"te""#,
            r#"DPoP error="insufficient_scope", scope="write""#,
            r#"Bearer error="invalid_request", scope="write""#,
            "Basic",
        ] {
            let site = Site::new();
            let source = scoped(&site, StepUp::at_most(9).within("write delete"));
            let provider = site.provider(source).build().unwrap();
            // Where the user rejects the bearer all the same, the next one has the usual scope.
            assert!(!refuse(&provider, challenge).await.0, "{challenge}");
            assert!(site.take_scopes().iter().all(|scope| scope == "read"), "{challenge}");
        }
    }

    #[tokio::test]
    async fn l71_needs_to_be_turned_on() {
        let site = Site::new();
        let source = site.builder().build().unwrap();
        assert!(TokenSource::challenge_test(&source).is_none());
        let provider = site.provider(source).build().unwrap();
        assert!(provider.refusals().are_usual() && !refuse(&provider, MORE).await.0);
    }

    #[tokio::test]
    async fn l71_works_for_a_token_endpoint_alone() {
        let site = Site::new();
        let endpoint = site.registration().scope("read").step_up(StepUp::at_most(1)).transport(site.clone());
        let provider =
            TokenProvider::builder(endpoint.build().unwrap()).platform(site.clock.platform()).build().unwrap();
        provider.token().await.unwrap();
        granting(&site, "wide");
        assert_eq!(refuse(&provider, MORE).await, (true, Rejection::Renewing, "wide".to_owned()));
        assert_eq!(site.take_scopes(), ["read", "read write"]);
    }
}

mod a_builder {
    use super::*;

    fn problems(builder: ProtectedResourceBuilder) -> Vec<String> {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!format!("{error:?} {error}").contains("planted"), "{error}");
        error.problems().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn reports_everything_at_once() {
        let site = Site::new();
        let builder = ProtectedResource::builder("http://api.example.com/planted")
            .metadata_url("planted")
            .probe(Method::DELETE)
            .step_up(StepUp::at_most(0).within("a\n"))
            .authorization_server(TokenEndpoint::builder("https://as.example.com/planted", ClientCredentials::new()))
            .authorization_server(site.registration().step_up(StepUp::at_most(1)).scope("a\n"))
            .authorization_server(TokenEndpoint::discover(ISSUER, RefreshToken::new(MemoryStore::new("planted"))))
            .transport(site);
        assert_eq!(
            problems(builder).iter().map(|problem| problem.split(": ").next().unwrap().to_owned()).collect::<Vec<_>>(),
            [
                "resource",
                "metadata_url",
                "probe",
                "step_up",
                "step_up.within",
                "step_up",
                "authorization_server[0]",
                "authorization_server[1].step_up",
                "authorization_server[1].scope",
            ]
        );
    }

    #[test]
    fn l70_needs_a_server_that_is_trusted() {
        let found = problems(ProtectedResource::builder(RESOURCE).transport(Site::new()));
        assert_eq!(
            found,
            ["authorization_server: found no authorization server that is trusted; expected at least one, with a \
              registration: call `.authorization_server(..)`"]
        );
    }

    // shows: 6749/6b
    #[test]
    fn l71_knows_that_the_scope_of_a_refresh_token_never_grows() {
        let grant = RefreshToken::new(MemoryStore::new("planted"));
        let error = TokenEndpoint::discover(ISSUER, grant).step_up(StepUp::at_most(1)).build().unwrap_err();
        assert!(error.to_string().contains("never grows (RFC 6749 section 6)"), "{error}");
    }

    #[test]
    fn shows_no_secret() {
        let site = Site::new();
        let builder = site.builder();
        let shown = format!("{builder:?} {:?}", site.builder().build().unwrap());
        assert!(shown.contains(ISSUER) && shown.contains(RESOURCE) && !shown.contains("planted"), "{shown}");
    }
}
