//! Sentences about damaged JSON.
//!
//! Only the place and the kind of the damage are named. The parser's own sentence would quote the content.

use crate::{
    jwt::formats::jwk::{JsonFault, JsonSubject, JwkFault},
    problem::Advice,
};

/// What is wrong with damaged JSON, and what to do about it.
pub(super) fn fault_clause(fault: &JwkFault) -> (String, Vec<Advice>) {
    let JwkFault::Json { subject, fault, line, column } = fault else { return ("found JSON".to_owned(), Vec::new()) };
    let subject = match subject {
        JsonSubject::Jwk => "a JWK",
        JsonSubject::JwkSet => "a JWK set",
        JsonSubject::Json => "JSON",
    };
    let place = format!("line {line}, column {column}");
    match fault {
        JsonFault::BreaksOff => {
            (format!("found {subject} that breaks off at {place}"), vec![Advice::text("is it half written?")])
        }
        JsonFault::SameMemberTwice => (
            format!("found {subject} with a member that occurs twice, at {place}"),
            vec![Advice::text("keep one of them (RFC 7517 section 4)")],
        ),
        JsonFault::KeysAreNotAList => {
            (format!("found {subject} whose `keys` is not a list of JSON objects, at {place}"), Vec::new())
        }
        JsonFault::Syntax => (format!("found {subject} that is not valid JSON from {place} on"), Vec::new()),
    }
}
