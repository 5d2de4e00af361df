//! The servers, one file each.

use crate::profile::Profile;

mod authlib;
mod glewlwyd;
mod hydra;
mod keycloak;
mod oidc_provider;

pub(crate) const ALL: &[&Profile] =
    &[&oidc_provider::PROFILE, &keycloak::PROFILE, &authlib::PROFILE, &hydra::PROFILE, &glewlwyd::PROFILE];
