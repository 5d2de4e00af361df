//! Google Cloud.

mod service_account;
mod workload_identity;

pub use self::{
    service_account::{AccessToken, IdToken, ServiceAccount, service_account},
    workload_identity::{WorkloadIdentity, workload_identity},
};

/// Where Google exchanges assertions. It is their audience as well, whatever a file says as `token_uri`.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// Whether a URL belongs to Google: a configuration from elsewhere must not send an identity to another host.
fn is_of_google(url: &str) -> bool {
    let host = url.strip_prefix("https://").and_then(|rest| rest.split(['/', '?', '#']).next());
    host.is_some_and(|host| host.ends_with(".googleapis.com") && !host.contains(['@', ':', '\\']))
}
