//! Computed members of a JWT, and certificates.

use super::*;

async fn jwt(fields: &str) -> (Value, Value) {
    let toml = format!("[jwt]\nalgorithm = \"RS256\"\nkey = '''{RSA}'''\n{fields}");
    let provider = ProviderConfig::from_toml(&toml).unwrap().build().unwrap();
    let token = provider.token().await.unwrap();
    (part(token.secret(), 0), part(token.secret(), 1))
}

#[tokio::test]
async fn members_are_computed_for_each_jwt() {
    let (header, claims) = jwt(r#"
        computed = { iss = "A.U.SHA256:{key.sha256:base64}", ms = "{now:ms}", uris = ["{uuid}", "{{x}"], exp = "{expiry}" }
        computed_headers = { nonce = "{random:hex16}" }
    "#)
    .await;
    assert!(claims["iss"].as_str().unwrap().starts_with("A.U.SHA256:") && claims["iss"].as_str().unwrap().len() == 55);
    assert_eq!(claims["ms"].as_u64().unwrap(), claims["iat"].as_u64().unwrap() * 1000);
    assert_eq!((claims["uris"][0].as_str().unwrap().len(), &claims["uris"][1]), (36, &"{x}".into()));
    assert!(claims["exp"].is_u64());
    assert_eq!(header["nonce"].as_str().unwrap().len(), 32);
}

// shows: 7519/2
#[tokio::test]
async fn only_a_time_alone_is_a_number() {
    for (given, is_number) in
        [("{now}", true), ("{now:ms}", true), ("{expiry:ms}", true), ("{now} ", false), ("{uuid}", false), ("5", false)]
    {
        let (_, claims) = jwt(&format!("computed = {{ a = \"{given}\" }}")).await;
        assert_eq!(claims["a"].is_u64(), is_number, "{given}: {claims}");
    }
}

#[tokio::test]
async fn the_certificate_is_named_or_sent() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("both.pem"), format!("{RSA}\n{CERTIFICATE}")).unwrap();
    let toml = r#"
        [jwt]
        algorithm = "PS256"
        key = { file = "both.pem" }
        certificate = { file = "both.pem" }
        certificate_chain = true
        computed_headers = { "x5t#S256" = "{certificate.sha256:base64url}", x5t = "{certificate.sha1:base64url}" }
    "#;
    let provider = ProviderConfig::from_toml(toml).unwrap().relative_to(directory.path()).build().unwrap();
    let header = part(provider.token().await.unwrap().secret(), 0);
    assert_eq!(header["x5t#S256"].as_str().unwrap().len(), 43);
    assert_eq!(header["x5t"].as_str().unwrap().len(), 27);
    assert!(CERTIFICATE.replace('\n', "").contains(header["x5c"][0].as_str().unwrap()));
}

#[test]
fn mistakes_name_the_member() {
    for (fields, path, message) in [
        ("computed = { a = \"{nwo}\" }", "computed.a", "did you mean `{now}`?"),
        ("computed = { a = [\"{uuid}\", \"{\"] }", "computed.a[1]", "found `{` without `}`"),
        ("computed = { a = 5 }", "computed.a", "found a number; expected a string with placeholders"),
        ("computed = { a = \"{request.host}\" }", "computed.a", "build a `KeyedConfig`"),
        ("computed = { a = \"{certificate.sha1:hex}\" }", "computed.a", "found no certificate"),
        ("computed = { a = \"x\" }\nclaims = { a = 1 }", "computed.a", "among the fixed ones"),
        ("certificate_chain = true", "certificate_chain", "set `jwt.certificate`"),
        ("certificate = { file = \"absent\" }", "certificate", "absent` cannot be read"),
    ] {
        let found = problems(&format!("[jwt]\nalgorithm = \"RS256\"\nkey = '''{RSA}'''\n{fields}"));
        assert_eq!(found.len(), 1, "{fields}: {found:?}");
        assert!(found[0].message().contains(message), "{fields}: {}", found[0]);
        assert_eq!(found[0].path(), format!("jwt.{path}"), "{fields}: {}", found[0]);
    }
}
