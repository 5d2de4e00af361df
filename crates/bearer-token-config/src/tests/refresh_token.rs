//! Refresh tokens.

use bearer_token::platform::Platform;

use super::*;

#[tokio::test]
async fn a_refresh_token_is_kept_beside_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let toml = r#"
        [refresh_token]
        file = "refresh.json"
        initial = { value = "first" }
        retry_previous = true
        [token_endpoint]
        url = "https://as.example.com/token"
        [token_endpoint.client]
        id = "app"
        secret = "s"
    "#;
    let config = || ProviderConfig::from_toml(toml).unwrap().relative_to(directory.path());
    let (request, form) = request_of(config()).await;
    assert_eq!(parameter(&form, "grant_type"), Some("refresh_token"));
    assert_eq!(parameter(&form, "refresh_token"), Some("first"));
    assert_eq!(request.headers()["authorization"], "Basic YXBwOnM=");
    let file = directory.path().join("refresh.json");
    assert!(std::fs::read_to_string(&file).unwrap().contains("first"));
    // The file comes before what is configured.
    std::fs::write(file, r#"{"refresh_token":"second"}"#).unwrap();
    let (_, form) = request_of(config()).await;
    assert_eq!(parameter(&form, "refresh_token"), Some("second"));

    // One that is never replaced needs no file.
    let toml =
        "[refresh_token]\ninitial = \"kept\"\nreusable = true\n[token_endpoint]\nurl = \"https://as.example.com\"";
    let (_, form) = request_of(ProviderConfig::from_toml(toml).unwrap()).await;
    assert_eq!(parameter(&form, "refresh_token"), Some("kept"));
}

#[test]
fn refresh_token_problems_are_reported_with_the_rest() {
    for (refresh, rest, found) in [
        ("", "", &["refresh_token.file", "token_endpoint"][..]),
        ("file = \"x\"", "", &["token_endpoint"]),
        ("reusable = true", "[token_endpoint]", &["refresh_token.file", "token_endpoint.url"]),
        ("initial = \"x\"", "[token_endpoint]\nurl = \"https://as.example.com\"", &["refresh_token.file"]),
        (
            "initial = { env = \"BEARER_TOKEN_TEST_NO_SUCH_VARIABLE\" }\nfile = 5\nrotate = 1",
            "[token_endpoint]\nurl = \"https://as.example.com\"\nscope = 1",
            &["refresh_token.file", "refresh_token.initial", "refresh_token.rotate", "token_endpoint.scope"],
        ),
        (
            "file = \"x\"",
            "[jwt]\nalgorithm = \"HS256\"\nkey = \"k\"\n[token_endpoint]\nurl = \"https://as.example.com\"",
            &["refresh_token"],
        ),
    ] {
        assert_eq!(paths(&format!("[refresh_token]\n{refresh}\n{rest}")), found, "{refresh} {rest}");
    }
}

#[tokio::test]
async fn the_first_refresh_token_is_stored_where_the_provider_looks() {
    let directory = tempfile::tempdir().unwrap();
    let toml = "[refresh_token]\nfile = \"refresh.json\"\n[token_endpoint]\nurl = \"https://as.example.com/token\"";
    let config = || ProviderConfig::from_toml(toml).unwrap().relative_to(directory.path());
    config().refresh_token().unwrap().replace(&Platform::system(), "consented").await.unwrap();
    let (_, form) = request_of(config()).await;
    assert_eq!(parameter(&form, "refresh_token"), Some("consented"));
}

#[test]
fn a_refresh_token_without_a_file_cannot_be_stored() {
    for (toml, path) in [
        ("token = \"t\"", "refresh_token"),
        ("[refresh_token]\ninitial = \"i\"\nreusable = true", "refresh_token.file"),
        ("[refresh_token]\nfile = \"x\"\nfiel = 1", "refresh_token.fiel"),
    ] {
        let error = ProviderConfig::from_toml(toml).unwrap().refresh_token().map(drop).unwrap_err();
        assert_eq!(error.problems().iter().map(Problem::path).collect::<Vec<_>>(), [path], "{toml}");
    }
}
