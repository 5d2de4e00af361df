//! What is wrong with the settings of a template's builder.
//!
//! Each check reports all that it finds. They run on the builder itself, because some move what they checked to its
//! final place.

use std::time::Duration;

use super::JwtTemplateBuilder;
use crate::{
    jwt::{
        key::certified::CertifiedKey,
        template::{
            ASSERTION_LIFETIME,
            context::{CertificateState, SignContext},
            sign_times::whole_backdate,
            values,
        },
    },
    problem::{Advice, Problem},
};

/// A century. A longer lifetime is a mistake, and could overflow dates of other programs.
const LONGEST_LIFETIME: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl JwtTemplateBuilder {
    /// Checks the lifetime and the back-date. Whole seconds are compared, as in the JWT: a lifetime of 10.5 s with a
    /// back-date of 10 s would be none.
    pub(super) fn check_times(&mut self) {
        let lifetime = self.lifetime.unwrap_or(ASSERTION_LIFETIME);
        let backdate = self.claims.backdate;
        if lifetime > LONGEST_LIFETIME {
            self.problems.add(Problem::new("lifetime", format!("found {lifetime:?}")).expecting("at most 100 years"));
        } else if lifetime.as_secs() <= whole_backdate(backdate) {
            let default = if self.lifetime.is_none() { " (the default)" } else { "" };
            let problem = Problem::new("lifetime", format!("found {lifetime:?}{default}, not more than the back-date"))
                .expecting(format!("more than {backdate:?}, because a JWT would be expired when it is signed"));
            self.problems.add(problem.advise(Advice::set("lifetime")).advise(Advice::set("backdate")));
        }
    }

    /// Opens the certificate. Also returns its state for the checks that follow.
    ///
    /// An unusable certificate leaves a state that lets computed members run. They then do not report its absence a
    /// second time.
    pub(super) fn certified(&mut self) -> (Option<CertifiedKey>, CertificateState) {
        if self.has_chain && self.certificate.is_none() {
            let problem = Problem::new("certificate_chain", "found no certificate to send");
            self.problems.add(problem.advise(Advice::set("certificate")));
        } else if self.has_chain {
            self.computed_header.insert("x5c".to_owned(), SignContext::certificate_chain);
        }
        let Some(certificate) = self.certificate.take() else { return (None, CertificateState::None) };
        match CertifiedKey::open(&self.key, certificate, self.has_chain) {
            Ok((certified, chain)) => (Some(certified), CertificateState::Usable(chain)),
            Err(error) => {
                error.problems().iter().for_each(|problem| self.problems.add(problem.clone()));
                (None, CertificateState::Unusable)
            }
        }
    }

    /// Computes each claim once, and checks the results. The results of the rehearsal are checked like fixed claims: a
    /// function that returns a string with a newline does so each time.
    pub(super) fn check_computed(&mut self, cx: &SignContext) {
        let Self { claims, problems, .. } = self;
        for name in claims.computed.names() {
            let path = format!("computed.{name}");
            values::name_problem("computed", name).into_iter().for_each(|problem| problems.add(problem));
            if claims.fixed.contains_key(name) || claims.looked_up.has(name) {
                let problem = Problem::new(path, "found the same claim among the fixed ones");
                problems.add(problem.advise(Advice::text("set it in one place")));
            }
        }
        for (name, value) in claims.computed.rehearse("computed", cx, problems) {
            let found = values::claim_problems(&format!("computed.{name}"), &name, &value);
            found.into_iter().for_each(|problem| problems.add(problem));
        }
    }

    /// Checks the names and strings of the claims. A fixed `exp` would end all JWTs at one time, and a fixed `jti`
    /// would be refused the second time. So each of the four is a problem that names the right method.
    pub(super) fn check_names(&mut self) {
        let Self { claims, problems, .. } = self;
        for (name, value) in &claims.fixed {
            values::name_problem("claims", name).into_iter().for_each(|problem| problems.add(problem));
            let found = values::claim_problems(&format!("claims.{name}"), name, value);
            found.into_iter().for_each(|problem| problems.add(problem));
        }
        std::mem::take(&mut self.strings).check(claims, problems);
        for (name, instead) in [
            ("iat", &[Advice::set("backdate"), Advice::set_to("issued_at", "false")][..]),
            ("nbf", &[Advice::set_to("not_before", "true")]),
            ("exp", &[Advice::set("lifetime"), Advice::set_to("expiration_time", "false")]),
            ("jti", &[Advice::set_to("jwt_id", "false")]),
        ] {
            if claims.fixed.contains_key(name) {
                let problem = Problem::new(format!("claims.{name}"), "found a fixed value")
                    .expecting("none, because each JWT gets its own");
                problems.add(instead.iter().cloned().fold(problem, Problem::advise));
            }
        }
    }
}
