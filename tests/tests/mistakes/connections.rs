//! Servers that cannot be reached, each for another reason.

use std::{env, net::TcpListener, process::Command};

use bearer_token::{
    Error, TokenProvider,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
    transport::{HttpTransport, HttpTransportBuilder},
};
use bearer_token_testing::AuthorizationServer;
use tests::tls::Ca;

use crate::{
    events::events,
    row::{PROVIDER, Row, Told},
    tls::refused,
    world::run,
};

/// The error of the first token from this URL.
fn error(url: &str, transport: HttpTransportBuilder) -> Error {
    let source = TokenEndpoint::builder(url, ClientCredentials::new())
        .client_auth(ClientAuth::basic("reports", "planted-secret"))
        .transport(transport.build().unwrap())
        .build()
        .unwrap();
    let provider =
        TokenProvider::builder(source).allow_origin("https://api.example.com").name(PROVIDER).build().unwrap();
    run(async { provider.token().await.unwrap_err() })
}

fn told(url: &str, transport: HttpTransportBuilder) -> Told {
    let (error, events) = events(|| error(url, transport));
    Told::error(&error).with_event(&events)
}

/// Why these messages have no clause about what was expected.
const CONNECTION: &str = "the sentence begins with what is missing: a connection";

pub(crate) fn rows() -> Vec<Row> {
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let plain = AuthorizationServer::start().unwrap();
    let (ca, other, again) = (Ca::new("a CA"), Ca::new("another CA"), Ca::new("a CA"));
    let trusting = || HttpTransport::builder().no_proxy().only_ca(ca.pem());
    let direct = || HttpTransport::builder().no_proxy();
    vec![
        Row::new(
            "22",
            "a port where no server listens",
            told(&format!("http://127.0.0.1:{free}/token"), direct()),
            ["http://127.0.0.1", "connection refused"],
            [],
            ["check the port"],
        )
        .expects_nothing(CONNECTION),
        Row::new(
            "23",
            "a host that does not exist",
            told("https://as.invalid/token", trusting()),
            ["https://as.invalid", "could not be resolved"],
            [],
            ["check the host", "DNS"],
        )
        .expects_nothing(CONNECTION),
        Row::new(
            "24",
            "a private CA",
            told(&refused(&ca, "127.0.0.1", 2100), direct().only_ca(other.pem())),
            ["https://127.0.0.1", "certificate", "CA that is not trusted"],
            [],
            ["`ca`", "SSL_CERT_FILE"],
        )
        .expects_nothing(CONNECTION),
        Row::new(
            "24 again",
            "a private CA that was made again with the same name",
            told(&refused(&ca, "127.0.0.1", 2100), direct().only_ca(again.pem())),
            ["https://127.0.0.1", "certificate", "CA that is not trusted"],
            [],
            ["`ca`", "SSL_CERT_FILE"],
        )
        .expects_nothing(CONNECTION),
        Row::new(
            "25",
            "a server certificate that has expired",
            told(&refused(&ca, "127.0.0.1", 2021), trusting()),
            ["https://127.0.0.1", "certificate expired", "ago"],
            [],
            ["renew it"],
        )
        .expects_nothing(CONNECTION),
        Row::new(
            "25 name",
            "a server certificate for another host",
            told(&refused(&ca, "as.example.com", 2100), trusting()),
            ["certificate is for another host name"],
            ["that the certificate covers"],
            ["use a host name in the URL"],
        ),
        Row::new(
            "26",
            "https on a port of http",
            told(&plain.token_url().replace("http:", "https:"), trusting()),
            ["does not speak TLS"],
            ["`https`"],
            ["check the port"],
        ),
        Row::new(
            "27",
            "a proxy that is down",
            told(
                "https://as.example.com/token",
                HttpTransport::builder().only_ca(ca.pem()).proxy(format!("http://127.0.0.1:{free}")),
            ),
            ["https://as.example.com", "proxy", &*format!("127.0.0.1:{free}").leak(), "connection refused"],
            [],
            ["proxy"],
        )
        .expects_nothing(CONNECTION),
        Row::new(
            "28",
            "a machine without CA certificates",
            in_a_process_without_certificates(),
            ["CA certificates"],
            [],
            ["install", "`ca-certificates`", "SSL_CERT_FILE"],
        )
        .expects_nothing("what could not be read is what was expected"),
    ]
}

/// The message of [`child`], which this program runs again with another environment.
fn in_a_process_without_certificates() -> Told {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "connections::child", "--ignored", "--nocapture"])
        .env("SSL_CERT_FILE", "/nowhere/certificates.pem")
        .env("SSL_CERT_DIR", "/nowhere")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    Told::message(output.lines().find_map(|line| line.strip_prefix("told: ")).expect("a message"))
}

#[test]
#[ignore = "is run by the table, in an environment of its own"]
fn child() {
    println!("\ntold: {}", error("https://127.0.0.1:9/token", HttpTransport::builder().no_proxy()));
}
