//! What is said about the usual mistakes.

use bearer_token::Problem;

use super::ProviderConfig;

/// The only problem of a configuration.
fn problem(config: ProviderConfig) -> Problem {
    let error = config.build().unwrap_err();
    let [problem] = error.problems() else { panic!("{error}") };
    problem.clone()
}

fn of(toml: &str) -> String {
    problem(ProviderConfig::from_toml(toml).unwrap()).to_string()
}

fn of_variables(variables: &[(&str, &str)]) -> String {
    problem(ProviderConfig::from_variables("APP_", variables.iter().copied())).to_string()
}

const JWT: &str = "[jwt]\nalgorithm = \"HS256\"\nkey = \"0123456789abcdef0123456789abcdef\"";
const ENDPOINT: &str = "[token_endpoint]\nurl = \"https://as.example.com\"\nclient = { id = \"a\" }";

#[test]
fn types_are_called_as_toml_calls_them() {
    for (toml, expected) in [
        (
            format!("{JWT}\nexpiry_seconds = \"300\""),
            "found a string; expected a number of seconds, zero or more: write it without quotes",
        ),
        (format!("{JWT}\nexpiry_seconds = \"60s\""), "zero or more: write the number alone, without quotes and unit"),
        (format!("{JWT}\nexpiry_seconds = \"soon\""), "found a string; expected a number of seconds, zero or more"),
        (
            format!("{JWT}\nnot_before = \"true\""),
            "found a string; expected `true` or `false`: write it without quotes",
        ),
        (format!("{JWT}\nexpiry_seconds = -1"), "found a negative number; expected a number of seconds, zero or more"),
        (
            format!("{JWT}\nexpiry_seconds = -1.5"),
            "found a negative number; expected a number of seconds, zero or more",
        ),
        (format!("{JWT}\nnot_before = 1"), "found a number; expected `true` or `false`: write `true`, without quotes"),
        (format!("{JWT}\nnot_before = 7"), "found a number; expected `true` or `false`"),
        (format!("{JWT}\nnot_before = \"Off\""), "write `false`, without quotes"),
        (
            format!("{JWT}\nissuer = [\"a\"]"),
            "found a list; expected a string, or a table with one of `value`, `file`, `env`, `source` and `variable`",
        ),
        (format!("{JWT}\nclaims = 5"), "found a number; expected a table"),
        (
            format!("allow_origins = \"https://api.example.com\"\n{JWT}"),
            "found a string; expected a list: put it between `[` and `]`",
        ),
        (format!("{ENDPOINT}\nscope = 5"), "found a number; expected a string, or a list of strings"),
    ] {
        let said = of(&toml);
        assert!(said.ends_with(expected), "{said}");
    }
}

#[test]
fn near_names_are_suggested() {
    for (toml, expected) in [
        (format!("{JWT}\nisuer = \"a\""), "did you mean `jwt.issuer`?"),
        (format!("{JWT}\nexpiry = 60"), "did you mean `jwt.expiry_seconds`?"),
        (format!("issuer = \"a\"\n{JWT}"), "did you mean `jwt.issuer`?"),
        (format!("alow_origins = []\n{JWT}"), "did you mean `allow_origins`?"),
        (format!("{ENDPOINT}\nclient_id = \"a\""), "did you mean `token_endpoint.client.id`?"),
        (
            "[token-endpoint]\nurl = \"https://as.example.com/token\"\nallow_origins = [\"https://api.example.com\"]"
                .to_owned(),
            "did you mean `token_endpoint`?",
        ),
        (JWT.replace("HS256", "hs256"), "did you mean `HS256`?"),
        (JWT.replace("HS256", "HS-256"), "did you mean `HS256`?"),
        (ENDPOINT.replace("id =", "method = \"private_key\", id ="), "did you mean `private_key_jwt`?"),
        (ENDPOINT.replace("id =", "method = \"Basic\", id ="), "did you mean `basic`?"),
        (
            JWT.replace("\"0123456789abcdef0123456789abcdef\"", "{ value = \"x\", encodign = \"hex\" }"),
            "jwt.key.encoding`?",
        ),
    ] {
        let error = ProviderConfig::from_toml(&toml).unwrap().build().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn variables_hint_at_the_variable_that_was_meant() {
    let jwt = [("APP_JWT__ALGORITHM", "HS256"), ("APP_JWT__KEY", "0123456789abcdef0123456789abcdef")];
    for (variable, expected) in [
        ("APP_JWT__ISUER", "did you mean `APP_JWT__ISSUER`?"),
        ("APP_JWT_ISSUER", "did you mean `APP_JWT__ISSUER`?"),
        ("APP_TOKEN_ENDPOINT_CLIENT_ID", "did you mean `APP_TOKEN_ENDPOINT__CLIENT__ID`?"),
        ("APP_ALLOWED_ORIGINS", "did you mean `APP_ALLOW_ORIGINS`?"),
        ("APP_SERVICE_HOST", "found a variable that Kubernetes sets for a service"),
        ("APP_PORT", "`enableServiceLinks: false`"),
        ("APP_SERVICE_PORT_HTTPS", "or use a prefix that is not the name of a service"),
        ("APP_PORT_443_TCP_ADDR", "`enableServiceLinks: false`"),
    ] {
        let said = of_variables(&[jwt.as_slice(), &[(variable, "x")]].concat());
        assert!(said.starts_with(&format!("{variable}: ")) && said.contains(expected), "{said}");
    }
}

#[test]
fn a_path_in_place_of_a_secret_is_a_problem() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("hidden"), "s").unwrap();
    for (toml, path) in [
        ("token = \"/run/secrets/token\"".to_owned(), "token"),
        ("token = \"hidden\"".to_owned(), "token"),
        (JWT.replace("0123456789abcdef0123456789abcdef", "/run/secrets/jwt-hmac-secret-key"), "jwt.key"),
        (JWT.replace("0123456789abcdef0123456789abcdef", "key.pem"), "jwt.key"),
        (JWT.replace("0123456789abcdef0123456789abcdef", "hidden"), "jwt.key"),
        (ENDPOINT.replace("\"a\"", "\"a\", secret = \"./client\""), "token_endpoint.client.secret"),
        (format!("{ENDPOINT}\nheaders = {{ x-key = \"~/key\" }}"), "token_endpoint.headers.x-key"),
    ] {
        let problem = problem(ProviderConfig::from_toml(&toml).unwrap().relative_to(directory.path()));
        assert_eq!(problem.path(), path);
        let said = problem.message();
        assert!(
            said.starts_with("found a string that looks like the path of a file; expected the secret itself"),
            "{said}"
        );
        let advice =
            "did you mean `{ file = \"..\" }`? Or if this string is the secret itself, write `{ value = \"..\" }`";
        assert!(said.ends_with(advice), "{said}");
        for shown in ["/run", "hidden", "client\"", "key.pem", "~"] {
            assert!(!said.contains(shown), "{said}");
        }
    }
    let said = of_variables(&[("APP_TOKEN", "/run/secrets/token")]);
    assert!(said.contains("did you mean `APP_TOKEN__FILE`? Or if this string is the secret itself"), "{said}");
}

#[tokio::test]
async fn a_value_resembling_a_path_is_used_unchanged() {
    for path in ["/run/secrets/jwt-hmac-secret-key-of-32-bytes", "a-key-with-more-than-thirty-two-bytes.pem"] {
        let toml = format!("[jwt]\nalgorithm = \"HS256\"\nkey = {{ value = \"{path}\" }}");
        ProviderConfig::from_toml(&toml).unwrap().build().unwrap().token().await.unwrap();
    }
    let toml = "[jwt]\nalgorithm = \"HS256\"\nkey = { value = \"/run/short\" }";
    assert!(of(toml).contains("found a secret of 10 bytes"), "{}", of(toml));
}

#[test]
fn l52_newlines_and_control_characters_are_named() {
    for (toml, path) in [
        (format!("{JWT}\nissuer = \"me\\n\""), "jwt.issuer"),
        (format!("{JWT}\nsubject = \"me\\r\\n\""), "jwt.subject"),
        (format!("{JWT}\naudience = \"https://as.example.com\\n\""), "jwt.audience"),
        (format!("{JWT}\naudience = [\"a\", \"b\\u0000\"]"), "jwt.audience[1]"),
        (format!("{JWT}\nkid = \"k\\t\""), "jwt.kid"),
        (format!("{ENDPOINT}\nscope = \"read\\nwrite\""), "token_endpoint.scope"),
        (format!("{ENDPOINT}\ngrant_type = \"x\\n\""), "token_endpoint.grant_type"),
        (format!("{ENDPOINT}\nparameters = {{ resource = \"a\\nb\" }}"), "token_endpoint.parameters.resource"),
        (format!("{ENDPOINT}\nheaders = {{ x = \"a\\u0007\" }}"), "token_endpoint.headers.x"),
        (ENDPOINT.replace("\"a\"", "\"a\\n\""), "token_endpoint.client.id"),
        (ENDPOINT.replace("example.com\"", "example.com\\n\""), "token_endpoint.url"),
        (format!("allow_origins = [\"https://api.example.com\\n\"]\n{JWT}"), "allow_origins[0]"),
    ] {
        let found = problem(ProviderConfig::from_toml(&toml).unwrap());
        assert_eq!(found.path(), path, "{found}");
        assert!(found.message().contains("newline") || found.message().contains("control character"), "{found}");
    }
}

#[tokio::test]
async fn l49_a_secret_is_the_same_by_value_and_by_file() {
    let directory = tempfile::tempdir().unwrap();
    let bearer = async |toml: String| {
        let provider = ProviderConfig::from_toml(&toml).unwrap().relative_to(directory.path()).build().unwrap();
        provider.token().await.unwrap().secret().to_owned()
    };
    for end in ["", "\\n", "\\r\\n"] {
        for start in ["", "\\uFEFF"] {
            let text = format!("{start}t0ken{end}");
            std::fs::write(
                directory.path().join("token"),
                text.replace("\\n", "\n").replace("\\r", "\r").replace("\\uFEFF", "\u{feff}"),
            )
            .unwrap();
            assert_eq!(bearer(format!("token = \"{text}\"")).await, "t0ken");
            assert_eq!(bearer(format!("token = {{ value = \"{text}\" }}")).await, "t0ken");
            assert_eq!(bearer("token = { file = \"token\" }".to_owned()).await, "t0ken");
        }
    }
    for surplus in ["'t0ken'", "t0ken\\n\\n", "\\\"t0ken\\\""] {
        for toml in [format!("token = \"{surplus}\""), format!("token = {{ value = \"{surplus}\" }}")] {
            assert_eq!(problem(ProviderConfig::from_toml(&toml).unwrap()).path(), "token");
        }
    }
}

#[test]
fn other_formats_are_named_as_such() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text, expected) in [
        ("provider.yaml", "jwt:\n  issuer: me\n", "is YAML; expected TOML, or JSON"),
        ("provider.YML", "", "is YAML; expected TOML, or JSON"),
        ("provider.conf", "# comment\njwt:\n  issuer: me\n", "is this YAML?"),
        ("provider.toml", "{\"jwt\": {}}", "is this JSON?"),
        ("provider.json", "jwt = 1", "is not JSON from line 1, column 1 on"),
        ("other.toml", "jwt = [", "is not TOML"),
    ] {
        std::fs::write(directory.path().join(name), text).unwrap();
        let error = ProviderConfig::load(directory.path().join(name)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_byte_order_mark_before_a_file_is_ignored() {
    ProviderConfig::from_toml("\u{feff}token = \"t\"").unwrap().build().unwrap();
    ProviderConfig::from_json("\u{feff}{\"token\": \"t\"}").unwrap().build().unwrap();
}

#[test]
fn a_claim_with_its_own_setting_names_it() {
    let said = of(&format!("{JWT}\nclaims = {{ exp = 1 }}"));
    assert!(said.starts_with("jwt.claims.exp: ") && said.contains("set `jwt.expiry_seconds`"), "{said}");
    assert!(said.contains("set `jwt.expiration_time = false`"), "{said}");
}

#[test]
fn whole_providers_in_place_of_fields_are_one_problem() {
    let table = |name: &str| format!("[{name}]\nallow_origins = [\"https://a.example.com\"]\ntoken = \"t0ken\"\n");
    let two = format!("{}{}", table("orders"), table("billing"));
    let other_way = "or let the program read the file as a struct with a `ProviderConfig` for each provider";
    for (toml, expected) in [
        (
            two.clone(),
            "found 2 providers, `billing` and `orders`, each in a table of its own; expected the fields of one provider: write a file for each provider, ",
        ),
        (
            two.replace('[', "[providers.").replace("[providers.\"", "[\""),
            "found 2 providers, `providers.billing` and `providers.orders`, ",
        ),
        (
            table("orders"),
            "found one provider inside of the table `orders`; expected its fields, without a table or a list around them: write `allow_origins` in place of `orders.allow_origins`, and so on, ",
        ),
        (
            "[orders.token_endpoint]\nurl = \"https://as.example.com\"".to_owned(),
            "write `token_endpoint` in place of `orders.token_endpoint`, and so on, ",
        ),
        (
            format!(
                "[{}[{}",
                table("provider").replace(']', "]]").replace("com\"]]", "com\"]"),
                table("provider").replace(']', "]]").replace("com\"]]", "com\"]")
            ),
            "found 2 providers in the list `provider`; expected the fields of one provider: write a file",
        ),
    ] {
        let said = of(&toml);
        assert!(said.starts_with("configuration: ") && said.contains(expected) && said.ends_with(other_way), "{said}");
    }
    let nine: String = (0..10).map(|index| table(&format!("p{index}"))).collect();
    assert!(
        of(&nine).contains("found 10 providers, `p0`, `p1`, `p2`, `p3`, `p4`, `p5`, `p6`, `p7` and 2 others, "),
        "{}",
        of(&nine)
    );
    let json = r#"[{"name": "orders", "token": "t0ken"}, {"name": "billing", "token": "t0ken"}]"#;
    let said = problem(ProviderConfig::from_json(json).unwrap()).to_string();
    assert!(
        said.starts_with("configuration: found a list of 2 providers; expected the fields of one provider: "),
        "{said}"
    );
    assert!(!said.contains("t0ken"), "{said}");
}

#[test]
fn variables_of_whole_providers_name_the_longer_prefix() {
    let of_orders = ("APP_ORDERS__ALLOW_ORIGINS", "https://a.example.com");
    let said = of_variables(&[of_orders, ("APP_ORDERS__TOKEN", "t0ken"), ("APP_BILLING__ALLOW_ORIGINS", "[]")]);
    assert_eq!(
        said,
        "environment: found 2 providers, whose variables begin with `APP_BILLING__` and `APP_ORDERS__`; expected the \
         fields of one provider after the prefix: use one of these as the prefix"
    );
    let said = of_variables(&[of_orders]);
    assert!(said.contains("found one provider, whose variables begin with `APP_ORDERS__`;"), "{said}");
    // What the message says works.
    let variables = [of_orders, ("APP_ORDERS__TOKEN", "t0ken")];
    ProviderConfig::from_variables("APP_ORDERS__", variables).build().unwrap();
}

#[test]
fn a_table_with_a_name_near_a_field_is_that_field() {
    for (toml, expected) in [
        ("[token-endpoint]\nurl = \"https://as.example.com\"".to_owned(), "did you mean `token_endpoint`?"),
        (format!("[source.own]\ntoken = \"a\"\n{JWT}"), "did you mean `sources`?"),
        (format!("[client.jwt]\nalgorithm = \"HS256\"\n{JWT}"), "did you mean `token_endpoint.client`?"),
        (format!("[surprise]\ntoken = \"a\"\n{JWT}"), "surprise: found a field that does not exist"),
    ] {
        let error = ProviderConfig::from_toml(&toml).unwrap().build().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
