//! Configurations that cannot work.

use std::{fs, path::PathBuf};

use bearer_token::{Error, TokenProvider};
use bearer_token_config::ProviderConfig;

use crate::{
    names::PREFIX,
    row::{PROVIDER, Row, Told},
};

fn toml(text: &str) -> Told {
    let text = &format!("name = \"{PROVIDER}\"\n{text}");
    let result = ProviderConfig::from_toml(text).and_then(ProviderConfig::build);
    Told::result(result).of_configuration(text)
}

/// A configuration in a file with this name.
fn file(name: &str, text: &str) -> Told {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, text).unwrap();
    Told::result(ProviderConfig::load(&path).and_then(ProviderConfig::build)).of_configuration(text)
}

/// A configuration with a secret in a file, named with its path.
fn with_file(name: &str, content: &[u8], text: impl Fn(&str) -> String) -> Told {
    let directory = tempfile::tempdir().unwrap();
    let path: PathBuf = directory.path().join(name);
    fs::write(&path, content).unwrap();
    toml(&text(path.to_str().unwrap()))
}

/// An authorization server, a client, and what is wrong with either.
fn endpoint(wrong: &str) -> Told {
    let base =
        "allow_origins = [\"https://api.example.com\"]\n[token_endpoint]\nurl = \"https://as.example.com/token\"";
    toml(&format!("{base}\n{wrong}"))
}

fn client(wrong: &str) -> Told {
    endpoint(&format!("[token_endpoint.client]\n{wrong}"))
}

fn jwt(wrong: &str) -> Told {
    let base = "allow_origins = [\"https://api.example.com\"]\n[jwt]\nissuer = \"app\"\naudience = \"api\"";
    toml(&format!("{base}\n{wrong}"))
}

fn hmac(wrong: &str) -> Told {
    jwt(&format!("algorithm = \"HS256\"\nkey = {{ value = \"planted-hmac-secret-of-32-bytes--\" }}\n{wrong}"))
}

pub(crate) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "2",
            "a key file that is not there",
            jwt("algorithm = \"RS256\"\nkey = { file = \"/nowhere/key.pem\" }"),
            ["jwt.key", "/nowhere/key.pem", "cannot be read", "No such file"],
            ["a private key as PEM or JWK"],
            ["correct where it is"],
        ),
        Row::new(
            "5",
            "an algorithm in small letters",
            jwt("algorithm = \"rs256\"\nkey = \"x\""),
            ["rs256"],
            ["RS256"],
            ["did you mean"],
        ),
        Row::new(
            "7",
            "a misspelt field",
            hmac("isuer = \"app\""),
            ["jwt.isuer", "does not exist"],
            ["`issuer`"],
            ["did you mean"],
        ),
        Row::new(
            "9",
            "a token URL in the clear",
            toml(
                "[token_endpoint]\nurl = \"http://as.example.com/token\"\nclient = { id = \"a\", secret = { value = \"planted-secret\" } }",
            ),
            ["token_endpoint.url", "http://"],
            ["https://"],
            ["allow_plaintext = true"],
        ),
        Row::new(
            "12",
            "the name of a file in place of a key",
            jwt("algorithm = \"RS256\"\nkey = \"key.pem\""),
            ["jwt.key", "path"],
            ["the secret itself"],
            ["{ file ="],
        ),
        Row::new(
            "15",
            "a number in quotes",
            hmac("expiry_seconds = \"300\""),
            ["jwt.expiry_seconds", "a string"],
            ["number of seconds"],
            ["without quotes"],
        ),
        Row::new(
            "19",
            "a path in place of a client secret",
            client("id = \"a\"\nsecret = \"/run/secrets/client\""),
            ["token_endpoint.client.secret", "path"],
            ["secret"],
            ["{ file ="],
        ),
        Row::new(
            "20",
            "a path in place of an HMAC secret",
            jwt("algorithm = \"HS256\"\nkey = \"/run/secrets/jwt-hmac-secret-key\""),
            ["jwt.key", "path"],
            ["secret"],
            ["{ file ="],
        ),
        Row::new(
            "21",
            "a variable that is not set",
            client("id = \"a\"\nsecret = { env = \"MISTAKES_UNSET\" }"),
            ["token_endpoint.client.secret", "MISTAKES_UNSET", "not set"],
            ["the name of a variable that is set"],
            ["set it for this process"],
        ),
        Row::new(
            "41",
            "an origin with a path",
            toml("token = { value = \"abc\" }\nallow_origins = [\"https://api.example.com/v1\"]"),
            ["allow_origins", "path"],
            ["https://api.example.com"],
            ["remove it"],
        ),
        Row::new(
            "43",
            "one origin in place of a list",
            toml("token = { value = \"abc\" }\nallow_origins = \"https://api.example.com\""),
            ["allow_origins", "a string"],
            ["a list"],
            ["["],
        ),
        Row::new(
            "44",
            "a token URL without a scheme",
            toml("[token_endpoint]\nurl = \"as.example.com/token\""),
            ["token_endpoint.url", "without scheme"],
            ["absolute URL"],
            ["write `https://` in front"],
        ),
        Row::new(
            "46",
            "YAML",
            file("accounting.yaml", "token_endpoint:\n  url: https://as.example.com/token\n"),
            [".yaml", "YAML"],
            ["TOML", "JSON"],
            [".json"],
        ),
        Row::new(
            "47",
            "an empty file",
            file("accounting.toml", ""),
            ["configuration", "none of"],
            ["one of them"],
            ["set `token_endpoint.url`", "`jwt.key`", "`token`"],
        ),
        Row::new(
            "48",
            "a short HMAC secret",
            jwt("algorithm = \"HS256\"\nkey = { value = \"short\" }"),
            ["jwt.key", "5 bytes"],
            ["32"],
            ["allow_short_secret"],
        ),
        Row::new(
            "49 empty",
            "an empty file as key",
            with_file("key.pem", b"", |path| format!("[jwt]\nalgorithm = \"RS256\"\nkey = {{ file = \"{path}\" }}")),
            ["jwt.key", "found"],
            ["private key"],
            ["look at the program that writes the file"],
        ),
        Row::new(
            "52",
            "`exp` among the claims",
            hmac("claims = { exp = 7 }"),
            ["jwt.claims.exp", "fixed value"],
            ["each JWT gets its own"],
            ["expiry_seconds"],
        ),
        Row::new(
            "51",
            "a method that is almost right",
            client("method = \"client_secret\"\nid = \"a\"\nsecret = { value = \"planted\" }"),
            ["token_endpoint.client.method"],
            ["`basic`", "`post`"],
            ["did you mean"],
        ),
        Row::new(
            "own: family",
            "the family of keys in place of an algorithm",
            jwt("algorithm = \"RSA\"\nkey = \"x\""),
            ["jwt.algorithm"],
            ["HS256"],
            ["did you mean `RS256`?"],
        ),
        Row::new(
            "own: no scheme",
            "a token with its scheme, beside an origin without one",
            toml("token = \"Bearer planted\"\nallow_origins = [\"api.example.com\"]"),
            ["token", "no scheme"],
            ["a bearer token"],
            ["remove `Bearer`", "write `https://` in front"],
        ),
        Row::new(
            "own: words for a method",
            "a method in other words",
            client("method = \"Basic Auth\"\nid = \"a\"\nsecret = { value = \"planted\" }"),
            ["token_endpoint.client.method"],
            ["`client_secret_basic`"],
            ["did you mean `basic`?"],
        ),
        Row::new(
            "own: password",
            "a password in place of a secret",
            client("id = \"a\"\npassword = \"planted\""),
            ["token_endpoint.client.password", "does not exist"],
            ["`secret`"],
            ["did you mean `token_endpoint.client.secret`?"],
        ),
        Row::new(
            "own: empty secret",
            "an empty secret",
            client("id = \"a\"\nsecret = \"\""),
            ["token_endpoint.client.secret", "an empty secret"],
            ["the secret itself"],
            ["look at what sets it"],
        ),
        Row::new(
            "own: several",
            "two unknown fields in one table",
            jwt("algorithm = \"HS256\"\nkey = { value = \"planted-hmac-secret-of-32-bytes--\" }\nzzz = 1\nyyyy = 2"),
            ["(1) jwt.yyyy", "(2) jwt.zzz"],
            ["one of `", "listed above"],
            [],
        )
        .changes_nothing("no known field is similar, so advice would be a guess"),
        Row::new(
            "own: a reference",
            "a reference to a variable, which nothing replaces",
            client("id = \"a\"\nsecret = \"${CLIENT_SECRET}\""),
            ["token_endpoint.client.secret", "looks like a reference"],
            ["the secret itself"],
            ["{ env ="],
        ),
        Row::new(
            "own: a unit",
            "a number with a unit",
            hmac("expiry_seconds = \"60s\""),
            ["jwt.expiry_seconds", "a string"],
            ["number of seconds"],
            ["the number alone"],
        ),
        Row::new(
            "own: a key for a configuration",
            "a key file in place of the configuration",
            file("accounting.pem", "-----BEGIN PRIVATE KEY-----\nplanted\n-----END PRIVATE KEY-----\n"),
            ["accounting.pem", "not TOML"],
            ["expected a configuration"],
            ["is this the key?", "path of the configuration"],
        ),
        Row::new(
            "own: negative",
            "a negative time",
            hmac("expiry_seconds = -1"),
            ["jwt.expiry_seconds", "negative"],
            ["zero or more"],
            [],
        )
        .changes_nothing("what was expected is the number to write"),
        Row::new(
            "own: word for a switch",
            "a switch in quotes",
            toml("token = { value = \"abc\" }\nrefuse_other_origins = \"true\""),
            ["refuse_other_origins", "a string"],
            ["true"],
            ["without quotes"],
        ),
        Row::new(
            "own: yes for a switch",
            "`yes` in place of `true`",
            toml("token = { value = \"abc\" }\nrefuse_other_origins = \"yes\""),
            ["refuse_other_origins", "a string"],
            ["`true` or `false`"],
            ["write `true`, without quotes"],
        ),
        Row::new(
            "own: zero for a switch",
            "`0` in place of `false`",
            toml("token = { value = \"abc\" }\nrefuse_other_origins = 0"),
            ["refuse_other_origins", "a number"],
            ["`true` or `false`"],
            ["write `false`, without quotes"],
        ),
        Row::new(
            "own: a field twice",
            "a field twice in a table of TOML",
            client("id = \"a\"\nsecret = \"planted-secret\"\nid = \"b\""),
            ["line 8", "`id` below `[token_endpoint.client]`", "more than once"],
            ["each field once"],
            ["remove all but one"],
        ),
        Row::new(
            "own: a table twice",
            "a table twice in TOML",
            client("id = \"a\"\n[token_endpoint]\nscope = \"read\""),
            ["line 7", "the table `token_endpoint`", "more than once"],
            ["each field once"],
            ["remove all but one"],
        ),
        Row::new(
            "own: a field twice in JSON",
            "a field twice in an object of JSON",
            file(
                "accounting.json",
                "{\"name\": \"accounting\", \"token\": {\"value\": \"planted-a\", \"value\": \"planted-b\"}}",
            ),
            ["token.value", "more than once"],
            ["it once"],
            ["remove all but one"],
        ),
        Row::new(
            "own: two providers",
            "a file with a table for each provider, read as one provider",
            toml(
                "[orders]\nallow_origins = [\"https://a.example.com\"]\n[billing]\nallow_origins = [\"https://b.example.com\"]",
            ),
            ["2 providers", "`billing` and `orders`"],
            ["the fields of one provider"],
            ["write a file for each provider", "`ProviderConfig` for each"],
        ),
        Row::new(
            "own: one provider in a table",
            "a table around the fields of a provider",
            toml("[orders.token_endpoint]\nurl = \"https://as.example.com/token\""),
            ["one provider inside of the table `orders`"],
            ["its fields, without a table"],
            ["write `token_endpoint` in place of `orders.token_endpoint`"],
        ),
        Row::new(
            "own: table",
            "a misspelt table",
            toml("[token-endpoint]\nurl = \"https://as.example.com/token\""),
            ["token-endpoint", "does not exist"],
            ["`token_endpoint`"],
            ["did you mean"],
        ),
        Row::new(
            "own: no URL",
            "a token endpoint without a URL",
            toml("[token_endpoint]\nscope = \"read\""),
            ["token_endpoint.url", "found no"],
            ["URL"],
            ["set that of the token endpoint"],
        ),
        Row::new(
            "own: user information",
            "a password in the URL",
            toml("[token_endpoint]\nurl = \"https://a:planted-password@as.example.com/token\""),
            ["token_endpoint.url"],
            ["expected none"],
            ["set `token_endpoint.client`"],
        ),
        Row::new(
            "own: secret for a key",
            "a secret where a key is needed",
            client(
                "method = \"private_key_jwt\"\nid = \"a\"\nsecret = { value = \"planted-secret-of-32-bytes-length\" }",
            ),
            ["token_endpoint.client.jwt.key"],
            ["private key"],
            ["set `token_endpoint.client.method`"],
        ),
        Row::new(
            "own: reserved parameter",
            "a secret as a parameter",
            endpoint("parameters = { client_secret = { value = \"planted\" } }\n"),
            ["token_endpoint.parameters.client_secret"],
            ["made for each request"],
            ["set `token_endpoint.client.method = \"post\"`"],
        ),
        Row::new(
            "own: reserved subject token",
            "a credential as a parameter",
            endpoint("parameters = { subject_token = { value = \"planted\" } }\n"),
            ["token_endpoint.parameters.subject_token"],
            ["made for each request"],
            ["set `token_exchange`"],
        ),
        Row::new(
            "own: newline in a scope",
            "a newline in a scope",
            endpoint("scope = \"read\\nwrite\"\n"),
            ["token_endpoint.scope", "newline"],
            ["one line of text"],
            ["put a space in its place"],
        ),
        Row::new(
            "own: no file for refresh tokens",
            "a refresh token that is not kept",
            endpoint("[refresh_token]\ninitial = { value = \"planted-refresh\" }"),
            ["refresh_token"],
            ["refresh_token.file"],
            ["reusable"],
        ),
        Row::new(
            "own: two sources",
            "a token beside a JWT",
            hmac("[token]\nvalue = \"planted-token\""),
            ["token", "jwt"],
            ["one"],
            ["remove one of them"],
        ),
        Row::new(
            "own: quotes around a secret",
            "a secret in quotes in its file",
            with_file("secret", b"\"planted-secret\"\n", |path| {
                format!(
                    "[token_endpoint]\nurl = \"https://as.example.com/token\"\nclient = {{ id = \"a\", secret = {{ file = \"{path}\" }} }}"
                )
            }),
            ["token_endpoint.client.secret", "quotes"],
            ["the value alone"],
            ["remove"],
        ),
        Row::new(
            "own: reference in a URL",
            "the name of a variable in place of a URL",
            toml("[token_endpoint]\nurl = \"$TOKEN_URL\"\ngrant_type = \"\""),
            ["token_endpoint.url", "environment variable"],
            ["the value itself"],
            ["{ env ="],
        ),
        Row::new(
            "own: below a table",
            "a field of the root below a table",
            toml(
                "[token_endpoint]\nurl = \"https://as.example.com/token\"\ngrant_type = \"\"\nallow_origins = [\"https://api.example.com\"]",
            ),
            ["token_endpoint.allow_origins", "inside a table"],
            ["before the first table"],
            ["did you mean `allow_origins`"],
        ),
        Row::new(
            "own: one status",
            "one status in place of a list",
            endpoint("grant_type = \"\"\n[send]\nreject_on = 403"),
            ["send.reject_on", "a number"],
            ["a list"],
            ["between `[`"],
        ),
        Row::new(
            "own: lifetime as a pointer",
            "a number of seconds where a pointer belongs",
            endpoint("grant_type = \"\"\nresponse = { expires_in = 3600 }"),
            ["token_endpoint.response.expires_in", "a number"],
            ["JSON pointer"],
            ["/expires_in"],
        ),
        Row::new(
            "own: lifetime of a JWT",
            "the lifetime of a JWT by a name of OAuth's",
            hmac("expires_in = 60"),
            ["jwt.expires_in", "does not exist"],
            ["`expiry_seconds`"],
            ["did you mean `jwt.expiry_seconds`"],
        ),
        Row::new(
            "own: scheme in a token",
            "a token with its scheme",
            toml("allow_origins = [\"https://api.example.com\"]\ntoken = \"Bearer planted\""),
            ["token", "a space"],
            ["bearer token"],
            ["remove `Bearer`"],
        ),
        Row::new(
            "own: colon",
            "a header's name with a colon",
            endpoint("grant_type = \"\"\n[send]\nheader = \"X-Token: Bearer\""),
            ["send.header", "no header may have"],
            ["a header name"],
            ["remove the colon"],
        ),
        Row::new(
            "own: authentication",
            "the client by another name",
            endpoint("auth = \"basic\""),
            ["token_endpoint.auth", "does not exist"],
            ["`client`"],
            ["did you mean `token_endpoint.client`"],
        ),
    ]
}

/// Environment variables in place of a file.
pub(crate) fn variables() -> Vec<Row> {
    let told = |variables: &[(&'static str, &'static str)]| {
        let variables: Vec<_> = variables.iter().copied().chain([("NAME", PROVIDER)]).collect();
        let all = variables.iter().map(|(name, value)| (format!("{PREFIX}{name}"), (*value).to_owned()));
        let input: String = variables.iter().map(|(name, _)| format!("{PREFIX}{name}\n")).collect();
        let result: Result<TokenProvider, Error> = ProviderConfig::from_variables(PREFIX, all).build();
        Told::result(result).of_configuration(&input)
    };
    let url = ("TOKEN_ENDPOINT__URL", "https://as.example.com/token");
    vec![
        Row::new(
            "own: one underscore",
            "one underscore between table and field",
            told(&[("TOKEN_ENDPOINT_URL", "https://as.example.com/token")]),
            ["BEARER_TOKEN_TOKEN_ENDPOINT_URL"],
            ["BEARER_TOKEN_TOKEN_ENDPOINT__URL"],
            ["__"],
        ),
        Row::new(
            "own: two providers in variables",
            "the variables of two providers with one prefix",
            told(&[("ORDERS__ALLOW_ORIGINS", "[]"), ("BILLING__ALLOW_ORIGINS", "[]")]),
            ["2 providers", "`BEARER_TOKEN_BILLING__`", "`BEARER_TOKEN_ORDERS__`"],
            ["the fields of one provider after the prefix"],
            ["use one of these as the prefix"],
        ),
        Row::new(
            "own: service variables",
            "variables of a Kubernetes service",
            told(&[("TOKEN", "abc"), ("SERVICE_HOST", "10.0.0.7"), ("PORT_80_TCP", "tcp://10.0.0.7:80")]),
            ["BEARER_TOKEN_SERVICE_HOST"],
            ["Kubernetes"],
            ["prefix"],
        ),
        Row::new(
            "own: a client without its id",
            "a client secret without an id",
            told(&[url, ("TOKEN_ENDPOINT__CLIENT__SECRET", "planted-secret")]),
            ["BEARER_TOKEN_TOKEN_ENDPOINT__CLIENT__ID"],
            ["the client's id"],
            [],
        )
        .changes_nothing("the variable to set is where the message begins"),
        Row::new(
            "own: reference in a variable",
            "a variable that another tool should have replaced",
            told(&[url, ("TOKEN_ENDPOINT__CLIENT__ID", "a"), ("TOKEN_ENDPOINT__CLIENT__SECRET", "${CLIENT_SECRET}")]),
            ["BEARER_TOKEN_TOKEN_ENDPOINT__CLIENT__SECRET", "environment variable"],
            ["the secret itself"],
            ["BEARER_TOKEN_TOKEN_ENDPOINT__CLIENT__SECRET__ENV"],
        ),
        Row::new(
            "own: the parameter's name",
            "a variable called after the parameter",
            told(&[
                url,
                ("TOKEN_ENDPOINT__CLIENT__ID", "a"),
                ("TOKEN_ENDPOINT__CLIENT__CLIENT_SECRET", "planted-secret"),
            ]),
            ["BEARER_TOKEN_TOKEN_ENDPOINT__CLIENT__CLIENT_SECRET"],
            ["secret"],
            ["did you mean"],
        ),
    ]
}
