//! An API that names its authorization server, and a wider scope when it asks for one.

use super::*;

const TOML: &str = r#"
    [token_endpoint]
    issuer = "https://as.example.com"
    client = { id = "me", secret = "planted" }
    [token_endpoint.protected_resource]
    url = "https://mcp.example.com/mcp"
"#;

/// An API whose metadata trusts the configured issuer, or another one.
#[derive(Clone, Default)]
struct Site {
    issuer: &'static str,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Transport for Site {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
        let url = request.uri().to_string();
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        self.requests.lock().unwrap().push(format!("{} {url} {body}", request.method()));
        let issuer = self.issuer;
        let (status, reply) = match url.as_str() {
            "https://mcp.example.com/mcp" => (401, String::new()),
            "https://mcp.example.com/.well-known/oauth-protected-resource/mcp" | "https://docs.example.net/m.json" => {
                let resource = "https://mcp.example.com/mcp";
                (200, serde_json::json!({"resource": resource, "authorization_servers": [issuer]}).to_string())
            }
            "https://as.example.com/.well-known/oauth-authorization-server" => {
                let token_endpoint = "https://as.example.com/token";
                (
                    200,
                    serde_json::json!({"issuer": "https://as.example.com", "token_endpoint": token_endpoint})
                        .to_string(),
                )
            }
            "https://as.example.com/token" => (200, r#"{"access_token":"t","token_type":"Bearer"}"#.to_owned()),
            _ => (404, String::new()),
        };
        Ok(http::Response::builder().status(status).body(reply.into()).unwrap())
    }
}

async fn requests(toml: &str, issuer: &'static str) -> Result<Vec<String>, Error> {
    let site = Site { issuer, ..Site::default() };
    let provider = ProviderConfig::from_toml(toml).unwrap().transport(site.clone()).build().unwrap();
    let result = provider.token().await;
    let requests = std::mem::take(&mut *site.requests.lock().unwrap());
    assert!(requests.iter().all(|request| !request.contains("planted")), "{requests:?}");
    result.map(|_| requests)
}

#[tokio::test]
async fn the_metadata_of_the_api_leads_to_the_configured_issuer() {
    let trusted = "https://as.example.com";
    let found = requests(TOML, trusted).await.unwrap();
    assert_eq!(
        found,
        [
            "GET https://mcp.example.com/mcp ",
            "GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp ",
            "GET https://as.example.com/.well-known/oauth-authorization-server ",
            "POST https://as.example.com/token grant_type=client_credentials&resource=https%3A%2F%2Fmcp.example.com%2Fmcp",
        ]
    );
    for (fields, first) in [
        ("probe = \"POST\"", "POST https://mcp.example.com/mcp "),
        ("probe = \"none\"", "GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp "),
        ("metadata_url = \"https://docs.example.net/m.json\"", "GET https://docs.example.net/m.json "),
    ] {
        let found = requests(&format!("{TOML}\n{fields}\nsend_resource = false"), trusted).await.unwrap();
        assert_eq!(found.first().unwrap(), first);
        assert!(found.last().unwrap().ends_with("/token grant_type=client_credentials"), "{found:?}");
    }
}

#[tokio::test]
async fn l70_another_issuer_gets_nothing() {
    let error = requests(TOML, "https://evil.example.net").await.unwrap_err();
    assert!(error.to_string().contains("set it as `token_endpoint.issuer`"), "{error}");
}

#[tokio::test]
async fn l71_a_step_is_configured_with_its_limit() {
    let step_up = "[token_endpoint.step_up]\nlimit = 2\nwithin = [\"write\", \"delete\"]";
    let endpoint = TOML.split("[token_endpoint.protected_resource]").next().unwrap();
    for toml in [format!("{TOML}\n{step_up}"), format!("{endpoint}\n{step_up}")] {
        let site = Site { issuer: "https://as.example.com", ..Site::default() };
        let provider = ProviderConfig::from_toml(&toml).unwrap().transport(site).build().unwrap();
        for (scope, expected) in [("write", true), ("admin", false)] {
            let mut headers = http::HeaderMap::new();
            let challenge = format!(r#"Bearer error="insufficient_scope", scope="{scope}""#);
            headers.insert("www-authenticate", challenge.parse().unwrap());
            assert_eq!(provider.is_rejection(http::StatusCode::FORBIDDEN, &headers), expected, "{scope}");
        }
    }
}

#[test]
fn problems_have_the_names_of_the_fields() {
    let toml = r#"
        [token_endpoint]
        url = "https://as.example.com/token"
        scope = "a\n"
        client = { id = "me", secret = "planted" }
        [token_endpoint.protected_resource]
        url = "http://mcp.example.com/mcp"
        metadata_url = "nowhere"
        [token_endpoint.step_up]
        limit = 0
    "#;
    let expected = [
        "token_endpoint.issuer",
        "token_endpoint.protected_resource.metadata_url",
        "token_endpoint.protected_resource.url",
        "token_endpoint.scope",
        "token_endpoint.step_up",
    ];
    assert_eq!(paths(toml), expected);
}

#[test]
fn an_api_without_a_url_is_a_problem() {
    let toml = TOML.replace("url = \"https://mcp.example.com/mcp\"", "probe = \"POST\"");
    assert_eq!(paths(&toml), ["token_endpoint.protected_resource.url"]);
}

#[tokio::test]
async fn a_dry_run_shows_the_requests_for_the_metadata() {
    let stages = ProviderConfig::from_toml(TOML).unwrap().dry_run().await.unwrap();
    let shown: Vec<_> = stages[0].requests().iter().map(|request| request.uri().to_string()).collect();
    assert!(shown.iter().any(|url| url.contains("/.well-known/oauth-protected-resource/mcp")), "{shown:?}");
    assert!(shown.last().unwrap().contains("token-endpoint-of-the-metadata"), "{shown:?}");
}
