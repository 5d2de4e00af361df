//! Certificates of a client for token requests.

use bearer_token::Problem;
use reqwest::{Certificate, ClientBuilder, Identity};

/// PEMs as they were given.
#[derive(Default)]
pub(super) struct Tls {
    pub(super) ca: Vec<Vec<u8>>,
    pub(super) only_ca: Vec<Vec<u8>>,
    pub(super) identity: Option<Vec<u8>>,
}

impl Tls {
    pub(super) fn applied(&self, client: ClientBuilder, problems: &mut Vec<Problem>) -> ClientBuilder {
        let (ca, only_ca) = (certificates("ca", &self.ca, problems), certificates("only_ca", &self.only_ca, problems));
        let client = match (self.ca.is_empty(), self.only_ca.is_empty()) {
            (true, true) => client,
            (false, true) => client.tls_certs_merge(ca),
            (_, false) => client.tls_certs_only(only_ca.into_iter().chain(ca)),
        };
        match self.identity.as_deref().map(Identity::from_pem) {
            Some(Ok(identity)) => client.identity(identity),
            Some(Err(_)) => {
                let problem = Problem::new("identity", "found no certificate with its private key");
                problems.push(problem.expecting("both in one PEM, the certificate first, the key not encrypted"));
                client
            }
            None => client,
        }
    }
}

fn certificates(path: &str, pems: &[Vec<u8>], problems: &mut Vec<Problem>) -> Vec<Certificate> {
    let mut found = Vec::new();
    for pem in pems {
        match Certificate::from_pem_bundle(pem) {
            Ok(certificates) if !certificates.is_empty() => found.extend(certificates),
            _ => {
                let problem = Problem::new(path, "found no certificate in PEM");
                problems.push(problem.expecting("one CA certificate or more"));
            }
        }
    }
    found
}
