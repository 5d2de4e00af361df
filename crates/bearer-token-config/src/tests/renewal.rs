//! `keep_previous_credential` with the fields beside it.

use super::*;

fn toml(fields: &str) -> String {
    format!(
        "token_endpoint.url = \"https://as.example.com/token\"\ntoken_endpoint.keep_previous_credential = true\n{fields}"
    )
}

#[test]
fn a_credential_that_cannot_change_is_a_problem() {
    const PATH: &str = "token_endpoint.keep_previous_credential";
    let key = format!("'''{RSA}'''");
    for fields in [
        "token_endpoint.client = { id = \"me\" }".to_owned(),
        "token_endpoint.client = { id = \"me\", secret = \"s\" }".to_owned(),
        format!("token_endpoint.client = {{ id = \"me\", jwt = {{ algorithm = \"RS256\", key = {key} }} }}"),
    ] {
        assert_eq!(paths(&toml(&fields)), [PATH], "{fields}");
    }
}

#[test]
fn what_is_wrong_beside_it_is_reported_once() {
    let fields = "token_endpoint.client = { secret = { file = \"no-such-file\" } }";
    assert_eq!(paths(&toml(fields)), ["token_endpoint.client.id", "token_endpoint.client.secret"]);
}

#[test]
fn two_credentials_in_files_are_a_problem() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("key.pem"), RSA).unwrap();
    std::fs::write(directory.path().join("secret"), "s3cr3t").unwrap();
    let fields = "token_endpoint.client = { id = \"me\", secret = { file = \"secret\" } }\n\
                  jwt = { algorithm = \"RS256\", issuer = \"a\", subject = \"b\", audience = \"c\", key = { file = \"key.pem\" } }";
    let error = ProviderConfig::from_toml(&toml(fields)).unwrap().relative_to(directory.path()).build().unwrap_err();
    let found: Vec<_> = error.problems().iter().map(Problem::path).collect();
    assert_eq!(found, ["token_endpoint.keep_previous_credential"], "{error}");
    assert!(error.to_string().contains("two credentials in files"), "{error}");
}

#[test]
fn a_protected_resource_makes_its_endpoint_later() {
    let fields = "token_endpoint.protected_resource = { url = \"https://mcp.example.com/\" }\n\
                  token_endpoint.issuer = \"https://as.example.com\"\n\
                  token_endpoint.client = { id = \"me\", secret = \"s\" }";
    let found = paths(&toml(fields));
    assert!(found.contains(&"token_endpoint.keep_previous_credential".to_owned()), "{found:?}");
}

#[tokio::test]
async fn the_first_request_is_the_same_as_without_it() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("secret"), "c:d\n").unwrap();
    let fields = "token_endpoint.scope = \"read\"\n\
                  token_endpoint.client = { id = \"a b\", secret = { file = \"secret\" } }";
    let mut requests = Vec::new();
    for keeps in [true, false] {
        let text = toml(fields).replace("credential = true", &format!("credential = {keeps}"));
        let config = ProviderConfig::from_toml(&text).unwrap().relative_to(directory.path());
        let (request, form) = request_of(config).await;
        requests.push((request.headers()["authorization"].clone(), form));
    }
    assert_eq!(requests[0], requests[1]);
    assert_eq!(requests[0].0, "Basic YStiOmMlM0Fk");
}
