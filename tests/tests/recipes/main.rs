//! Every recipe of `examples/providers`, against what its provider documents.
//!
//! `expected/NAME.json` has the facts for `examples/providers/NAME.toml`: each token request with its decoded JWTs, the
//! responses, and then the token, its lifetime, and what is sent to the API. They are written by hand, from the
//! provider's documentation. The clock is manual and the randomness is constant, so all of it is compared.
//!
//! The test also prints `docs/PROVIDERS.md`. This writes it:
//!
//! ```sh
//! WRITE_PROVIDERS=1 cargo test -p tests --test recipes the_table
//! ```
#![cfg(test)]
#![allow(clippy::disallowed_methods, reason = "tests spawn callers, and end when they hang")]

use std::process::Command;

mod by_code;
mod chains;
mod decoded;
mod expected;
mod mutual_tls;
mod presets;
mod recorder;
mod run;
mod signature;
mod table;

use self::expected::Expected;

/// Recipes that do not work yet. Each must fail, so that this list gets shorter.
const PENDING: &[&str] = &[];

/// Recipes read variables, and a process cannot change its own: another one runs them.
#[test]
fn each_recipe_does_what_its_provider_documents() {
    let variables = Expected::all().into_iter().flat_map(|expected| expected.env);
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_with_the_variables", "--ignored", "--nocapture"])
        .envs(variables)
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
}

#[tokio::test]
#[ignore = "started by `each_recipe_does_what_its_provider_documents`, with the variables of the recipes"]
async fn a_process_with_the_variables() {
    let mut wrong = Vec::new();
    for expected in Expected::all() {
        let (name, is_pending) = (expected.name.clone(), PENDING.contains(&&*expected.name));
        match (run::run(expected).await, is_pending) {
            (Ok(()), false) | (Err(_), true) => {}
            (Ok(()), true) => wrong.push(format!("{name} works: remove it from PENDING")),
            (Err(problem), false) => wrong.push(format!("{name}: {problem}")),
        }
    }
    assert!(wrong.is_empty(), "{} recipes differ\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn each_recipe_has_its_facts_and_its_own_row() {
    let all = Expected::all();
    let named: Vec<&str> = all.iter().map(|expected| &*expected.name).collect();
    assert_eq!(expected::recipes(), named);
    for pair in all.windows(2) {
        assert_ne!(pair[0].row, pair[1].row, "{} and {}", pair[0].name, pair[1].name);
    }
    for name in PENDING {
        assert!(named.contains(name), "{name}");
    }
}

#[test]
fn what_is_not_confirmed_is_marked_in_the_recipe() {
    for expected in Expected::all().iter().filter(|expected| expected.confirmed != "yes") {
        assert!(expected.recipe().contains("\n# unconfirmed: "), "{}", expected.name);
    }
}

#[test]
fn the_table_of_providers_is_up_to_date() {
    table::compare();
}
