//! Slips in a configuration that is right otherwise: what editors, shells, consoles and copied examples do to it.

use std::fs;

use bearer_token_config::ProviderConfig;

use crate::{
    row::{PROVIDER, Row, Told},
    world::{SECRET, World},
};

/// What is told with a client that is right, if this is replaced in the configuration.
fn client(from: &str, to: &str) -> Told {
    let world = World::new();
    let toml = world.client();
    assert!(toml.contains(from), "{from}");
    let toml = toml.replace(from, to);
    world.told(&toml).of_configuration(&toml)
}

/// The same, with an assertion.
fn assertion(from: &str, to: &str) -> Told {
    let world = World::new();
    let toml = world.assertion();
    assert!(toml.contains(from), "{from}");
    let toml = toml.replace(from, to);
    world.told(&toml).of_configuration(&toml)
}

/// What is told with a client whose secret is in a file with this content.
fn secret_file(content: &[u8]) -> Told {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    fs::write(&path, content).unwrap();
    client(&format!("{{ value = \"{SECRET}\" }}"), &format!("{{ file = '{}' }}", path.display()))
}

/// What is told with a key for RS256 in a file with this content.
fn key_file(content: &[u8]) -> Told {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    fs::write(&path, content).unwrap();
    key_at(&path.display().to_string())
}

fn key_at(path: &str) -> Told {
    let toml = format!(
        "name = \"{PROVIDER}\"\nallow_origins = [\"https://api.example.com\"]\n[jwt]\nissuer = \"app\"\nalgorithm = \"RS256\"\nkey = {{ file = '{path}' }}"
    );
    Told::result(ProviderConfig::from_toml(&toml).and_then(ProviderConfig::build)).of_configuration(&toml)
}

/// What is told with an audience that is the token endpoint's URL and a slash.
fn audience_with_slash() -> Told {
    let world = World::new();
    let url = world.server.token_url();
    let toml = world.assertion().replace(&format!("audience = \"{url}\""), &format!("audience = \"{url}/\""));
    assert!(toml.contains(&format!("{url}/")));
    world.told(&toml).of_configuration(&toml)
}

/// UTF-16, as a shell of Windows writes files.
fn utf16(text: &str) -> Vec<u8> {
    [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

/// Why there is no message.
const WORKS: &str = "the server gets the right secret in spite of it";

pub(crate) fn rows() -> Vec<Row> {
    let secret = format!("{{ value = \"{SECRET}\" }}");
    let credentials = format!("id = \"reports\"\nsecret = {secret}");
    let swapped = format!("id = \"{SECRET}\"\nsecret = {{ value = \"reports\" }}");
    let pem = bearer_token_testing::TestKey::rs256().unwrap().private_pem().to_owned();
    vec![
        Row::new(
            "own: line ends of Windows",
            "a secret file that ends with CR LF",
            secret_file(format!("{SECRET}\r\n").as_bytes()),
            ["no error"],
            [],
            [],
        )
        .expects_nothing(WORKS)
        .changes_nothing(WORKS),
        Row::new(
            "own: byte order mark",
            "a secret file that begins with a byte order mark",
            secret_file(format!("\u{feff}{SECRET}").as_bytes()),
            ["no error"],
            [],
            [],
        )
        .expects_nothing(WORKS)
        .changes_nothing(WORKS),
        Row::new(
            "own: UTF-16",
            "a secret that PowerShell wrote",
            secret_file(&utf16(SECRET)),
            ["token_endpoint.client.secret", "found UTF-16"],
            ["UTF-8"],
            ["save it so"],
        ),
        Row::new(
            "own: a key in UTF-16",
            "a key that PowerShell wrote",
            key_file(&utf16(&pem)),
            ["jwt.key", "PEM in UTF-16"],
            ["a private key as PEM or JWK"],
            ["save it as UTF-8"],
        ),
        Row::new(
            "own: directory",
            "the directory of a mounted secret",
            key_at(env!("CARGO_MANIFEST_DIR")),
            ["jwt.key", "Is a directory"],
            ["a private key as PEM or JWK"],
            ["correct where it is"],
        ),
        Row::new(
            "own: certificate request",
            "a certificate request",
            key_file(b"-----BEGIN CERTIFICATE REQUEST-----\nMIIBplanted\n-----END CERTIFICATE REQUEST-----\n"),
            ["jwt.key", "CERTIFICATE REQUEST"],
            ["a private key as PEM or JWK"],
            ["give the key file that it was made with"],
        ),
        Row::new(
            "own: a person's credentials",
            "the JSON of another kind of credentials",
            key_file(br#"{"type":"authorized_user","client_secret":"planted","refresh_token":"planted"}"#),
            ["jwt.key", "neither `kty` nor `keys`"],
            ["a private key as PEM or JWK"],
            ["otherwise get the file that has one"],
        ),
        Row::new(
            "own: swapped",
            "id and secret in each other's place",
            client(&credentials, &swapped),
            ["401", "invalid_client"],
            ["expected a token"],
            ["check the client secret and the client id"],
        ),
        Row::new(
            "own: space after an id",
            "a client id that was copied with a space",
            client("\"reports\"", "\"reports \""),
            ["token_endpoint.client.id", "a space"],
            ["the value alone"],
            ["remove it"],
        ),
        Row::new(
            "own: placeholder of an id",
            "an example's placeholder for the client id",
            client("\"reports\"", "\"<client-id>\""),
            ["token_endpoint.client.id", "a placeholder in angle brackets"],
            ["the value itself"],
            ["put it in the placeholder's place"],
        ),
        Row::new(
            "own: placeholder of a secret",
            "an example's placeholder for the client secret",
            client(SECRET, "<planted secret>"),
            ["token_endpoint.client.secret", "a placeholder in angle brackets"],
            ["the value itself"],
            ["put it in the placeholder's place"],
        ),
        Row::new(
            "own: placeholder of an issuer",
            "an example's placeholder for the issuer",
            assertion("\"app\"", "\"<service-account>\""),
            ["jwt.issuer", "a placeholder in angle brackets"],
            ["the value itself"],
            ["put it in the placeholder's place"],
        ),
        Row::new(
            "own: metadata",
            "the URL of the metadata",
            client("/token\"", "/.well-known/openid-configuration\""),
            ["token_endpoint.url", "a server's metadata"],
            ["that of its token endpoint"],
            ["`token_endpoint`"],
        ),
        Row::new(
            "own: issuer",
            "the issuer in place of the token endpoint",
            client("/token\"", "\""),
            ["404"],
            ["expected a token"],
            ["check the path of the token endpoint URL"],
        ),
        Row::new(
            "own: brackets",
            "a URL in angle brackets",
            client("url = \"", "url = \"<"),
            ["token_endpoint.url", "`<`"],
            ["an absolute URL such as"],
            ["remove it"],
        ),
        Row::new(
            "own: space before a URL",
            "a URL that was copied with a space",
            client("url = \"", "url = \" "),
            ["token_endpoint.url", "a space"],
            ["an absolute URL such as"],
            ["remove it"],
        ),
        Row::new(
            "own: audience with a slash",
            "an audience that ends with a slash",
            audience_with_slash(),
            ["invalid_grant"],
            ["audience"],
            ["the server says: its aud does not name this server"],
        ),
        Row::new(
            "own: wildcard",
            "a wildcard in an origin",
            client("https://api.example.com", "https://*.example.com"),
            ["allow_origins[0]", "`*`"],
            ["an origin such as `https://api.example.com`"],
            ["list each one"],
        ),
        Row::new(
            "own: unnamed variable",
            "a variable without a name",
            client(&secret, "{ env = \"\" }"),
            ["token_endpoint.client.secret", "an empty string"],
            ["the name of an environment variable"],
            [],
        )
        .changes_nothing("what was expected is what to write there"),
        Row::new(
            "own: dollar",
            "a variable's name with `$`",
            client(&secret, "{ env = \"$CLIENT_SECRET\" }"),
            ["token_endpoint.client.secret", "$CLIENT_SECRET"],
            ["the name of a variable that is set"],
            ["without `$`"],
        ),
        Row::new(
            "own: home directory",
            "a path with `~`",
            key_at("~/key.pem"),
            ["jwt.key", "~/key.pem", "No such file"],
            ["a private key as PEM or JWK"],
            ["write the path in full"],
        ),
        Row::new(
            "own: URL of a file",
            "a URL in place of a path",
            key_at("file:///run/secrets/key.pem"),
            ["jwt.key", "file:///run/secrets/key.pem"],
            ["a private key as PEM or JWK"],
            ["without `file:`"],
        ),
        Row::new(
            "own: no signature",
            "an algorithm that signs nothing",
            assertion("\"ES256\"", "\"none\""),
            ["jwt.algorithm", "none"],
            ["a signature algorithm", "ES256"],
            [],
        )
        .changes_nothing("what was expected lists what to write"),
        Row::new(
            "own: milliseconds",
            "a lifetime in milliseconds",
            assertion("[jwt]", "[jwt]\nexpiry_seconds = 300000"),
            ["invalid_grant"],
            ["lifetime"],
            ["the server says: its exp is too far in the future"],
        ),
    ]
}
