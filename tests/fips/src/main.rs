//! A program that runs in FIPS mode: TLS and signatures come from the FIPS module of AWS-LC.
//!
//! `.ci/release` runs it. docs/SUPPORT.md has what it prints.

use bearer_token::{
    Error,
    jwt::{Algorithm, JwtTemplate, SigningKey},
    platform::Platform,
};

macro_rules! key {
    ($file:literal) => {
        include_str!(concat!("../../../crates/bearer-token/src/jwt/testdata/", $file))
    };
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    aws_lc_rs::try_fips_mode().expect("aws-lc-rs is the FIPS module");
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    assert!(provider.fips(), "rustls uses the FIPS module");
    provider.install_default().expect("the first cryptography of this process");
    let client =
        rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    assert!(client.fips(), "so connections have approved cipher suites only");

    println!("FIPS mode is on");
    let keys = [
        (&[Algorithm::RS256, Algorithm::PS256][..], key!("rsa2048.pem")),
        (&[Algorithm::ES256], key!("p256.pem")),
        (&[Algorithm::ES384], key!("p384.pem")),
        (&[Algorithm::ES512], key!("p521.pem")),
        (&[Algorithm::EdDSA], key!("ed25519.pem")),
    ];
    for (algorithm, key) in keys.iter().flat_map(|(algorithms, key)| algorithms.iter().map(move |one| (*one, key))) {
        sign(algorithm, SigningKey::from_pem(algorithm, key)?).await?;
    }
    sign(Algorithm::HS256, SigningKey::hmac(Algorithm::HS256, [7; 32])?).await?;
    Ok(())
}

async fn sign(algorithm: Algorithm, key: SigningKey) -> Result<(), Error> {
    let jwt = JwtTemplate::builder(key).issuer("fips").build()?.sign(&Platform::system()).await?;
    println!("{algorithm:?}: a JWT of {} bytes", jwt.secret().len());
    Ok(())
}
