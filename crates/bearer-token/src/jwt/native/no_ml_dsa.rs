//! In place of `ml_dsa.rs`, without the feature `ml-dsa`: there is no such key.
//!
//! The algorithms exist without the feature: remote signers may have such keys, and errors name them. Only keys in this
//! process need it.

use aws_lc_rs::{encoding::PublicKeyX509Der, error::Unspecified};

use super::fault::NativeFault;
use crate::jwt::algorithm::ParameterSet;

pub(crate) enum MlDsaKey {}

impl MlDsaKey {
    pub(crate) fn from_pkcs8(_set: ParameterSet, _der: &[u8]) -> Result<Self, NativeFault> {
        Err(NativeFault::WithoutMlDsa)
    }

    pub(crate) fn from_seed(_set: ParameterSet, _seed: &[u8], _public: &[u8]) -> Result<Self, NativeFault> {
        Err(NativeFault::WithoutMlDsa)
    }

    pub(crate) fn public_key(&self) -> Result<PublicKeyX509Der<'static>, Unspecified> {
        match *self {}
    }

    pub(crate) fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        match *self {}
    }
}
