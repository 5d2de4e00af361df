//! What is wrong with a `Sending`.
//!
//! Checked once, at `build()`. Every problem has the path of its setting, such as `sending.fixed_header.x-api-key`. A
//! name that is not a valid one is not repeated: a token may have been put in its place.

use std::time::Duration;

use http::HeaderName;

use super::{
    Sending,
    form::{FRAMING, HeaderForm, is_scheme},
};
use crate::{
    problem::{Advice, Problem, Problems},
    source::challenge::is_token,
};

/// The longest settling time. A longer one would keep revoked tokens in service, and hold requests in memory until
/// their replay.
const LONGEST_SETTLE: Duration = Duration::from_secs(60);

/// The most fixed headers. Each costs a warm request one insertion.
const MOST_FIXED: usize = 16;

impl Sending {
    /// The form of the headers. What is wrong is added to the problems.
    pub(crate) fn form(&self, problems: &mut Problems) -> HeaderForm {
        let mut form = HeaderForm::default();
        if let Some(name) = header_name(&self.header, "sending.header", problems) {
            form = HeaderForm::new(name, self.checked_scheme(problems));
        }
        let mut fixed: Vec<(HeaderName, _)> = Vec::new();
        for (name, value) in &self.fixed {
            let Some(name) = header_name(name, "sending.fixed_header", problems) else { continue };
            let path = format!("sending.fixed_header.{name}");
            if name == form.name() {
                let problem = Problem::new(path, "found a fixed value for the header that contains the token");
                let advice = Advice::text("remove one of the two, or send the token in another header");
                problems.add(problem.advise(advice));
                continue;
            }
            if fixed.iter().any(|(other, _)| *other == name) {
                let problem = Problem::new(path, "found the header a second time");
                problems.add(problem.expecting("each header once").advise(Advice::text("remove one of the two")));
                continue;
            }
            if let Some(problem) = value.problem(&path) {
                problems.add(problem);
            }
            fixed.push((name, value.clone()));
        }
        if fixed.len() > MOST_FIXED {
            let found = format!("found {} headers; expected at most {MOST_FIXED}", fixed.len());
            problems.push("sending.fixed_header", found);
        }
        self.check_refusals(problems);
        if self.settle > LONGEST_SETTLE {
            let problem = Problem::new("sending.settle", format!("found {:?}", self.settle));
            let expected = format!("at most {LONGEST_SETTLE:?}, because a revoked token stays in service for as long");
            problems.add(problem.expecting(expected));
        }
        form.with_fixed(fixed)
    }

    /// The scheme with its space, or nothing.
    fn checked_scheme(&self, problems: &mut Problems) -> String {
        let path = "sending.scheme";
        if self.scheme.is_empty() {
            return String::new();
        }
        if !is_scheme(&self.scheme) {
            // Not shown: it may be a token that was put in the wrong place.
            let problem = Problem::new(path, "found a scheme with a space or another character that no scheme has");
            problems.add(problem.expecting(
                "one word such as `Bearer`, `token` or `JWT` (RFC 9110 section 11.1), or an empty string for the \
                 token alone",
            ));
        }
        format!("{} ", self.scheme)
    }

    fn check_refusals(&self, problems: &mut Problems) {
        for status in self.statuses.iter().filter(|status| status.as_u16() < 400) {
            let problem = Problem::new("sending.reject_on_status", format!("found {}", status.as_u16()));
            problems.add(problem.expecting("an error: 400 or above, such as 403 or 498"));
        }
        for status in self.grpc.iter().filter(|status| !(1..=16).contains(*status)) {
            let problem = Problem::new("sending.reject_on_grpc", format!("found {status}"));
            problems.add(problem.expecting("the number of a gRPC error, 1 to 16, such as 7 (PERMISSION_DENIED)"));
        }
        // RFC 6750 section 3: %x20-21 / %x23-5B / %x5D-7E.
        let is_legal = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b'"' && byte != b'\\';
        for code in &self.codes {
            if code.trim() != code || code.is_empty() || !code.bytes().all(is_legal) {
                let found = "found an empty error code, or one with characters that no error code has";
                let problem = Problem::new("sending.reject_on_code", found);
                problems.add(problem.expecting("a word such as `invalid_token` (RFC 6750 section 3.1)"));
            }
        }
        for (path, what, repetitions) in [
            ("sending.reject_on_status", "a status", repetitions(&self.statuses)),
            ("sending.reject_on_code", "an error code", repetitions(&self.codes)),
            ("sending.reject_on_grpc", "a status", repetitions(&self.grpc)),
        ] {
            for _ in 0..repetitions {
                problems.push(path, format!("found {what} a second time; expected each once"));
            }
        }
    }
}

fn header_name(name: &str, path: &str, problems: &mut Problems) -> Option<HeaderName> {
    let parsed = parsed_header_name(name, path, problems)?;
    if FRAMING.contains(&parsed.as_str()) {
        let problem =
            Problem::new(path, format!("found `{parsed}`, which frames the message or belongs to the connection"));
        problems.add(problem.expecting("a header that the API reads, such as `authorization` or `x-api-key`"));
        return None;
    }
    Some(parsed)
}

/// Parses the name of a header. A bad one is a problem that says where it is bad.
pub(crate) fn parsed_header_name(name: &str, path: &str, problems: &mut Problems) -> Option<HeaderName> {
    HeaderName::try_from(name)
        .map_err(|_| {
            // Not shown: it may be a value that was put in the wrong place.
            let problem = Problem::new(path, "found a name that no header may have")
                .expecting("a header name such as `authorization` or `x-api-key` (RFC 9110 section 5.1)");
            problems.add(misfit(name).into_iter().fold(problem, Problem::advise));
        })
        .ok()
}

/// Where the first character is that no name may have. It tells one name of several from the others.
fn misfit(name: &str) -> Option<Advice> {
    let is_misfit = |char: char| !u8::try_from(char).is_ok_and(is_token);
    let (index, misfit) = name.chars().enumerate().find(|(_, char)| is_misfit(*char))?;
    let kind = match misfit {
        ':' => {
            return Some(Advice::text(format!(
                "remove the colon and what follows it, from character {} on",
                index + 1
            )));
        }
        ' ' => "a space",
        other if other.is_control() => "a control character",
        other if !other.is_ascii() => "a character that is not ASCII",
        _ => "a punctuation mark",
    };
    Some(Advice::text(format!("change character {} of {}, {kind}", index + 1, name.chars().count())))
}

/// How many items are equal to an earlier one.
fn repetitions<T: PartialEq>(items: &[T]) -> usize {
    let is_repeated = |(index, item): &(usize, &T)| items.iter().take(*index).any(|earlier| earlier == *item);
    items.iter().enumerate().filter(is_repeated).count()
}
