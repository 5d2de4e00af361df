//! What PostgreSQL refuses, and what to change about it.

use std::io;

use bearer_token::store::Down;
use tokio_postgres::{Error, error::SqlState};

/// A statement without a result.
pub(crate) struct Lost {
    pub(crate) down: Down,
    /// Whether the connection was closed, perhaps while it was idle. So another one may work.
    pub(crate) was_closed: bool,
    /// Whether another replica changed the row meanwhile, and nothing was done.
    pub(crate) was_conflict: bool,
    /// Whether the user lacks a privilege.
    pub(crate) is_forbidden: bool,
}

impl Lost {
    pub(crate) fn by(error: &Error) -> Self {
        Lost {
            was_closed: error.is_closed() || is_fatal(error),
            was_conflict: is_one_of(error, &["40001", "40P01"]),
            is_forbidden: is_one_of(error, &["42501"]),
            down: down(error),
        }
    }
}

impl From<Down> for Lost {
    fn from(down: Down) -> Self {
        Lost { down, was_closed: false, was_conflict: false, is_forbidden: false }
    }
}

/// Whether the server ends the connection after this error.
pub(crate) fn is_fatal(error: &Error) -> bool {
    is_one_of(error, &["08", "57P", "25006"])
}

fn is_one_of(error: &Error, codes: &[&str]) -> bool {
    error.code().is_some_and(|code| codes.iter().any(|begin| code.code().starts_with(begin)))
}

/// Only the code: the server's words may repeat a part of the statement.
pub(crate) fn down(error: &Error) -> Down {
    let io = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    if let Some(code) = error.code().map(SqlState::code) {
        return refused(code);
    }
    match io {
        // tokio-postgres' own error, after it has connected.
        Some(io) if io.kind() == io::ErrorKind::PermissionDenied && io.raw_os_error().is_none() => Down::new(
            "PostgreSQL accepts no writes from this user: connect to the primary server, and set \
             `default_transaction_read_only` to `off` for this user or database",
        ),
        Some(io) => Down::new(format!("PostgreSQL gave no answer: {}", io.kind())),
        None if error.is_closed() => {
            Down::new("PostgreSQL closed the connection: look into its log, or that of a pooler in between")
        }
        None => Down::new("PostgreSQL gave no answer: check the host, TLS and the credentials"),
    }
}

fn refused(code: &str) -> Down {
    if code.starts_with("22") {
        // A data exception, such as an infinite time. `PostgresStore` writes none, so the row is not its own.
        let message =
            format!("the row of this key has a value that PostgreSQL cannot use (SQLSTATE {code}); delete it");
        return Down::new(message).for_this_key();
    }
    let advice = advice(code).unwrap_or_default();
    Down::new(format!("PostgreSQL refused a statement with SQLSTATE {code}{advice}"))
}

/// What to change, after the code. The codes are in appendix A of PostgreSQL's documentation.
fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "08P01" => ": if a pooler is in between, look into its log; it may lack the user, the database or a connection",
        "25006" => ": connect to the primary server, and set `default_transaction_read_only` to `off` for this user",
        "28P01" | "28000" => ": correct the user or the password, or permit the connection in `pg_hba.conf`",
        "3D000" => ": correct the name of the database",
        "3F000" => ": create the schema",
        "40001" | "40P01" => {
            ": other replicas changed the row meanwhile, each time; set `default_transaction_isolation` to `read committed` \
             for this user"
        }
        "42501" => ": grant this user SELECT, INSERT, UPDATE and DELETE on the table, and USAGE on its schema",
        "42703" | "42804" | "42P10" => ": create it with `PostgresStore::create_table`, under another name",
        "42P01" => ": create the table with `PostgresStore::create_table`, and grant this user USAGE on its schema",
        "53100" => ": its disk is full",
        "53200" => ": it has no memory left",
        "53300" => {
            ": it has no connection left; raise `max_connections` or the user's limit, or put a pooler in between"
        }
        "55P03" => ": raise `lock_timeout` for this user; it may wait for another replica's statement",
        "57014" => ": raise `statement_timeout` for this user, or look for what delays its statements",
        "57P03" => ": it starts, stops or recovers",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_its_code_and_what_to_change() {
        for code in ["08P01", "25006", "28P01", "3D000", "3F000", "40001", "42501", "42703", "42P01"] {
            assert!(advice(code).unwrap().starts_with(": "), "{code}");
        }
        for (code, part) in
            [("53300", "`max_connections`"), ("57014", "`statement_timeout`"), ("55P03", "`lock_timeout`")]
        {
            let told = refused(code).to_string();
            assert!(told.contains(code) && told.contains(part), "{told}");
        }
        assert!(refused("XX000").to_string().ends_with("SQLSTATE XX000"));
    }

    #[test]
    fn a_value_that_cannot_be_used_is_a_fault_of_its_key() {
        assert!(format!("{:?}", refused("22008")).contains("is_for_this_key: true"));
        assert!(format!("{:?}", refused("53300")).contains("is_for_this_key: false"));
    }
}
