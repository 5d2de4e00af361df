//! A key in another process, which signs on request as a KMS, an HSM or Vault would.
//!
//! `cargo run --example remote_signer` starts an authorization server in a box and, as the holder of the key, itself a
//! second time. It ends by itself.

use std::{
    env,
    io::{self, Read, Write},
    process::Stdio,
};

use anyhow::{Context, ensure};
use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use bearer_token::{
    Error, ErrorKind, TokenProvider,
    jwt::{Algorithm, JwtTemplate, Signer, SigningKey},
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
};
use bearer_token_testing::{Algorithm as Verified, AuthorizationServer, Client, VerifyingKey};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Mutex,
};

const HOLD_THE_KEY: &str = "--hold-the-key";
const KEY_ID: &str = "holder/keys/1";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match env::args().nth(1).as_deref() {
        Some(HOLD_THE_KEY) => hold_the_key(),
        _ => client().await,
    }
}

async fn client() -> anyhow::Result<()> {
    let (holder, public_key) = KeyHolder::start().await?;
    println!("the holder of the key is process {}", holder.id().unwrap_or_default());

    let server = AuthorizationServer::start()?;
    let verifying = VerifyingKey::from_public_pem(Verified::ES256, &public_key)?;
    server.register(Client::private_key_jwt("reports", verifying));

    // From here on it is used like any other key.
    let key = SigningKey::remote(holder);
    let source = TokenEndpoint::builder(server.token_url(), ClientCredentials::new())
        .client_auth(ClientAuth::private_key_jwt("reports", key.clone()))
        .build()?;
    let provider = TokenProvider::builder(source).build()?;
    for round in 1..=3 {
        provider.refresh_now().await?;
        println!("token {round} was issued for an assertion signed by {}", key.key_id().unwrap_or_default());
    }
    ensure!(server.count().tokens_issued == 3, "the server issued {} tokens", server.count().tokens_issued);

    // A self-signed JWT works the same way.
    let template = JwtTemplate::builder(key).issuer("reports").build()?;
    let jwt = template.sign(&bearer_token::platform::Platform::system()).await?;
    println!("and a self-signed JWT has {} bytes", jwt.secret().len());
    Ok(())
}

/// The connection to the process that holds the key.
struct KeyHolder {
    process: Child,
    /// Taken out while it is used, because a signature that is dropped at its fetch's deadline must not leave
    /// its response to the next one.
    pipes: Mutex<Option<Pipes>>,
}

struct Pipes {
    to: ChildStdin,
    from: ChildStdout,
}

impl KeyHolder {
    /// Starts the process and reads the public key as PEM.
    async fn start() -> anyhow::Result<(Self, String)> {
        let mut process = Command::new(env::current_exe()?)
            .arg(HOLD_THE_KEY)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let to = process.stdin.take().context("no way to the other process")?;
        let from = process.stdout.take().context("no way from the other process")?;
        let mut pipes = Pipes { to, from };
        let public_key = String::from_utf8(pipes.receive().await?)?;
        Ok((KeyHolder { process, pipes: Mutex::new(Some(pipes)) }, public_key))
    }

    fn id(&self) -> Option<u32> {
        self.process.id()
    }
}

impl Signer for KeyHolder {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }

    fn key_id(&self) -> Option<String> {
        Some(KEY_ID.to_owned())
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut place = self.pipes.lock().await;
        let gone = || Error::new(ErrorKind::Transport, "the process that holds the key does not respond");
        let mut pipes = place.take().ok_or_else(gone)?;
        let der = pipes.ask(message).await.map_err(|error| gone().with_source(error))?;
        *place = Some(pipes);
        // The format that most services return.
        Algorithm::ES256.signature_from_der(&der)
    }
}

impl Pipes {
    async fn ask(&mut self, message: &[u8]) -> io::Result<Vec<u8>> {
        let length = u32::try_from(message.len()).map_err(io::Error::other)?;
        self.to.write_all(&length.to_be_bytes()).await?;
        self.to.write_all(message).await?;
        self.to.flush().await?;
        self.receive().await
    }

    async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let length = self.from.read_u32().await?;
        let mut reply = vec![0; length.min(LONGEST) as usize];
        self.from.read_exact(&mut reply).await?;
        Ok(reply)
    }
}

/// The longest message.
const LONGEST: u32 = 64 * 1024;

/// Runs the other process: makes a key, prints its public half, and signs each message until its input ends.
fn hold_the_key() -> anyhow::Result<()> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der()?;
    let (mut from, mut to) = (io::stdin().lock(), io::stdout().lock());
    let mut say = |reply: &[u8]| -> anyhow::Result<()> {
        to.write_all(&u32::try_from(reply.len())?.to_be_bytes())?;
        to.write_all(reply)?;
        Ok(to.flush()?)
    };
    say(pem::encode(&pem::Pem::new("PUBLIC KEY", public.as_ref())).as_bytes())?;
    let mut length = [0; 4];
    while from.read_exact(&mut length).is_ok() {
        let mut message = vec![0; u32::from_be_bytes(length).min(LONGEST) as usize];
        from.read_exact(&mut message)?;
        say(pair.sign(&SystemRandom::new(), &message)?.as_ref())?;
    }
    Ok(())
}
