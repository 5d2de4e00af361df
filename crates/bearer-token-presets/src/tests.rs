//! What is wrong with what a provider handed out. The requests are tested in `tests/tests/recipes`.

use bearer_token::{TokenProviderBuilder, Value};
use serde_json::{Value as Json, json};

use crate::{entra, github, google, kubernetes, snowflake, vault};

/// The problems, as path and message.
fn problems(builder: &TokenProviderBuilder) -> Vec<String> {
    let problems = builder.problems();
    problems.iter().map(|problem| format!("{}: {}", problem.path(), problem.message())).collect()
}

#[track_caller]
fn expect(builder: &TokenProviderBuilder, parts: &[&str]) {
    let found = problems(builder);
    assert_eq!(found.len(), parts.len(), "{found:#?}");
    for (found, part) in found.iter().zip(parts) {
        assert!(found.contains(part) && !found.contains("planted"), "{found}\nexpected {part}");
    }
}

#[test]
fn a_service_account_file_is_checked_as_a_whole() {
    let check = |json: &str, parts: &[&str]| expect(&google::service_account(json).access_token("a").provider(), parts);
    check("planted", &["service_account: found something that is not JSON, at line 1"]);
    check(r#"{"private_key":"planted"}"#, &["service_account: found JSON without a `type`"]);
    check(r#"{"type":"planted"}"#, &["found JSON with another `type`"]);
    check(r#"{"type":"external_account"}"#, &["there is `google::workload_identity`"]);
    check(
        r#"{"type":"service_account","private_key":"planted","client_email":7}"#,
        &[
            "service_account.private_key: ",
            "service_account.client_email: found something else",
            "service_account.private_key_id: found nothing",
        ],
    );
    expect(
        &google::service_account("{}").access_token(" ").provider(),
        &["scope: found an empty string", "without a `type`"],
    );
}

fn federation(change: impl FnOnce(&mut Json)) -> TokenProviderBuilder {
    let mut json = json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1",
        "token_url": "https://sts.googleapis.com/v1/token",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "credential_source": { "file": "/dev/null" },
    });
    change(&mut json);
    google::workload_identity(json.to_string()).provider()
}

#[test]
fn a_federation_file_sends_identities_to_google_only() {
    for url in [
        "http://sts.googleapis.com/v1/token",
        "https://googleapis.com.example.com/",
        "https://example.com/.googleapis.com",
        "https://sts.googleapis.com@example.com/",
        "https://example.com?x.googleapis.com",
        "https://example.com#x.googleapis.com",
        "https://example.com\\.googleapis.com",
    ] {
        expect(
            &federation(|json| json["token_url"] = url.into()),
            &["workload_identity.token_url: found a URL that is not"],
        );
        let impersonation = "service_account_impersonation_url";
        expect(&federation(|json| json[impersonation] = url.into()), &["impersonation_url: found a URL that is not"]);
    }
}

#[test]
fn a_federation_file_needs_a_place_of_the_identity() {
    let source = |source: Json| federation(|json| json["credential_source"] = source);
    expect(&source(json!({})), &["workload_identity.credential_source: found none of `file` and `url`"]);
    expect(&source(json!({ "file": "a", "url": "https://b.example.com" })), &["or both"]);
    expect(&source(json!({ "environment_id": "aws1" })), &["examples/providers/google_from_aws.rs"]);
    expect(&source(json!({ "executable": { "command": "planted" } })), &["found an executable"]);
    expect(
        &source(json!({ "file": "a", "format": { "type": "json" } })),
        &["workload_identity.credential_source.format.subject_token_field_name: found nothing"],
    );
    expect(&source(json!({ "file": "a", "format": { "type": "planted" } })), &["format.type: found another format"]);
    expect(&federation(|json| json["audience"] = Json::Null), &["workload_identity.audience: found nothing"]);
    expect(&federation(|json| json["token_url"] = Json::Null), &["workload_identity.token_url: found nothing"]);
}

#[test]
fn keys_and_names_are_checked_together() {
    expect(&github::app("", "planted").provider(), &["client_id: found an empty string", "private_key: "]);
    expect(&github::app("a", "planted").installation(1).provider(), &["private_key: "]);
    expect(
        &snowflake::key_pair("https://acct.snowflakecomputing.com", " ", "planted").provider(),
        &["account: found something else", "user: found an empty string", "private_key: "],
    );
    expect(&vault::jwt("", "", Value::from("a")).provider(), &["address: found an empty", "role: found an empty"]);
    let all_of_it = vault::jwt("", "", Value::file("/does/not/exist")).mount("").namespace("a\nb");
    expect(
        &all_of_it.provider(),
        &["address: found an empty", "role: found an empty", "mount: found an", "jwt: the file", "namespace: found a"],
    );
    for path in ["/does/not/exist", "."] {
        let found = format!("path: found no file `{path}` that can be read: ");
        expect(&kubernetes::service_account().path(path).provider(), &[&found]);
    }
    expect(
        &entra::certificate("", "", "planted", "planted").provider(),
        &["tenant: found an empty", "client_id: found an empty", "scope: found an empty", "private_key: "],
    );
    expect(
        &entra::workload_identity_from(|_| None).scope("a").provider(),
        &[
            "AZURE_TENANT_ID: found no such environment variable",
            "AZURE_CLIENT_ID: found no such",
            "AZURE_FEDERATED_TOKEN_FILE: found no such",
        ],
    );
}

#[test]
fn each_problem_has_the_name_of_what_was_given() {
    let key = || std::path::Path::new("../../examples/providers/keys/rsa.pem");
    let jwt = || Value::from("a");
    let at = "https://vault.example.com:8200";
    expect(
        &vault::jwt("vault.example.com:8200", "a", jwt()).provider(),
        &["address: found something that is not a URL"],
    );
    expect(
        &vault::jwt("http://vault.example.com", "a", jwt()).provider(),
        &["address: found `http://vault.example.com`"],
    );
    expect(&vault::jwt(at, "a", Value::file("/does/not/exist")).provider(), &["jwt: the file `/does/not/exist`"]);
    expect(&vault::jwt(at, "a", jwt()).mount(" ").provider(), &["mount: found an empty string"]);
    expect(&vault::jwt(at, "a", jwt()).mount("a?b").provider(), &["mount: found a character"]);
    expect(&vault::jwt(at, "a", jwt()).namespace("a\nb").provider(), &["namespace: found a newline"]);

    let app = || github::app("a", key());
    expect(&app().api_url("github.example.com").provider(), &["api_url: found something that is not a URL"]);
    let plaintext = || app().api_url("http://github.example.com/api/v3");
    let found = ["api_url: found `http://github.example.com`; expected `https://`"];
    expect(&plaintext().provider(), &found);
    expect(
        &app().api_url("").installation(1).repository("acme/planted").permission("contents", "").provider(),
        &[
            "api_url: found an empty string",
            "repository: found a name with a slash",
            "permission: found an empty string",
        ],
    );

    let certificate = Value::file("../../examples/providers/keys/certificate.pem");
    let entra = |tenant: &str| entra::certificate(tenant, "a", key(), certificate.clone()).scope("a");
    expect(&entra("a/../planted").provider(), &["tenant: found something else"]);
    expect(&entra("a").authority("login.example.com").provider(), &["authority: found something that is not a URL"]);
    let host = |name: &str| Some(if name.ends_with("HOST") { "planted" } else { "a" }.to_owned());
    expect(
        &entra::workload_identity_from(host).scope("a").provider(),
        &["AZURE_AUTHORITY_HOST: found something that is not a URL", "AZURE_FEDERATED_TOKEN_FILE: found no file `a`"],
    );

    let source = |source: Json| federation(|json| json["credential_source"] = source);
    let place = "workload_identity.credential_source";
    expect(&source(json!({ "url": "planted" })), &[&format!("{place}.url: found ")]);
    expect(&source(json!({ "file": "/does/not/exist" })), &[&format!("{place}.file: the file")]);
    for headers in [json!(["planted"]), json!({ "a": 7 }), json!({ "a b": "planted" })] {
        let source = source(json!({ "url": "https://a.example.com", "headers": headers }));
        expect(&source, &[&format!("{place}.headers: found ")]);
    }
}

#[test]
fn nothing_that_is_shown_has_a_secret() {
    let account = google::service_account("planted");
    let shown = format!(
        "{account:?} {:?} {:?} {:?} {:?} {:?}",
        account.access_token("a"),
        google::workload_identity("planted"),
        github::app("a", "planted").installation(1),
        vault::jwt("a", "b", "planted"),
        entra::certificate("a", "b", "planted", "planted"),
    );
    assert!(!shown.contains("planted"), "{shown}");
}
