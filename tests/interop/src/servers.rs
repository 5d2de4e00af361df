//! The servers, one file each.

use crate::profile::Profile;

mod keycloak;
mod oidc_provider;

pub(crate) const ALL: &[&Profile] = &[&oidc_provider::PROFILE, &keycloak::PROFILE];
