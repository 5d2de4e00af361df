//! Token requests: their method, their body, their parameters, and what they exchange.

use super::*;

fn endpoint(fields: &str) -> ProviderConfig {
    let toml = format!("[token_endpoint]\nurl = \"https://as.example.com/token?v=1\"\n{fields}");
    ProviderConfig::from_toml(&toml).unwrap()
}

async fn sent(config: ProviderConfig) -> (String, String, String) {
    let (request, _) = request_of(config).await;
    let body = String::from_utf8(request.body().to_vec()).unwrap();
    (request.method().to_string(), request.uri().to_string(), body)
}

#[tokio::test]
async fn parameters_are_where_and_how_the_server_wants_them() {
    let parameters = "parameters = { b = \"2\", resource = [\"x\", \"y\"], n = 5, on = true }";
    for (fields, method, url, body) in [
        ("grant_type = \"\"", "POST", "https://as.example.com/token?v=1", "b=2&n=5&on=true&resource=x&resource=y"),
        (
            "grant_type = \"\"\nbody = \"json\"",
            "POST",
            "https://as.example.com/token?v=1",
            r#"{"b":"2","n":5,"on":true,"resource":["x","y"]}"#,
        ),
        (
            "grant_type = \"\"\nmethod = \"GET\"\nbody = \"query\"",
            "GET",
            "https://as.example.com/token?v=1&b=2&n=5&on=true&resource=x&resource=y",
            "",
        ),
        (
            "grant_type = \"custom\"\nmethod = \"PUT\"\nclient = { id = \"me\" }",
            "PUT",
            "https://as.example.com/token?v=1",
            "grant_type=custom&b=2&n=5&on=true&resource=x&resource=y&client_id=me",
        ),
    ] {
        let found = sent(endpoint(&format!("{fields}\n{parameters}"))).await;
        assert_eq!((&*found.0, &*found.1, &*found.2), (method, url, body), "{fields}");
    }
    let found = sent(endpoint("grant_type = \"\"\nbody = \"none\"\nmethod = \"GET\"")).await;
    assert_eq!(found, ("GET".into(), "https://as.example.com/token?v=1".into(), String::new()));
}

#[tokio::test]
async fn a_tree_of_values_is_sent_as_json() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("token"), "first\n").unwrap();
    let fields = r#"
        grant_type = ""
        body = "json"
        [token_endpoint.parameters]
        jwt = { file = "token" }
        permissions = { contents = "read", value = { value = "x" } }
        list = [{ deep = { file = "token", prefix = "<", suffix = ">" } }, 1.5]
    "#;
    let recorder = Recorder::default();
    let config = endpoint(fields).relative_to(directory.path()).transport(recorder.clone());
    let provider = config.build().unwrap();
    provider.token().await.unwrap();
    std::fs::write(directory.path().join("token"), "second\n").unwrap();
    provider.refresh_now().await.unwrap();
    let bodies: Vec<Value> =
        recorder.0.lock().unwrap().iter().map(|request| serde_json::from_slice(request.body()).unwrap()).collect();
    for (body, token) in bodies.iter().zip(["first", "second"]) {
        assert_eq!(
            *body,
            serde_json::json!({
                "jwt": token,
                "permissions": { "contents": "read", "value": "x" },
                "list": [{ "deep": format!("<{token}>") }, 1.5],
            })
        );
    }
}

#[tokio::test]
async fn l24_headers_and_parameters_in_files_are_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    std::fs::write(&file, "first\n").unwrap();
    let fields =
        "grant_type = \"\"\nheaders = { x-key = { file = \"key\" } }\nparameters = { key = { file = \"key\" } }";
    let recorder = Recorder::default();
    let provider = endpoint(fields).relative_to(directory.path()).transport(recorder.clone()).build().unwrap();
    provider.token().await.unwrap();
    std::fs::write(&file, "second\n").unwrap();
    provider.refresh_now().await.unwrap();
    for (request, key) in recorder.0.lock().unwrap().iter().zip(["first", "second"]) {
        assert_eq!(request.headers()["x-key"], key);
        assert_eq!(request.body(), format!("key={key}").as_bytes());
    }
}

#[tokio::test]
async fn an_assertion_may_be_made_elsewhere_and_have_another_name() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("token"), "projected\n").unwrap();
    let config = endpoint("assertion = { file = \"token\" }\nassertion_parameter = \"jwt\"");
    let (_, _, body) = sent(config.relative_to(directory.path())).await;
    assert_eq!(body, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&jwt=projected");
    let jwt = "[jwt]\nalgorithm = \"HS256\"\nkey = \"0123456789abcdef0123456789abcdef\"";
    let (_, form) = request_of(endpoint(&format!("assertion_parameter = \"token\"\n{jwt}"))).await;
    assert_eq!(part(parameter(&form, "token").unwrap(), 0)["alg"], "HS256");
}

// shows: 8693/2.1c
#[tokio::test]
async fn a_token_is_exchanged_for_another_one() {
    let toml = r#"
        [sources.platform]
        token = "platform-token"
        [token_exchange]
        subject_token = { source = "platform" }
        subject_token_type = "id_token"
        actor_token = { value = "actor" }
        actor_token_type = "urn:example:actor"
        requested_token_type = "access_token"
        [token_endpoint]
        url = "https://as.example.com/token"
        parameters = { audience = "//iam.example.com/pools/reports" }
    "#;
    let (_, form) = request_of(ProviderConfig::from_toml(toml).unwrap()).await;
    for (name, value) in [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", "platform-token"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ("actor_token", "actor"),
        ("actor_token_type", "urn:example:actor"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("audience", "//iam.example.com/pools/reports"),
    ] {
        assert_eq!(parameter(&form, name), Some(value), "{name}");
    }
}

#[test]
fn mistakes_name_the_parameter() {
    for (fields, path, message) in [
        ("method = \"get\"", "method", "did you mean `GET`?"),
        ("body = \"jsn\"", "body", "did you mean `json`?"),
        ("parameters = { a = { b = \"c\" } }", "parameters.a", "set `token_endpoint.body = \"json\"`"),
        ("body = \"json\"\nparameters = { a = { file = \"x\", sufix = \"c\" } }", "parameters.a.sufix", "a.suffix`?"),
        ("body = \"json\"\nparameters = { a = [{ b = { env = \"X_NOT_SET\" } }] }", "parameters.a[0].b", "is not set"),
        ("parameters = { a = { value = \"x\", encoding = \"y\" } }", "parameters.a.encoding", "expected one of"),
        ("parameters = { a = { value = \"x\", fresh = 1 } }", "parameters.a.fresh", "expected `true` or `false`"),
        ("parameters = { a = \"/run/secrets/key\" }", "parameters.a", "looks like the path of a file"),
        ("method = \"GET\"\nparameters = { a = \"b\" }", "body", "set `token_endpoint.body = \"query\"`"),
        ("assertion_parameter = \"jwt\"", "assertion_parameter", "a `jwt` to sign, or `assertion`"),
        ("assertion = \"ey\"", "assertion", "found a literal, which expires"),
        ("headers = { x = { source = \"x\" } }", "headers.x.source", "a source that does not exist"),
    ] {
        let toml = format!("[token_endpoint]\nurl = \"https://as.example.com\"\nclient = {{ id = \"me\" }}\n{fields}");
        let found = problems(&toml);
        assert_eq!(found.len(), 1, "{fields}: {found:?}");
        assert_eq!(found[0].path(), format!("token_endpoint.{path}"), "{fields}");
        assert!(found[0].message().contains(message), "{fields}: {}", found[0]);
    }
}

/// The same response to every request.
struct Answer(&'static str);

impl Transport for Answer {
    async fn send(&self, _request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
        Ok(http::Response::new(Bytes::from_static(self.0.as_bytes())))
    }
}

#[tokio::test]
async fn a_response_is_read_where_it_has_its_token() {
    for (response, body, token) in [
        (
            "token = \"/auth/client_token\", expires_in = \"/auth/lease\", never = 0",
            r#"{"auth":{"client_token":"a","lease":0}}"#,
            "a",
        ),
        ("token = \"/iamToken\", expires_at = \"/at\"", r#"{"iamToken":"b","at":"2999-01-01T00:00:00Z"}"#, "b"),
        ("token = \"\"", "c\n", "c"),
        ("token = \"/data/0/t\", expires_in = \"/ms\", unit = \"ms\"", r#"{"data":[{"t":"d"}],"ms":60000}"#, "d"),
    ] {
        let config = endpoint(&format!("grant_type = \"\"\nresponse = {{ {response} }}")).transport(Answer(body));
        let bearer = config.build().unwrap().token().await.unwrap();
        assert_eq!(bearer.secret(), token, "{response}");
        assert_eq!(bearer.expires_at().is_some(), !response.contains("never"), "{response}");
    }
}

#[cfg(feature = "http-transport")]
#[test]
fn tls_is_checked_when_the_provider_is_built() {
    let build =
        |tls: &str| endpoint(&format!("grant_type = \"\"\ntitle_case_headers = true\ntls = {{ {tls} }}")).build();
    build(&format!("ca = '''{CERTIFICATE}'''")).unwrap();
    build(&format!("certificate = '''{CERTIFICATE}''', key = '''{RSA}'''")).unwrap();
    for (tls, path) in [
        ("ca = { file = \"absent\" }".to_owned(), "ca"),
        ("only_ca = \"x\"".to_owned(), "only_ca"),
        (format!("key = '''{RSA}'''"), "key"),
        (format!("certificate = '''{CERTIFICATE}'''"), "certificate"),
    ] {
        let error = build(&tls).unwrap_err();
        assert!(error.problems()[0].path().starts_with("token_endpoint.tls"), "{path}: {error}");
    }
}
