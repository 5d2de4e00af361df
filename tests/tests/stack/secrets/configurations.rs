//! Errors of unusable configurations.

use bearer_token::{
    StaticToken, TokenProvider,
    jwt::{Algorithm, Encoding, JwtTemplate, KeyReader, SigningKey},
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
};
use bearer_token_config::ProviderConfig;
use bearer_token_testing::TestKey;
use serde_json::json;

use super::{CLAIM, CLIENT_SECRET, HEADER, HMAC_SECRET, PARAMETER, QUERY, STATIC, USER, shown::Shown};
use crate::support::CLIENT;

/// Configurations with one mistake of each kind.
pub(super) fn configurations(shown: &mut Shown, rsa: &TestKey) {
    let pem = rsa.private_pem();
    let broken_pem = pem.replacen("MII", "!!!", 1);
    let encoded = |encoding| KeyReader::new().algorithm(Algorithm::HS256).encoding(encoding);
    for (what, key) in [
        ("a broken PEM", SigningKey::from_pem(Algorithm::RS256, &broken_pem)),
        ("a PEM that is cut off", SigningKey::from_pem(Algorithm::RS256, &pem[..pem.len() / 2])),
        ("no PEM", SigningKey::from_pem(Algorithm::RS256, HMAC_SECRET)),
        ("a key for another algorithm", SigningKey::from_pem(Algorithm::ES256, pem)),
        ("a PEM as a secret", SigningKey::hmac(Algorithm::HS256, pem)),
        ("a PEM for HMAC", SigningKey::from_pem(Algorithm::HS256, pem)),
        ("a secret that is too short", SigningKey::hmac(Algorithm::HS512, &HMAC_SECRET[..30])),
        ("no base64", encoded(Encoding::Base64).read(CLIENT_SECRET)),
        ("no hex", encoded(Encoding::Hex).read(CLIENT_SECRET)),
    ] {
        shown.refusal(what, key);
    }
    shown.refusal("a secret as an algorithm", HMAC_SECRET.parse::<Algorithm>());
    let key = SigningKey::hmac(Algorithm::HS256, HMAC_SECRET).unwrap();
    let template =
        JwtTemplate::builder(key.clone()).claim("exp", CLAIM).claim("jti", CLAIM).issuer("a").claim("iss", CLAIM);
    shown.refusal("claims that are fixed", template.build());
    let template =
        JwtTemplate::builder(key.clone()).header("alg", CLAIM).header("typ", json!([CLAIM])).header("crit", CLAIM);
    shown.refusal("header members that are not to be set", template.build());

    let url = "https://as.example.com/token";
    let endpoint = |url: &str| TokenEndpoint::builder(url, ClientCredentials::new());
    for (what, endpoint) in [
        ("user information", endpoint(&format!("https://{USER}:{USER}@as.example.com/token"))),
        ("a fragment", endpoint(&format!("https://as.example.com/token#{QUERY}"))),
        ("plaintext", endpoint(&format!("http://as.example.com/token?{QUERY}"))),
        ("no URL", endpoint(QUERY)),
        ("another scheme", endpoint(&format!("ftp://{USER}@as.example.com/{QUERY}"))),
        (
            "two newlines after a secret",
            endpoint(url).client_auth(ClientAuth::basic(CLIENT, format!("{CLIENT_SECRET}\n\n"))),
        ),
        (
            "two newlines in the body",
            endpoint(url).client_auth(ClientAuth::post(CLIENT, format!("{CLIENT_SECRET}\n\n"))),
        ),
        ("a secret as a parameter", endpoint(url).parameter("client_secret", CLIENT_SECRET)),
        ("an assertion as a parameter", endpoint(url).parameter("assertion", PARAMETER)),
        ("a header that cannot be", endpoint(url).header("x-api-key", format!("{HEADER}\n"))),
        ("a header's name that cannot be", endpoint(url).header(format!("x {HEADER}"), HEADER)),
        ("a header of the request", endpoint(url).header("content-type", HEADER)),
        (
            "two credentials",
            endpoint(url).client_auth(ClientAuth::basic(CLIENT, CLIENT_SECRET)).header("authorization", HEADER),
        ),
        ("a secret where a key is wanted", endpoint(url).client_auth(ClientAuth::private_key_jwt(CLIENT, key))),
    ] {
        shown.value(what, &endpoint);
        shown.refusal(what, endpoint.build());
    }
    for origin in [
        format!("https://{USER}:{USER}@api.example.com"),
        format!("https://api.example.com/?key={QUERY}"),
        format!("https://api.example.com/{QUERY}"),
        format!("ftp://api.example.com?{QUERY}"),
        format!("http://api.example.com?{QUERY}"),
        format!("not a URI: {QUERY}"),
        format!("https://api.example.com:{QUERY}"),
    ] {
        let builder = TokenProvider::builder(StaticToken::new(STATIC)).allow_origin(&origin);
        shown.refusal(
            "an origin that is none",
            builder.connection_origin(&origin).allow_plaintext_origin(&origin).build(),
        );
    }
    for toml in [
        format!("token = {{ value = \"{STATIC}\nx\" }}"),
        format!("token = \"{STATIC}"),
        format!("tokn = \"{STATIC}\""),
        format!("token = {{ value = \"{STATIC}\", file = \"{STATIC}\" }}"),
        format!("token = {{ file = [\"{STATIC}\"] }}"),
        format!("token = [\"{STATIC}\"]"),
        format!("token = {{ value = \"{STATIC}\", encoding = \"{CLAIM}\" }}"),
        format!("[token_endpoint]\nurl = \"https://{USER}@as.example.com/\"\nclient = \"{CLIENT_SECRET}\""),
        format!(
            "[token_endpoint]\nurl = \"https://as.example.com/\"\n[token_endpoint.client]\nsecret = {{ vaule = \"{CLIENT_SECRET}\" }}"
        ),
        format!(
            "[token_endpoint]\nurl = \"https://as.example.com/\"\nclient = {{ method = \"{CLIENT_SECRET}\", id = 7 }}"
        ),
        format!(
            "[token_endpoint]\nurl = [\"{QUERY}\"]\nparameters = \"{PARAMETER}\"\nheaders = {{ x-api-key = [\"{HEADER}\"] }}"
        ),
        format!("[jwt]\nalgorithm = \"{HMAC_SECRET}\"\nkey = \"{HMAC_SECRET}\""),
        format!("[jwt]\nalgorithm = \"RS256\"\nkey = \"{HMAC_SECRET}\"\nclaims = {{ exp = \"{CLAIM}\" }}"),
        format!("[jwt]\nalgorithm = \"HS256\"\nkey = {{ value = \"{HMAC_SECRET}\", encoding = \"hex\" }}"),
        format!("[jwt]\nalgorithm = \"HS256\"\nkey = '''{pem}'''"),
        format!("[jwt]\nalgorithm = \"ES256\"\nkey = '''{pem}'''\nexpiry_seconds = \"{CLAIM}\""),
        STATIC.to_owned(),
        format!("[policy]\nfetch_timeout_seconds = \"{CLAIM}\"\ntransient_backoff = \"{CLAIM}\""),
    ] {
        match ProviderConfig::from_toml(&toml) {
            Ok(config) => {
                shown.value("ProviderConfig", &config);
                shown.refusal(&format!("a configuration: {toml}"), config.build());
            }
            Err(error) => shown.error("no TOML", &error),
        }
    }
    for text in [format!("{{\"token\": \"{STATIC}\""), format!("{{\"token\": {STATIC}}}"), format!("\"{STATIC}\"")] {
        shown.refusal("no JSON", ProviderConfig::from_json(&text).and_then(ProviderConfig::build));
    }
}
