//! Checks of the parameters, headers and names that a user adds to token requests.
//!
//! A token request is put together from four hands: the grant, the client authentication, the scope, and the user. A
//! parameter that two of them send is refused by servers (RFC 6749 section 3.2), and which one counts would be a matter
//! of luck. So a clash is a problem at `build()`, named after the setting to remove.

use http::{HeaderName, HeaderValue, Method, header::AUTHORIZATION};

use crate::{
    oauth::{
        BodyFormat, ParameterValue, Parameters, ResponseFormat,
        client_auth::Credentials,
        request::{
            GrantType, OWN_HEADERS, check_value,
            taken_names::{self, EXPIRING, RESERVED},
            wire,
        },
    },
    problem::{Advice, Problem, Problems},
    resource::sending::{FRAMING, parsed_header_name},
    value::Value,
};

/// The method of the requests, and where their parameters are.
///
/// The method decides about the body, and the body about everything else. They are checked together.
pub(crate) struct RequestLine<'a> {
    pub(crate) method: &'a Method,
    pub(crate) body: BodyFormat,
}

impl RequestLine<'_> {
    /// Checks whether everything has a place in such requests.
    ///
    /// With `BodyFormat::None`, each setting that would have to be in the body is one problem. A setting that is
    /// silently dropped would look like a refusal without a reason.
    pub(crate) fn check(
        &self,
        grant_type: &GrantType,
        scope: &str,
        parameters: &[(String, ParameterValue)],
        credentials: &Credentials,
        problems: &mut Problems,
    ) {
        let RequestLine { method, body } = *self;
        if ![Method::POST, Method::GET, Method::PUT, Method::PATCH].contains(method) {
            let problem = Problem::new("method", "found another method").expecting("`POST`, `GET`, `PUT` or `PATCH`");
            problems.add(problem);
        } else if *method == Method::GET && matches!(body, BodyFormat::Form | BodyFormat::Json) {
            let found = format!("found `{}` for a GET, which has no body (RFC 9110 section 9.3.1)", body.name());
            let problem = Problem::new("body", found).expecting("the parameters in the query, or none");
            problems.add(problem.advise(Advice::set_to("body", "query")).advise(Advice::set_to("body", "none")));
        }
        if body == BodyFormat::None {
            let no_place = |path: &'static str, what: &str| {
                let found = format!("found {what}, but the request has neither a body nor a query for it");
                let remove = Advice::remove(path);
                Problem::new(path, found).advise(Advice::set_to("body", "query")).advise(remove)
            };
            if !parameters.is_empty() {
                problems.add(no_place("parameter", "a parameter"));
            }
            if !scope.is_empty() {
                problems.add(no_place("scope", "a scope"));
            }
            if matches!(grant_type, GrantType::Named(_)) {
                problems.add(no_place("grant_type", "a grant type"));
            }
            if credentials.parameters.names().next().is_some() {
                problems.add(no_place("client_auth", "client authentication in the body"));
            }
        }
    }
}

/// The other parts of a request that send parameters.
pub(crate) struct Others<'a> {
    pub(crate) scope: &'a str,
    pub(crate) credentials: &'a Parameters,
    /// Those that the grant sends once.
    pub(crate) grant: Vec<&'a str>,
}

/// Checks the parameters that the user added, beside those of others.
///
/// The first matching rule reports: a parameter that the grant sends needs no second problem about its value.
pub(crate) fn parameters(
    parameters: &[(String, ParameterValue)],
    body: BodyFormat,
    others: &Others<'_>,
    problems: &mut Problems,
) {
    for (name, value) in parameters {
        if name.is_empty() {
            problems.push("parameter", "found one with an empty name");
            continue;
        }
        if !wire::check("parameter", name, problems) {
            continue;
        }
        let path = format!("parameter.{name}");
        let problem = |found: &'static str| Problem::new(path.clone(), found);
        let is_sent = |sent: &str| sent.eq_ignore_ascii_case(name.trim());
        let expiring = taken_names::settings(&EXPIRING, name).filter(|_| !value.is_looked_up());
        if others.grant.iter().any(|sent| is_sent(sent)) {
            problems.add(problem("found a parameter that the grant sends already").advise(Advice::text("remove it")));
        } else if let Some(settings) = taken_names::settings(&RESERVED, name).or(expiring) {
            let problem =
                problem("found a fixed value for a parameter that the grant or the client authentication makes")
                    .expecting("a value that is made for each request");
            let of_grant = [Advice::text("use a grant of your own that makes it for each request")];
            let advice = settings.iter().copied().map(Advice::set);
            problems.add(if settings.is_empty() { problem.with_advice(of_grant) } else { problem.with_advice(advice) });
        } else if others.credentials.names().any(is_sent) {
            let problem = problem("found a parameter that the client authentication sends already");
            problems.add(problem.advise(Advice::text("remove one of the two")));
        } else if name == "scope" && !others.scope.is_empty() {
            let problem = problem("found a second scope, but it may be sent only once");
            problems.add(problem.advise(Advice::remove("scope")).advise(Advice::remove("parameter")));
        } else {
            value.check(&path, body == BodyFormat::Json, problems);
        }
    }
}

/// Checks the headers that the user added, beside that of the client authentication.
///
/// Returns those that may be sent. A name that is malformed has been reported, and is not repeated: it may be a secret
/// in the wrong place.
pub(crate) fn headers(
    wanted: Vec<(String, Value)>,
    authorization: Option<&HeaderValue>,
    problems: &mut Problems,
) -> Vec<(HeaderName, Value)> {
    let mut headers = Vec::new();
    for (name, value) in wanted {
        let Some(parsed) = parsed_header_name(&name, "header", problems) else { continue };
        let path = format!("header.{parsed}");
        let remove = |found: &'static str, what| Problem::new(path.clone(), found).advise(Advice::text(what));
        if OWN_HEADERS.contains(&parsed) {
            problems.add(remove("found a header that the token request sets itself", "remove it"));
        } else if FRAMING.contains(&parsed.as_str()) {
            problems.add(remove("found a header that frames the message or belongs to the connection", "remove it"));
        } else if parsed == AUTHORIZATION && authorization.is_some() {
            problems.add(remove("found a header that the client authentication sets too", "remove one of the two"));
        } else {
            check_value(&path, &value, problems);
            headers.push((parsed, value));
        }
    }
    headers
}

/// Checks the names of the fields to keep.
///
/// A kept field ends up in [`Bearer::extra`](crate::Bearer::extra), which is not redacted. So the token itself cannot
/// be kept.
pub(crate) fn keep(keep: &[String], format: &ResponseFormat, problems: &mut Problems) {
    for name in keep {
        if name.is_empty() {
            let problem = Problem::new("keep", "found an empty name");
            problems.add(problem.expecting("a field of the response such as `instance_url`"));
        } else if !wire::check("keep", name, problems) {
        } else if format.is_token(name) {
            let found = format!("found `{name}`, the token itself, which the bearer contains");
            problems.add(Problem::new("keep", found).advise(Advice::text("remove it")));
        } else {
            format.pointer_to(name).check("keep", problems);
        }
    }
}

/// Checks the scope and the grant type, which may be absent.
pub(crate) fn scope_and_grant_type(scope: &str, grant_type: &GrantType, problems: &mut Problems) {
    wire::check_expecting("words separated by single spaces", "scope", scope, problems);
    match grant_type {
        GrantType::Named(name) if name.is_empty() => {
            let problem = Problem::new("grant_type", "found an empty string").expecting("a grant type");
            problems.add(problem.advise(Advice::remove("grant_type")).advise(Advice::turn_on("no_grant_type")));
        }
        GrantType::Named(name) => _ = wire::check("grant_type", name, problems),
        GrantType::OfGrant | GrantType::Absent => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    fn paths(problems: &Problems) -> Vec<String> {
        problems.iter().map(|problem| problem.path().to_owned()).collect()
    }

    fn nobody() -> Others<'static> {
        static NONE: LazyLock<Parameters> = LazyLock::new(Parameters::default);
        Others { scope: "", credentials: &NONE, grant: Vec::new() }
    }

    fn check(name: &str, value: impl Into<ParameterValue>) -> Problems {
        let mut problems = Problems::default();
        parameters(&[(name.into(), value.into())], BodyFormat::Form, &nobody(), &mut problems);
        problems
    }

    // shows: 7523/2.2b
    #[test]
    fn l20_no_credential_is_a_fixed_parameter() {
        for (reserved, _) in RESERVED.iter().chain(&EXPIRING) {
            for name in [(*reserved).to_owned(), reserved.to_uppercase(), format!("{reserved} ")] {
                let problems = check(&name, "marker");
                assert_eq!(paths(&problems), [format!("parameter.{name}")]);
                let text = problems.iter().next().unwrap().to_string();
                assert!(
                    !text.contains("marker")
                        && (text.contains("use `") || text.contains("a grant of your own") || text.contains("call `")),
                    "{text}"
                );
            }
        }
        for name in ["audience", "resource", "username", "password", "requested_token_type", "subject_token_type"] {
            assert!(check(name, "value").is_empty(), "{name}");
        }
    }

    #[test]
    fn a_credential_that_is_looked_up_is_a_parameter() {
        let provider = || crate::TokenProvider::builder(crate::StaticToken::new("t")).build().unwrap();
        for (name, _) in EXPIRING {
            assert!(check(name, provider()).is_empty(), "{name}");
            assert!(check(name, ParameterValue::list([Value::env("PATH")])).is_empty(), "{name}");
        }
        for (name, _) in RESERVED {
            assert_eq!(paths(&check(name, provider())), [format!("parameter.{name}")]);
        }
    }

    #[test]
    fn a_bad_header_name_says_where_it_is_bad() {
        let mut problems = Problems::default();
        assert!(headers(vec![("X Tenant".into(), "marker".into())], None, &mut problems).is_empty());
        let text: String = problems.iter().map(ToString::to_string).collect();
        assert!(text.contains("character 2 of 8, a space") && !text.contains("marker"), "{text}");
    }

    #[test]
    fn headers_of_the_connection_are_problems() {
        for name in OWN_HEADERS.iter().map(HeaderName::as_str).chain(FRAMING) {
            let mut problems = Problems::default();
            assert!(headers(vec![(name.to_uppercase(), "x".into())], None, &mut problems).is_empty(), "{name}");
            assert_eq!(paths(&problems), [format!("header.{name}")]);
        }
    }

    #[test]
    fn what_a_form_cannot_hold_is_named() {
        let tree = || {
            let inner = ParameterValue::object([("b", ParameterValue::list([ParameterValue::from("x\n")]))]);
            let null = ParameterValue::from(serde_json::Value::Null);
            let list =
                ParameterValue::list([ParameterValue::list(["y"]), inner, null, 7.into(), true.into(), "z".into()]);
            vec![("a".to_owned(), list)]
        };
        for (body, expected) in [
            (BodyFormat::Form, &["parameter.a[0]", "parameter.a[1]", "parameter.a[2]"][..]),
            (BodyFormat::Query, &["parameter.a[0]", "parameter.a[1]", "parameter.a[2]"]),
            (BodyFormat::Json, &["parameter.a[1].b[0]"]),
        ] {
            let mut problems = Problems::default();
            parameters(&tree(), body, &nobody(), &mut problems);
            assert_eq!(paths(&problems), expected, "{body:?}");
        }
    }

    // shows: 6749/8.2
    #[test]
    fn l52_control_characters_are_problems_where_they_are() {
        for end in ["\n", "\r\n", "\t", "\0", "\u{feff}", "\u{2028}"] {
            let text = format!("marker{end}");
            let mut problems = Problems::default();
            scope_and_grant_type(&text, &GrantType::Named(text.clone()), &mut problems);
            let wanted = [("audience".to_owned(), text.clone().into()), (text.clone(), "value".into())];
            parameters(&wanted, BodyFormat::Json, &nobody(), &mut problems);
            headers(
                vec![("x-tenant".into(), text.clone().into()), (text.clone(), "value".into())],
                None,
                &mut problems,
            );
            keep(std::slice::from_ref(&text), &ResponseFormat::oauth(), &mut problems);
            let expected =
                ["scope", "grant_type", "parameter.audience", "parameter", "header.x-tenant", "header", "keep"];
            assert_eq!(paths(&problems), expected, "{end:?}");
            assert!(problems.iter().all(|problem| !problem.to_string().contains("marker")), "{problems:?}");
        }
    }
}
