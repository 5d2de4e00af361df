//! Keys and names as configurations deliver them: from variables, multi-line strings and files, with something around
//! them.

use std::fs;

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bearer_token::{
    Error, Problem,
    jwt::{Algorithm, JwtTemplate, KeyReader, SelfSigned},
};
use bearer_token_config::ProviderConfig;
use bearer_token_testing::{Algorithm as Verified, Issuer, TestKey};
use serde_json::json;

use crate::support::{Adapter, Setup, within};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Whether the JWT of this configuration is signed with the secret.
async fn is_signed_with_secret(config: ProviderConfig) -> bool {
    let bearer = config.build().unwrap().token().await.unwrap();
    let (input, signature) = bearer.secret().rsplit_once('.').unwrap();
    let expected = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), input.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(expected) == signature
}

fn toml(key: &str) -> ProviderConfig {
    ProviderConfig::from_toml(&format!("[jwt]\nalgorithm = \"HS256\"\nissuer = \"me\"\nkey = {key}\n")).unwrap()
}

fn variables(pairs: &[(&str, &str)]) -> ProviderConfig {
    ProviderConfig::from_variables("X_", pairs.iter().copied())
}

#[tokio::test]
async fn l49_a_newline_is_not_part_of_a_configured_secret() {
    for end in ["", "\n", "\r\n"] {
        for mark in ["", "\u{feff}"] {
            let key = format!("{mark}{SECRET}{end}");
            let jwt = [("X_JWT__ALGORITHM", "HS256"), ("X_JWT__ISSUER", "me"), ("X_JWT__KEY", key.as_str())];
            assert!(is_signed_with_secret(variables(&jwt)).await, "a variable, {end:?}");
            assert!(is_signed_with_secret(toml(&json!(key).to_string())).await, "a string, {end:?}");
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join("key"), &key).unwrap();
            let file = toml("{ file = \"key\" }").relative_to(directory.path());
            assert!(is_signed_with_secret(file).await, "a file, {end:?}");
        }
    }
    assert!(is_signed_with_secret(toml(&format!("\"\"\"\n{SECRET}\n\"\"\""))).await, "a multi-line string");
}

#[test]
fn l49_other_surplus_of_a_configured_secret_is_a_problem() {
    for end in ["\n\n", " \n", " ", "\0", "\r"] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("key"), format!("{SECRET}{end}")).unwrap();
        let error = toml("{ file = \"key\" }").relative_to(directory.path()).build().unwrap_err();
        assert!(error.problems().iter().any(|problem| problem.path() == "jwt.key"), "{end:?}: {error}");
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
}

#[test]
fn l53_a_path_as_a_configured_key_is_a_problem() {
    for (algorithm, key) in [("HS256", "/run/secrets/jwt-hmac-secret-key"), ("RS256", "key.pem"), ("ES256", "./key")] {
        let jwt = [("X_JWT__ALGORITHM", algorithm), ("X_JWT__ISSUER", "me"), ("X_JWT__KEY", key)];
        let error = variables(&jwt).build().unwrap_err().to_string();
        assert!(error.contains("looks like the path of a file") && error.contains("`X_JWT__KEY__FILE`"), "{error}");
        let text = format!("[jwt]\nalgorithm = \"{algorithm}\"\nissuer = \"me\"\nkey = \"{key}\"\n");
        let error = ProviderConfig::from_toml(&text).unwrap().build().unwrap_err();
        assert_eq!(error.problems()[0].path(), "jwt.key");
        assert!(error.to_string().contains("did you mean `{ file = "), "{error}");
    }
    toml("{ value = \"/run/secrets/jwt-hmac-secret-key\", encoding = \"binary\" }").build().unwrap();
}

#[test]
fn l54_a_configured_pem_may_have_escaped_newlines() {
    let rsa = TestKey::rs256().unwrap();
    let escaped = rsa.private_pem().trim_end().replace('\n', "\\n");
    for key in
        [escaped.clone(), format!("\"{escaped}\\n\""), escaped.replace("\\n", "\\r\\n"), escaped.replace('\\', "\\\\")]
    {
        let jwt = [("X_JWT__ALGORITHM", "RS256"), ("X_JWT__ISSUER", "me"), ("X_JWT__KEY", key.as_str())];
        variables(&jwt).build().unwrap_or_else(|error| panic!("{key}: {error}"));
    }
}

#[test]
fn l53_a_whole_service_account_file_names_the_member() {
    let key = TestKey::rs256().unwrap();
    let account = json!({ "type": "service_account", "private_key_id": "k1", "private_key": key.private_pem() });
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("account.json"), account.to_string()).unwrap();
    let text = "[jwt]\nalgorithm = \"RS256\"\nissuer = \"me\"\nkey = { file = \"account.json\" }\n";
    let error = ProviderConfig::from_toml(text).unwrap().relative_to(directory.path()).build().unwrap_err();
    let message = error.to_string();
    assert!(message.contains("a service account file (JSON)") && message.contains("`.private_key`"), "{message}");
    assert!(message.contains("set `jwt.key.member = \"/private_key\"`"), "{message}");
    assert!(message.contains("jq -r '.private_key'"), "{message}");
}

#[test]
fn l52_a_newline_in_a_configured_name_is_a_problem() {
    let base = [("X_JWT__ALGORITHM", "HS256"), ("X_JWT__KEY", SECRET)];
    for name in ["X_JWT__ISSUER", "X_JWT__SUBJECT", "X_JWT__AUDIENCE", "X_JWT__KID"] {
        for value in ["me\n", "\"me\"", "me ", "\u{feff}me"] {
            let pairs: Vec<_> = base.into_iter().chain([(name, value)]).collect();
            let result = variables(&pairs).build();
            let error = result.err().unwrap_or_else(|| panic!("{name} {value:?} is accepted"));
            assert_eq!(error.problems().iter().map(Problem::path).collect::<Vec<_>>(), [name], "{error}");
        }
    }
}

/// The API verifies the signature with another implementation.
#[tokio::test]
async fn es512_signs_what_the_api_verifies() -> Result<(), Error> {
    let setup = Setup::start();
    let key = TestKey::generate(Verified::ES512)?;
    setup.server.trust(Issuer::new("me", key.verifying_key()).subject("me").self_signed_audience("orders"));
    let signing = KeyReader::new().algorithm("ES512".parse::<Algorithm>()?).read(key.private_pem())?;
    let template = JwtTemplate::builder(signing).issuer("me").subject("me").audience("orders").build()?;
    let provider = setup.builder(SelfSigned::new(template)).build()?;
    let client = Adapter::BOTH[0].client(&provider);
    assert_eq!(within(client.succeed(&setup.api("orders"))).await.json()["subject"], "me");
    Ok(())
}
