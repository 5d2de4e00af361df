//! Tests of requests that have an `Authorization` already.

use http::{
    HeaderMap, HeaderValue, Request,
    header::{ACCEPT, AUTHORIZATION},
};

use super::{Authorized, TokenProvider};
use crate::{Sending, source::StaticToken};

async fn provider(warm: bool) -> TokenProvider {
    let builder = TokenProvider::builder(StaticToken::new("token")).allow_origin("https://api.example.com");
    let provider = builder.build().unwrap();
    if warm {
        provider.token().await.unwrap();
    }
    provider
}

fn request(uri: &str, values: &[(http::HeaderName, &'static str)]) -> Request<()> {
    let mut request = Request::get(uri).body(()).unwrap();
    for (name, value) in values {
        request.headers_mut().append(name, HeaderValue::from_static(value));
    }
    request
}

#[tokio::test]
async fn the_callers_own_authorization_always_goes_out_untouched() {
    let own: [&[_]; 3] = [
        &[(AUTHORIZATION, "Basic eDp5")],
        &[(AUTHORIZATION, "Basic eDp5"), (ACCEPT, "a"), (AUTHORIZATION, "Basic eDp6")],
        &[(ACCEPT, "a"), (ACCEPT, "b"), (AUTHORIZATION, "Basic eDp5")],
    ];
    for warm in [true, false] {
        let provider = provider(warm).await;
        for uri in ["https://api.example.com/", "https://other.example.com/", "http://api.example.com/", "/path"] {
            for values in own {
                let mut request = request(uri, values);
                let before: Vec<_> = pairs(request.headers());
                assert_eq!(provider.authorize(&mut request).unwrap(), Authorized::Passed, "{uri} {values:?}");
                assert_eq!(pairs(request.headers()), before, "{uri}");
                assert!(request.headers().get_all(AUTHORIZATION).iter().all(|value| !value.is_sensitive()));
            }
        }
    }
}

#[tokio::test]
async fn another_header_that_the_caller_set_stays() {
    let key = http::HeaderName::from_static("x-api-key");
    let sending = Sending::new().header(key.as_str());
    let builder = TokenProvider::builder(StaticToken::new("token")).allow_origin("https://api.example.com");
    let provider = builder.sending(sending).build().unwrap();
    provider.token().await.unwrap();
    // The second request takes the short way.
    for _ in 0..3 {
        let mut request = request("https://api.example.com/", &[(AUTHORIZATION, "Basic eDp5")]);
        assert!(matches!(provider.authorize(&mut request).unwrap(), Authorized::Inserted(_)));
        assert!(request.headers()[&key].to_str().unwrap().ends_with("token"));
        assert!(request.headers()[&key].is_sensitive());
        assert_eq!(request.headers()[AUTHORIZATION], "Basic eDp5");
        for own in [&[(key.clone(), "own")][..], &[(key.clone(), "own"), (key.clone(), "other")]] {
            let mut request = request_with(own);
            let before = pairs(request.headers());
            assert_eq!(provider.authorize(&mut request).unwrap(), Authorized::Passed, "{own:?}");
            assert_eq!(pairs(request.headers()), before);
        }
    }
}

fn request_with(values: &[(http::HeaderName, &'static str)]) -> Request<()> {
    request("https://api.example.com/", values)
}

#[tokio::test]
async fn other_names_with_several_values_are_no_hindrance() {
    let provider = provider(true).await;
    let mut request = request("https://api.example.com/", &[(ACCEPT, "a"), (ACCEPT, "b")]);
    assert!(matches!(provider.authorize(&mut request).unwrap(), Authorized::Inserted(_)));
    let expected = [("accept", "a"), ("accept", "b"), ("authorization", "Bearer token")];
    assert_eq!(pairs(request.headers()), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}
