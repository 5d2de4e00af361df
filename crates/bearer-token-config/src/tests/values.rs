//! Values: where they are found, and what is done with them.

use super::*;

const ACCOUNT: &str = r#"{"client_email":"me@example.com","token_uri":"https://as.example.com/token"}"#;

async fn issuer(value: &str, directory: &Path) -> Result<String, String> {
    let toml = format!("[jwt]\nalgorithm = \"HS256\"\nkey = \"0123456789abcdef0123456789abcdef\"\nissuer = {value}");
    let provider = ProviderConfig::from_toml(&toml).unwrap().relative_to(directory).build();
    let provider = provider.map_err(|error| error.problems()[0].to_string())?;
    let token = provider.token().await.map_err(|error| error.to_string())?;
    Ok(part(token.secret(), 1)["iss"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_value_is_found_and_changed_step_by_step() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("account.json"), ACCOUNT).unwrap();
    for (value, expected) in [
        ("\"me\"", "me"),
        ("{ value = \"me\" }", "me"),
        ("{ value = \"a:b\", part = \"before :\" }", "a"),
        ("{ value = \"a::b\", part = \"after ::\" }", "b"),
        ("{ value = \"a\", prefix = \"(\", suffix = \")\" }", "(a)"),
        ("{ file = \"account.json\", member = \"/client_email\" }", "me@example.com"),
        ("{ file = \"account.json\", member = \"/client_email\", part = \"before @\", suffix = \"!\" }", "me!"),
        ("{ env = \"CARGO_PKG_NAME\" }", "bearer-token-config"),
        ("{ value = \"bWU=\", encoding = \"base64\" }", "me"),
        ("{ value = \"bWU\", encoding = \"base64url\" }", "me"),
        ("{ value = \"6d65\", encoding = \"hex\" }", "me"),
    ] {
        assert_eq!(issuer(value, directory.path()).await.as_deref(), Ok(expected), "{value}");
    }
}

#[tokio::test]
async fn a_problem_names_field_found_and_expected() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("account.json"), ACCOUNT).unwrap();
    for (value, path, found, expected) in [
        ("{}", "", "a table that does not say where the value is", "exactly one of `value`, `file`"),
        ("{ value = \"x\", env = \"Y\" }", "", "found `value` and `env` in one table", "exactly one of"),
        (
            "{ env = \"BEARER_TOKEN_TEST_NO_SUCH_VARIABLE\" }",
            "",
            "which is not set",
            "the name of a variable that is set",
        ),
        ("{ file = \"absent\" }", "", "absent` cannot be read", "begins beside the configuration"),
        ("{ file = \"account.json\", member = \"/email\" }", "", "found no member `/email`", "it has `/client_email`"),
        (
            "{ file = \"account.json\", member = \"email\" }",
            ".member",
            "does not begin with `/`",
            "a JSON pointer such as",
        ),
        ("{ value = \"x\", part = \"behind :\" }", ".part", "found another string", "`before :` or `after :`"),
        ("{ value = \"x\", part = \"before \" }", ".part", "found another string", "`before :` or `after :`"),
        ("{ value = \"x\", part = \"after :\" }", "", "found no `:` in it", "two parts around one"),
        ("{ value = \"x\", fresh = true }", ".fresh", "beside a value that is not a `source`", "remove it"),
        ("{ value = \"!\", encoding = \"hex\" }", "", "is not hex", "which the encoding says"),
        ("\"\"", "", "found an empty string", ""),
        ("{ value = \"x\", encoding = \"rot13\" }", ".encoding", "found another string", "`base64`"),
        ("{ vaule = \"x\" }", ".vaule", "found a field that does not exist", "did you mean `jwt.issuer.value`?"),
        ("{ variable = \"tenant\" }", ".variable", "which only a keyed provider gives", "`KeyedConfig`"),
        ("{ source = \"app\" }", ".source", "a source that does not exist", "`[sources.NAME]`"),
        ("7", "", "found a number", "a string, or a table with one of `value`"),
        ("\"two\\nlines\"", "", "found a newline in the string", "one line of text"),
    ] {
        let problem = issuer(value, directory.path()).await.unwrap_err();
        assert!(problem.starts_with(&format!("jwt.issuer{path}: ")), "{value}: {problem}");
        assert!(problem.contains(found) && problem.contains(expected), "{value}: {problem}");
    }
}

#[tokio::test]
async fn every_string_may_be_a_value() {
    let directory = tempfile::tempdir().unwrap();
    let account =
        format!(r#"{{"id":"me","secret":"s3cret","url":"https://as.example.com/token","key":{RSA:?},"word":"read"}}"#);
    std::fs::write(directory.path().join("account.json"), account).unwrap();
    let of = |member: &str| format!("{{ file = \"account.json\", member = \"/{member}\" }}");
    let toml = format!(
        "[jwt]\nalgorithm = \"RS256\"\nkey = {}\nkid = {id}\nissuer = {id}\nsubject = {id}\naudience = [{url}, \"other\"]\n\
         [token_endpoint]\nurl = {url}\nscope = [{word}, \"write\"]\nclient = {{ id = {id}, secret = {}, method = \"post\" }}\n\
         parameters = {{ resource = {url} }}\nheaders = {{ x-id = {id} }}",
        of("key"),
        of("secret"),
        id = of("id"),
        url = of("url"),
        word = of("word"),
    );
    let config = ProviderConfig::from_toml(&toml).unwrap().relative_to(directory.path());
    let (request, form) = request_of(config).await;
    assert_eq!(request.uri(), "https://as.example.com/token");
    assert_eq!(request.headers()["x-id"], "me");
    for (name, value) in [
        ("client_id", "me"),
        ("client_secret", "s3cret"),
        ("scope", "read write"),
        ("resource", "https://as.example.com/token"),
    ] {
        assert_eq!(parameter(&form, name), Some(value), "{name}");
    }
    let jwt = parameter(&form, "assertion").unwrap();
    let (header, claims) = (part(jwt, 0), part(jwt, 1));
    assert_eq!((&header["kid"], &claims["iss"], &claims["sub"]), (&"me".into(), &"me".into(), &"me".into()));
    assert_eq!(claims["aud"], serde_json::json!(["https://as.example.com/token", "other"]));
}

#[test]
fn l38_no_part_of_a_value_is_shown() {
    const MARKER: &str = "planted-secret-marker";
    for value in [
        format!("{{ value = \"{MARKER}\", member = \"/a\" }}"),
        format!("{{ value = \"{MARKER}\", part = \"after :\" }}"),
        format!("{{ value = \"{MARKER}\", encoding = \"hex\" }}"),
        format!("{{ value = \"{MARKER}\\nx\" }}"),
        format!("{{ file = \"absent\", prefix = \"{MARKER}\", suffix = \"{MARKER}\" }}"),
        format!("{{ value = \"{MARKER}\", fresh = true }}"),
        format!("{{ value = \"{MARKER}\", part = \"{MARKER}\" }}"),
        format!("{{ value = \"{MARKER}\", env = \"{MARKER}\" }}"),
        format!("{{ prefix = \"{MARKER}\" }}"),
    ] {
        for field in ["token", "jwt.issuer", "token_endpoint.url", "token_endpoint.headers.x", "sources.a.token"] {
            let toml = format!("{field} = {value}");
            let error = ProviderConfig::from_toml(&toml).unwrap().build().expect_err(&toml);
            assert!(!format!("{error} {error:?} {error:#?}").contains(MARKER), "{toml}: {error:?}");
        }
    }
}
