//! The presets send what the recipes of the same providers send.

use std::{fs, path::PathBuf};

use bearer_token::{Error, TokenProviderBuilder, Value, oauth::TokenEndpointBuilder};
use bearer_token_presets::{entra, github, google, kubernetes, snowflake, vault};
use serde_json::{Value as Json, json};

use crate::{
    expected::{Expected, directory},
    run::{World, run_with},
};

/// Makes a builder in this world.
type Make = fn(&Expected, &World) -> Builder;

/// Each preset, by the name of its recipe.
const PRESETS: [(&str, Make); 11] = [
    ("entra-certificate", entra_certificate),
    ("entra-workload-identity", entra_workload_identity),
    ("github-app", github_app),
    ("github-installation", github_installation),
    ("google-id-token", google_id_token),
    ("google-self-signed", google_self_signed),
    ("google-service-account", google_service_account),
    ("google-workload-identity", google_workload_identity),
    ("kubernetes", kubernetes_service_account),
    ("snowflake-key-pair", snowflake_key_pair),
    ("vault", vault_jwt),
];

#[tokio::test]
async fn each_preset_does_what_its_provider_documents() {
    let mut wrong = Vec::new();
    for (name, make) in PRESETS {
        let expected = Expected::all().into_iter().find(|expected| expected.name == name).unwrap();
        wrong.extend(run_preset(expected, make).await.err().map(|problem| format!("{name}: {problem}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

async fn run_preset(expected: Expected, make: Make) -> Result<(), String> {
    let made =
        move |expected: &Expected, world: &World| make(expected, world)?.platform(world.platform.clone()).build();
    run_with(expected, made).await
}

type Builder = Result<TokenProviderBuilder, Error>;

fn sample(name: &str) -> PathBuf {
    directory().join("keys").join(name)
}

fn through(world: &World) -> impl Fn(TokenEndpointBuilder) -> TokenEndpointBuilder + Send + Sync + 'static {
    let recorder = world.recorder.clone();
    move |endpoint| endpoint.transport(recorder.clone())
}

fn account() -> google::ServiceAccount {
    google::service_account(fs::read_to_string(sample("account.json")).unwrap())
}

fn google_service_account(_: &Expected, world: &World) -> Builder {
    let token = account().access_token("https://www.googleapis.com/auth/pubsub").endpoint(through(world));
    Ok(token.provider().allow_origin("https://pubsub.googleapis.com"))
}

fn google_self_signed(_: &Expected, _: &World) -> Builder {
    Ok(account().self_signed("https://pubsub.googleapis.com/").allow_origin("https://pubsub.googleapis.com"))
}

fn google_id_token(_: &Expected, world: &World) -> Builder {
    let token = account().id_token("https://service.example.com").endpoint(through(world));
    Ok(token.provider().allow_origin("https://service.example.com"))
}

fn google_workload_identity(expected: &Expected, world: &World) -> Builder {
    let (path, _) = expected.files.first_key_value().unwrap();
    // As it is downloaded.
    let json = json!({
        "universe_domain": "googleapis.com",
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/pool/providers/cluster",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": { "file": world.file(path), "format": { "type": "text" } },
    });
    let preset = google::workload_identity(json.to_string()).platform(world.platform.clone()).endpoint(through(world));
    Ok(preset.provider().allow_origin("https://storage.googleapis.com"))
}

fn github_app(_: &Expected, _: &World) -> Builder {
    Ok(github::app("Iv23liExample", sample("rsa.pem")).provider())
}

fn github_installation(_: &Expected, world: &World) -> Builder {
    let installation = github::app("Iv23liExample", fs::read_to_string(sample("rsa.pem")).unwrap()).installation(7);
    let installation = installation.repository("reports").permission("contents", "read");
    Ok(installation.platform(world.platform.clone()).endpoint(through(world)).provider())
}

fn entra_certificate(_: &Expected, world: &World) -> Builder {
    let client = "8b1e6c50-1111-4222-8333-444455556666";
    let certificate = Value::file(sample("certificate.pem"));
    let client = entra::certificate("acme.example.com", client, sample("rsa.pem"), certificate);
    let client = client.scope("https://graph.microsoft.com/.default").endpoint(through(world));
    Ok(client.provider().allow_origin("https://graph.microsoft.com"))
}

fn entra_workload_identity(expected: &Expected, world: &World) -> Builder {
    let (path, _) = expected.files.first_key_value().unwrap();
    let mut variables = expected.env.clone();
    variables.insert("AZURE_FEDERATED_TOKEN_FILE".to_owned(), world.file(path).to_str().unwrap().to_owned());
    let client = entra::workload_identity_from(move |name| variables.get(name).cloned());
    let client = client.scope("https://graph.microsoft.com/.default").endpoint(through(world));
    Ok(client.provider().allow_origin("https://graph.microsoft.com"))
}

fn snowflake_key_pair(_: &Expected, _: &World) -> Builder {
    Ok(snowflake::key_pair("acct", "reports", sample("rsa.pem")).provider())
}

fn kubernetes_service_account(expected: &Expected, world: &World) -> Builder {
    let (path, _) = expected.files.first_key_value().unwrap();
    let account = kubernetes::service_account().path(world.file(path));
    Ok(account.provider().allow_origin("https://service.example.com"))
}

fn vault_jwt(expected: &Expected, world: &World) -> Builder {
    let (path, _) = expected.files.first_key_value().unwrap();
    let jwt = Value::file(world.file(path));
    Ok(vault::jwt("https://vault.example.com:8200", "reports", jwt).endpoint(through(world)).provider())
}

/// The facts of a recipe, changed as a variant of its preset needs them.
fn variant(name: &str, edit: impl FnOnce(&mut Json)) -> Expected {
    let path = directory().join(format!("../../tests/tests/recipes/expected/{name}.json"));
    let mut facts = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    edit(&mut facts);
    let facts: Expected = serde_json::from_value(facts).unwrap();
    Expected { name: name.to_owned(), ..facts }
}

async fn check(expected: Expected, make: Make) {
    run_preset(expected, make).await.unwrap_or_else(|problem| panic!("{problem}"));
}

#[tokio::test]
async fn vault_may_have_another_mount_and_a_namespace() {
    let facts = variant("vault", |facts| {
        let request = &mut facts["exchanges"][0]["request"];
        request["url"] = "https://vault.example.com:8200/v1/auth/teams/jwt/login".into();
        request["headers"] = json!({ "x-vault-namespace": "acme/reports" });
        facts["api"]["headers"]["x-vault-namespace"] = "acme/reports".into();
    });
    check(facts, |expected, world| {
        let (path, _) = expected.files.first_key_value().unwrap();
        let jwt = vault::jwt("https://vault.example.com:8200/", "reports", Value::file(world.file(path)));
        Ok(jwt.mount("/teams/jwt/").namespace("acme/reports").endpoint(through(world)).provider())
    })
    .await;
}

#[tokio::test]
async fn github_may_be_an_enterprise_server() {
    let facts = variant("github-installation", |facts| {
        let url = "https://github.example.com/api/v3/app/installations/7/access_tokens";
        facts["exchanges"][0]["request"]["url"] = url.into();
        facts["api"]["url"] = "https://github.example.com/api/v3/repos/acme/reports".into();
    });
    check(facts, |_, world| {
        let app = github::app("Iv23liExample", sample("rsa.pem")).api_url("https://github.example.com/api/v3/");
        let installation = app.installation(7).repository("reports").permission("contents", "read");
        Ok(installation.platform(world.platform.clone()).endpoint(through(world)).provider())
    })
    .await;
}

#[tokio::test]
async fn a_service_account_may_act_for_a_user() {
    let facts = variant("google-service-account", |facts| {
        let assertion = &mut facts["exchanges"][0]["request"]["form"]["assertion"];
        assertion["jwt"]["claims"]["sub"] = "user@example.com".into();
    });
    check(facts, |_, world| {
        let token = account().access_token("https://www.googleapis.com/auth/pubsub").on_behalf_of("user@example.com");
        Ok(token.endpoint(through(world)).provider().allow_origin("https://pubsub.googleapis.com"))
    })
    .await;
}

#[tokio::test]
async fn an_identity_at_a_url_may_impersonate_an_account() {
    const IMPERSONATION: &str = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/target@example.iam.gserviceaccount.com:generateAccessToken";
    let facts = variant("google-workload-identity", |facts| {
        facts["files"] = json!({});
        let mut exchange = facts["exchanges"][0].take();
        exchange["response"]["body"]["access_token"] = "token-of-the-federation".into();
        facts["exchanges"] = json!([
            {
                "request": { "method": "GET", "url": "http://169.254.169.254/identity", "headers": { "metadata": "True" } },
                "response": { "status": 200, "body": { "an/identity": "identity-of-the-pod" } },
            },
            exchange,
            {
                "request": {
                    "method": "POST",
                    "url": IMPERSONATION,
                    "headers": { "authorization": "Bearer token-of-the-federation" },
                    "json": { "scope": ["https://www.googleapis.com/auth/devstorage.read_only"] },
                },
                "response": {
                    "status": 200,
                    "body": { "accessToken": "token-of-the-server", "expireTime": "2026-01-01T01:00:00Z" },
                },
            },
        ]);
    });
    check(facts, |_, world| {
        let json = json!({
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/pool/providers/cluster",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token",
            "service_account_impersonation_url": IMPERSONATION,
            "credential_source": {
                "url": "http://169.254.169.254/identity",
                "headers": { "Metadata": "True" },
                "format": { "type": "json", "subject_token_field_name": "an/identity" },
            },
        });
        let preset = google::workload_identity(json.to_string()).platform(world.platform.clone());
        let preset = preset.scope("https://www.googleapis.com/auth/devstorage.read_only").endpoint(through(world));
        Ok(preset.provider().allow_origin("https://storage.googleapis.com"))
    })
    .await;
}
