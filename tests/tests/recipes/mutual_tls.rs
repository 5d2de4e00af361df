//! The recipe of UK Open Banking, through the configuration's own transport to TLS servers on loopback.

use std::{
    convert::Infallible,
    fs,
    sync::{Arc, Mutex},
};

use bearer_token::{Bearer, Error};
use bearer_token_config::ProviderConfig;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::{RootCertStore, ServerConfig, crypto::aws_lc_rs, pki_types::CertificateDer, server::WebPkiClientVerifier};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::{
    decoded,
    expected::{Expected, directory},
    signature::Keys,
};

/// A certificate authority, of servers and of clients.
struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Directory");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2120, 1, 1));
        Ca(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2120, 1, 1));
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }
}

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
    async fn start(ca: &Ca, is_mutual: bool) -> Self {
        let (certificate, key) = ca.issue("localhost", ExtendedKeyUsagePurpose::ServerAuth);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = if is_mutual {
            let mut roots = RootCertStore::empty();
            roots.add(ca.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            config.with_client_cert_verifier(verifier)
        } else {
            config.with_no_client_auth()
        };
        let key = key.serialize_der().try_into().unwrap();
        let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let metadata = json!({ "issuer": origin, "token_endpoint": format!("{origin}/token") });
        let (metadata, seen) = (Arc::new(Mutex::new(metadata)), Arc::new(Mutex::new(Vec::new())));
        let mut tasks = JoinSet::new();
        let for_task = (Arc::clone(&metadata), Arc::clone(&seen));
        tasks.spawn(async move {
            let (metadata, seen) = for_task;
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, metadata, seen) = (acceptor.clone(), Arc::clone(&metadata), Arc::clone(&seen));
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let client = stream.get_ref().1.peer_certificates().map(|chain| chain[0].clone().into_owned());
                    let service = service_fn(|request| respond(request, client.clone(), &metadata, &seen));
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
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
    metadata: &Mutex<Value>,
    seen: &Mutex<Vec<Seen>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let request = Request::from_parts(head, body.collect().await.unwrap().to_bytes());
    let body = match request.method().as_str() {
        "POST" => json!({ "access_token": "token-of-the-bank", "token_type": "Bearer", "expires_in": 300 }),
        _ => metadata.lock().unwrap().clone(),
    };
    seen.lock().unwrap().push(Seen { client, request });
    let response = Response::builder().header("content-type", "application/json");
    Ok(response.body(body.to_string().into()).unwrap())
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
        let (certificate, key) = ca.issue("bank-client", ExtendedKeyUsagePurpose::ClientAuth);
        let files = tempfile::tempdir().unwrap();
        for (name, pem) in
            [("ca.pem", ca.0.pem()), ("certificate.pem", certificate.pem()), ("key.pem", key.serialize_pem())]
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
    let ca = Ca::new();
    let (bank, client) = (Server::start(&ca, true).await, Client::new(&ca));
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
    let ca = Ca::new();
    let (bank, client) = (Server::start(&ca, true).await, Client::new(&ca));
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
    let ca = Ca::new();
    let (bank, mutual, client) = (Server::start(&ca, false).await, Server::start(&ca, true).await, Client::new(&ca));
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
    let ca = Ca::new();
    let (bank, client) = (Server::start(&ca, true).await, Client::new(&ca));
    client.token(&bank, with_alias).await.unwrap();
    assert!(matches!(bank.token_requests(&client.certificate).as_slice(), [(true, _)]));
}
