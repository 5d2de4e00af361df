//! The table of providers, `docs/PROVIDERS.md`.

use std::{env, fmt::Write, fs, path::Path};

use crate::{
    PENDING,
    expected::{Expected, directory},
};

/// Rows that need code: the row, the provider, what it asks for, and where the code is.
const BY_CODE: &[(u32, &str, &str, &str)] = &[
    (42, "Coinbase wallets", "a second header with a hash of the body", "coinbase_wallet.rs"),
    (44, "Atlassian Connect", "self-signed JWT with a hash of the query", "atlassian_connect.rs"),
    (49, "Firebase", "a token that is given to a client", "firebase_custom_token.rs"),
    (50, "Mux, Cloudflare Stream", "a token in a URL", "mux_playback.rs"),
    (61, "DPoP servers", "a proof beside each request, with nonces", "dpop.rs"),
    (62, "AWS", "no bearer tokens; a signed request as the subject of Google's token exchange", "google_from_aws.rs"),
];

const BEFORE: &str = "\
# Providers

How each of 63 ways in which APIs use bearer tokens is served. A recipe is a configuration file under
[`examples/providers`](../examples/providers): copy it, and replace the values. A fact
that the provider's own documentation does not confirm is marked `# unconfirmed:` in the recipe.

A test runs each recipe and compares the complete token requests, the decoded JWTs, the token, its expiry, and the headers
that are sent to the API with [what the provider documents](../tests/tests/recipes/expected). It also writes this table:

```sh
WRITE_PROVIDERS=1 cargo test -p tests --test recipes the_table
```

";

/// Compares the table with the one that is checked in, or writes it.
pub(crate) fn compare() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PROVIDERS.md");
    let table = table();
    println!("{table}");
    if env::var_os("WRITE_PROVIDERS").is_some() {
        fs::write(&path, &table).unwrap();
    }
    let checked_in = fs::read_to_string(&path).unwrap_or_default();
    assert!(table == checked_in, "docs/PROVIDERS.md is outdated: write it with the command in it");
}

fn table() -> String {
    let mut rows = Vec::new();
    for expected in Expected::all() {
        let is_served = !PENDING.contains(&&*expected.name);
        let Expected { row, provider, flow, name, exchanges, confirmed, .. } = expected;
        let link = format!("[{name}](../examples/providers/{name}.toml)");
        let by = if is_served { link } else { format!("not yet: {link}") };
        rows.push((
            row,
            is_served,
            format!("| {row} | {provider} | {flow} | {} | {by} | {confirmed} |", exchanges.len()),
        ));
    }
    let by_configuration = rows.iter().filter(|(_, is_served, _)| *is_served).count();
    for (row, provider, flow, path) in BY_CODE {
        assert!(directory().join(path).exists(), "{path}");
        rows.push((
            *row,
            true,
            format!("| {row} | {provider} | {flow} | | code: [{path}](../examples/providers/{path}) | |"),
        ));
    }
    rows.sort();
    let mut table = BEFORE.to_owned();
    writeln!(table, "{by_configuration} by configuration, {} by code.\n", BY_CODE.len()).unwrap();
    table.push_str(
        "| row | provider | flow | token requests | served by | facts confirmed |\n|---:|---|---|---:|---|---|\n",
    );
    for (_, _, line) in rows {
        table.push_str(&line);
        table.push('\n');
    }
    table
}
