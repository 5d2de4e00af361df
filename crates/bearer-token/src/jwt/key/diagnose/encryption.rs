//! Sentences about keys that are encrypted with a passphrase.
//!
//! An encrypted key fails in three ways that have different fixes. These are the wrong passphrase, a scheme that is too
//! old, and a cost that is too high. The last two end with the OpenSSL command that rewrites the key.

use super::expected::{REWRITE, error};
use crate::{
    error::Error,
    jwt::formats::encrypted::{EncryptionFault, MAX_ITERATIONS, MAX_MEMORY},
    problem::{Advice, Problem},
};

/// The error about an encrypted key. A passphrase that ends in a newline is so common that the sentence asks about it.
pub(crate) fn encryption(fault: &EncryptionFault) -> Error {
    let problem = |found: String| Problem::new("key", found);
    let rewrite = || Advice::text(format!("rewrite it with {REWRITE}"));
    error(match fault {
        EncryptionFault::Damaged => problem("found an ENCRYPTED PRIVATE KEY that does not contain one".to_owned())
            .expecting("PKCS#8")
            .advise(Advice::text("is the file damaged?")),
        EncryptionFault::UnknownScheme => {
            problem("found a private key encrypted with an unsupported scheme".to_owned())
                .expecting("PBES2 with PBKDF2 or scrypt, and AES or triple DES")
                .advise(rewrite())
        }
        EncryptionFault::WrongPassphrase => problem("found a passphrase that does not open the private key".to_owned())
            .expecting("the one that it was encrypted with")
            .advise(Advice::text("does it end in a newline that is not part of it?"))
            .advise(Advice::text("is the file damaged?")),
        EncryptionFault::Iterations(iterations) => {
            problem(format!("found a private key encrypted with {iterations} iterations of PBKDF2"))
                .expecting(format!("at most {MAX_ITERATIONS}"))
                .advise(rewrite())
        }
        EncryptionFault::Scrypt(mebibytes) => {
            problem(format!("found a private key encrypted with scrypt of {mebibytes} MiB"))
                .expecting(format!("at most {} MiB", MAX_MEMORY >> 20))
                .advise(rewrite())
        }
    })
}
