//! The recipe of UK Open Banking, through the configuration's own transport to TLS servers on loopback.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use bearer_token::{Bearer, Error};
use bearer_token_config::ProviderConfig;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use rcgen::Certificate;
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::tls::{Ca, Clients, Issued, serve};
use tokio::task::JoinSet;

use crate::{
    decoded,
    expected::{Expected, directory},
    signature::Keys,
};

/// A request with the client's certificate, if there was one.
struct Seen {
    client: Option<CertificateDer<'static>>,
    request: Request<Bytes>,
}

/// A bank's server. It responds with its metadata to a GET, and with a token to a POST.
struct Server {
    origin: String,
    metadata: Arc<Mutex<Value>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Starts it on a port of `localhost`. With mutual TLS, it refuses clients without a certificate of the CA.
    async fn start(ca: &Ca, clients: Clients) -> Self {
        let (metadata, seen) = (Arc::new(Mutex::new(Value::Null)), Arc::new(Mutex::new(Vec::new())));
        let (to_tell, to_see) = (Arc::clone(&metadata), Arc::clone(&seen));
        let acceptor = ca.acceptor(&ca.server("localhost"), clients);
        let (port, tasks) = serve(
            acceptor,
            || (),
            move |request, client| respond(request, client, Arc::clone(&to_tell), Arc::clone(&to_see)),
        )
        .await;
        let origin = format!("https://localhost:{port}");
        *metadata.lock().unwrap() = json!({ "issuer": origin, "token_endpoint": format!("{origin}/token") });
        Server { origin, metadata, seen, _tasks: tasks }
    }

    /// The token requests, each with whether its client presented this certificate.
    fn token_requests(&self, of: &Certificate) -> Vec<(bool, Value)> {
        let seen = self.seen.lock().unwrap();
        let posts = seen.iter().filter(|seen| seen.request.method() == "POST");
        posts.map(|seen| (seen.client.as_ref() == Some(of.der()), form(&seen.request))).collect()
    }
}

async fn respond(
    request: Request<Incoming>,
    client: Option<CertificateDer<'static>>,
    metadata: Arc<Mutex<Value>>,
    seen: Arc<Mutex<Vec<Seen>>>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let request = Request::from_parts(head, body.collect().await.unwrap().to_bytes());
    let body = match request.method().as_str() {
        "POST" => json!({ "access_token": "token-of-the-bank", "token_type": "Bearer", "expires_in": 300 }),
        _ => metadata.lock().unwrap().clone(),
    };
    seen.lock().unwrap().push(Seen { client, request });
    let response = Response::builder().header("content-type", "application/json");
    response.body(body.to_string().into()).unwrap()
}

/// The form of a token request, with the header and the claims of its assertion.
fn form(request: &Request<Bytes>) -> Value {
    decoded::request(request, &Keys::new(None))["form"].take()
}

/// The client: its certificate and key are in files.
struct Client {
    files: TempDir,
    certificate: Certificate,
}

impl Client {
    fn new(ca: &Ca) -> Self {
        let Issued { certificate, key } = ca.client("bank-client");
        let files = tempfile::tempdir().unwrap();
        for (name, pem) in
            [("ca.pem", ca.pem()), ("certificate.pem", certificate.pem()), ("key.pem", key.serialize_pem())]
        {
            fs::write(files.path().join(name), pem).unwrap();
        }
        Client { files, certificate }
    }

    /// A token by the recipe, with another issuer and with these files. The transport is the configuration's own.
    async fn token(&self, issuer: &Server, edit: impl FnOnce(&str) -> String) -> Result<Bearer, Error> {
        let recipe = Expected::all().into_iter().find(|expected| expected.name == "uk-open-banking").unwrap().recipe();
        let tls = r#"{ certificate = { file = "keys/certificate.pem" }, key = { file = "keys/rsa.pem" } }"#;
        assert!(recipe.contains(tls) && recipe.contains("https://auth.bank.example.com"));
        let file = |name: &str| format!("{{ file = '{}' }}", self.files.path().join(name).display());
        let own = format!(
            "{{ certificate = {}, key = {}, only_ca = {} }}",
            file("certificate.pem"),
            file("key.pem"),
            file("ca.pem")
        );
        let recipe = recipe.replace("https://auth.bank.example.com", &issuer.origin).replace(tls, &own);
        ProviderConfig::from_toml(&edit(&recipe))?.relative_to(directory()).build()?.token().await
    }
}

fn with_alias(recipe: &str) -> String {
    recipe.replace("[token_endpoint]\n", "[token_endpoint]\nuse_mtls_alias = true\n")
}

fn assert_is_by_the_recipe(form: &Value, issuer: &Server) {
    assert_eq!(form["grant_type"], "client_credentials");
    let assertion = &form["client_assertion"]["jwt"];
    assert_eq!(assertion["header"]["alg"], "PS256");
    assert_eq!(
        (&assertion["claims"]["aud"], &assertion["claims"]["iss"]),
        (&json!(issuer.origin), &json!("bank-client"))
    );
}

#[tokio::test]
async fn the_recipe_presents_its_certificate_in_each_handshake() {
    let ca = Ca::new("Directory");
    let (bank, client) = (Server::start(&ca, Clients::WithCertificate).await, Client::new(&ca));
    let token = client.token(&bank, str::to_owned).await.unwrap();
    assert_eq!(token.secret(), "token-of-the-bank");
    let requests = bank.token_requests(&client.certificate);
    let [(true, form)] = requests.as_slice() else { panic!("{requests:?}") };
    assert_is_by_the_recipe(form, &bank);
    let seen = bank.seen.lock().unwrap();
    assert!(seen.iter().all(|seen| seen.client.as_ref() == Some(client.certificate.der())));
}

#[tokio::test]
async fn a_client_without_a_certificate_is_told_what_the_server_wants() {
    let ca = Ca::new("Directory");
    let (bank, client) = (Server::start(&ca, Clients::WithCertificate).await, Client::new(&ca));
    let path = |name: &str| client.files.path().join(name).display().to_string();
    let only_the_ca = |recipe: &str| {
        let lines = recipe.lines().map(|line| match line.starts_with("tls = ") {
            true => format!("tls = {{ only_ca = {{ file = '{}' }} }}\n", path("ca.pem")),
            false => format!("{line}\n"),
        });
        lines.collect()
    };
    let error = client.token(&bank, only_the_ca).await.unwrap_err();
    let error = format!("{:?}", anyhow::Error::from(error));
    assert!(error.contains("certificate"), "{error}");
    assert!(bank.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_alias_for_mutual_tls_is_used_when_it_is_turned_on() {
    let ca = Ca::new("Directory");
    let (bank, mutual, client) = (
        Server::start(&ca, Clients::Anybody).await,
        Server::start(&ca, Clients::WithCertificate).await,
        Client::new(&ca),
    );
    let alias = json!({ "token_endpoint": format!("{}/token", mutual.origin) });
    bank.metadata.lock().unwrap()["mtls_endpoint_aliases"] = alias;

    client.token(&bank, with_alias).await.unwrap();
    assert!(bank.token_requests(&client.certificate).is_empty());
    let requests = mutual.token_requests(&client.certificate);
    let [(true, form)] = requests.as_slice() else { panic!("{requests:?}") };
    // The audience is the issuer, wherever the request goes.
    assert_is_by_the_recipe(form, &bank);

    client.token(&bank, str::to_owned).await.unwrap();
    // The usual endpoint does not ask for a certificate.
    let requests = bank.token_requests(&client.certificate);
    assert!(matches!(requests.as_slice(), [(false, _)]), "{requests:?}");
    assert_eq!(mutual.token_requests(&client.certificate).len(), 1);
}

#[tokio::test]
async fn a_server_without_an_alias_is_asked_at_its_usual_endpoint() {
    let ca = Ca::new("Directory");
    let (bank, client) = (Server::start(&ca, Clients::WithCertificate).await, Client::new(&ca));
    client.token(&bank, with_alias).await.unwrap();
    assert!(matches!(bank.token_requests(&client.certificate).as_slice(), [(true, _)]));
}
