//! Redirects from `https` to `http`, under the policy of this crate.

use bearer_token::{StaticToken, TokenProvider};
use reqwest_bearer::{BearerMiddleware, redirect_policy, reqwest_middleware::ClientBuilder};

use crate::server::{Server, ok, redirect};

/// reqwest up to 0.13.3 keeps the token at a redirect to `http` on the same port.
#[tokio::test]
async fn l33_no_redirect_leads_from_https_to_http() {
    for path in ["same-port", "other-port", "other-host", "back-and-down"] {
        let elsewhere = Server::start("localhost", |_, _| ok()).await;
        let other = elsewhere.port;
        let server = Server::start("localhost", move |secure, head| {
            let host = head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
            match head.split(' ').nth(1).unwrap() {
                "/same-port" if secure => redirect(&format!("http://{host}/in-the-clear")),
                "/other-port" if secure => redirect(&format!("http://localhost:{other}/in-the-clear")),
                "/other-host" if secure => redirect(&format!("http://127.0.0.1:{other}/in-the-clear")),
                "/back-and-down" if secure => redirect("/same-port"),
                _ => ok(),
            }
        })
        .await;
        let origin = format!("https://localhost:{}", server.port);
        let provider = TokenProvider::builder(StaticToken::new("planted")).allow_origin(&origin).build().unwrap();
        for watched in [false, true] {
            let bearer = BearerMiddleware::new(provider.clone());
            let policy = if watched { bearer.watch_redirects(redirect_policy()) } else { redirect_policy() };
            let client = ClientBuilder::new(server.client().redirect(policy).build().unwrap()).with(bearer).build();
            let error = client.get(format!("{origin}/{path}")).send().await.unwrap_err();
            assert!(error.is_redirect(), "{path}: {error:?}");
            assert!(format!("{error:?}").contains("Downgrade"), "{path}: {error:?}");
        }
        assert!(server.requests().iter().all(|(secure, head)| *secure && head.contains("Bearer planted")));
        assert!(elsewhere.requests().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn redirects_within_https_and_up_to_it_are_followed() {
    let server = Server::start("localhost", |secure, head| {
        let host = head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        match head.split(' ').nth(1).unwrap() {
            "/within" => redirect("/end"),
            "/up" if !secure => redirect(&format!("https://{host}/end")),
            _ => ok(),
        }
    })
    .await;
    let client = server.client().redirect(redirect_policy()).build().unwrap();
    for url in [format!("https://localhost:{}/within", server.port), format!("http://localhost:{}/up", server.port)] {
        let response = client.get(&url).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.url().path()), (200, "/end"), "{url}");
    }
}
