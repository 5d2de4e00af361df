//! The cost of minting a JWT by algorithm, and the time for which it blocks a thread.

use std::{
    future::Future,
    hint::black_box,
    pin::pin,
    process::ExitCode,
    task::Poll,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    hmac::{HMAC_SHA256, HMAC_SHA384, HMAC_SHA512},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING},
    signature::{EcdsaKeyPair, Ed25519KeyPair, PqdsaKeyPair},
    signature::{ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING},
    signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair},
    signature::{RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512},
};
use bearer_token::{
    jwt::{Algorithm, JwtTemplate, SigningKey},
    platform::Platform,
};
use jsonwebtoken::EncodingKey;
use lab::{
    report::Report,
    statistics::{Runs, Turns, median, rounds, timed},
};
use nix::time::{ClockId, clock_gettime};
use serde::Serialize;

const ROUNDS: usize = 41;
/// A bar is judged by the median of so many runs.
const RUNS: usize = 5;
/// Mints whose longest poll is measured.
const POLLED: usize = 101;
/// Mints in one turn. All algorithms but RSA are so fast that reading the clock would distort a single one.
const MANY: u32 = 100;
const FEW: u32 = 4;

/// One algorithm and key, and three ways to sign with it.
struct Contest {
    name: String,
    template: JwtTemplate,
    /// jsonwebtoken's, if it knows the algorithm.
    peer: Option<(jsonwebtoken::Algorithm, EncodingKey)>,
    /// aws-lc-rs's bare signature of a message as long as the JWT's.
    bare: Box<dyn Fn(&[u8])>,
}

/// The same claims as ours.
#[derive(Serialize)]
struct Claims {
    iss: &'static str,
    sub: &'static str,
    aud: &'static str,
    iat: u64,
    exp: u64,
    jti: String,
}

fn main() -> ExitCode {
    let mut report = Report::new("signing");
    let platform = Platform::system();
    let mut rows = Vec::new();
    for contest in contests() {
        let jwt = at_once(contest.template.sign(&platform)).expect("a JWT");
        let message = vec![b'x'; jwt.secret().rfind('.').expect("a signature")];
        let repeat = if contest.name.contains("RSA") { FEW } else { MANY };
        let turn = |one| {
            if one == 1 && contest.peer.is_none() {
                return Duration::ZERO;
            }
            timed(|| {
                for _ in 0..repeat {
                    match one {
                        // Outside a runtime, the signature is made in place.
                        0 => drop(at_once(contest.template.sign(&platform)).expect("a JWT")),
                        1 => drop(encode(contest.peer.as_ref().expect("it takes its turn"))),
                        _ => (contest.bare)(&message),
                    }
                }
            })
        };
        let runs = Runs::take(RUNS, || Turns::take(3, rounds(ROUNDS), turn));
        let micros = |one| format!("{:.1}", runs.median(|turns| turns.seconds(one)) / f64::from(repeat) * 1e6);
        let ratios = |one| runs.each(|turns| turns.ratio(one, 2));
        rows.push(vec![
            contest.name.clone(),
            micros(2),
            micros(0),
            format!("{:.2}", median(ratios(0))),
            if contest.peer.is_some() { micros(1) } else { "-".to_owned() },
            if contest.peer.is_some() { format!("{:.2}", median(ratios(1))) } else { "-".to_owned() },
        ]);
        // An HMAC is so fast that encoding its message takes as long.
        let limit = match &contest.name[..2] {
            "HS" => 3.0,
            "ES" => 1.08,
            _ => 1.1,
        };
        let key = format!("mint-{}", contest.name.to_lowercase().replace(", rsa ", "-"));
        report.at_most(&key, &format!("{} mint, by aws-lc-rs's own signature", contest.name), limit, ratios(0));
    }
    report.text(
        "Microseconds to mint one JWT with a key that was parsed before: claims and header serialized, signed, encoded. \
         `aws-lc-rs` is the bare signature of a message as long as what ours signs.",
    );
    report.text(format!("Medians of {RUNS} runs of {} rounds.", rounds(ROUNDS)));
    report.table(&["algorithm", "aws-lc-rs", "ours", "ratio", "jsonwebtoken::encode", "ratio"], rows);

    report.text(
        "The longest poll while minting with RS256-4096, in microseconds of processor time (the median of 101 mints, and their \
         maximum). Ours makes the signature away from the runtime's worker.",
    );
    let (ours, peer) = held();
    let row = |name: &str, mut times: Vec<Duration>| {
        times.sort();
        let micros = |time: Duration| format!("{:.0}", time.as_secs_f64() * 1e6);
        vec![name.to_owned(), micros(times[times.len() / 2]), micros(times[times.len() - 1])]
    };
    report.table(
        &["RS256-4096", "median", "longest"],
        vec![row("ours", ours), row("jsonwebtoken::encode in a task", peer)],
    );
    report.finish()
}

/// The longest poll of each mint, by ours and by jsonwebtoken.
fn held() -> (Vec<Duration>, Vec<Duration>) {
    let contest = rsa("4096", Algorithm::RS256, jsonwebtoken::Algorithm::RS256, &RSA_PKCS1_SHA256);
    let theirs = contest.peer.as_ref().expect("it knows RS256");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let platform = Platform::system();
        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..POLLED {
            ours.push(longest_poll(async { drop(contest.template.sign(&platform).await.expect("a JWT")) }).await);
            peer.push(longest_poll(async { drop(encode(theirs)) }).await);
        }
        (ours, peer)
    })
}

/// Measured in processor time, because the signing thread may preempt this one.
async fn longest_poll(future: impl Future<Output = ()>) -> Duration {
    let worked = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::MAX, Duration::from);
    let mut future = pin!(future);
    let mut longest = Duration::ZERO;
    std::future::poll_fn(|cx| {
        let started = worked();
        let poll = future.as_mut().poll(cx);
        longest = longest.max(worked().saturating_sub(started));
        poll
    })
    .await;
    longest
}

fn encode((algorithm, key): &(jsonwebtoken::Algorithm, EncodingKey)) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let claims = Claims {
        iss: "service@example.com",
        sub: "service@example.com",
        aud: "https://as.example.com/token",
        iat: now,
        exp: now + 60,
        jti: "7f2b1c52-7a34-4e51-9a61-2f6f0a0b8f11".to_owned(),
    };
    jsonwebtoken::encode(&jsonwebtoken::Header::new(*algorithm), &claims, key).expect("a JWT")
}

fn contests() -> Vec<Contest> {
    use jsonwebtoken::Algorithm as Other;

    let secret = [7; 64];
    let mut contests = Vec::new();
    for (algorithm, other, bare) in [
        (Algorithm::HS256, Other::HS256, HMAC_SHA256),
        (Algorithm::HS384, Other::HS384, HMAC_SHA384),
        (Algorithm::HS512, Other::HS512, HMAC_SHA512),
    ] {
        let bare = aws_lc_rs::hmac::Key::new(bare, &secret);
        contests.push(Contest {
            name: algorithm.to_string(),
            template: template(SigningKey::hmac(algorithm, secret).expect("a key")),
            peer: Some((other, EncodingKey::from_secret(&secret))),
            bare: Box::new(move |message| {
                let _ = black_box(aws_lc_rs::hmac::sign(&bare, message));
            }),
        });
    }
    let rsas: [(Algorithm, Other, &'static dyn RsaEncoding, &[&str]); 6] = [
        (Algorithm::RS256, Other::RS256, &RSA_PKCS1_SHA256, &["2048", "3072", "4096"]),
        (Algorithm::RS384, Other::RS384, &RSA_PKCS1_SHA384, &["2048"]),
        (Algorithm::RS512, Other::RS512, &RSA_PKCS1_SHA512, &["2048"]),
        (Algorithm::PS256, Other::PS256, &RSA_PSS_SHA256, &["2048"]),
        (Algorithm::PS384, Other::PS384, &RSA_PSS_SHA384, &["2048"]),
        (Algorithm::PS512, Other::PS512, &RSA_PSS_SHA512, &["2048"]),
    ];
    for (algorithm, other, encoding, sizes) in rsas {
        contests.extend(sizes.iter().map(|bits| rsa(bits, algorithm, other, encoding)));
    }
    let random = SystemRandom::new();
    for (name, curve, algorithm, other) in [
        ("ES256", &ECDSA_P256_SHA256_FIXED_SIGNING, Algorithm::ES256, Some(Other::ES256)),
        ("ES384", &ECDSA_P384_SHA384_FIXED_SIGNING, Algorithm::ES384, Some(Other::ES384)),
        ("ES512", &ECDSA_P521_SHA512_FIXED_SIGNING, Algorithm::ES512, None),
    ] {
        let der = EcdsaKeyPair::generate_pkcs8(curve, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(curve, der.as_ref()).expect("a key");
        let pem = pem(der.as_ref());
        contests.push(Contest {
            name: name.to_owned(),
            template: template(SigningKey::from_pem(algorithm, &pem).expect("a key")),
            peer: other.map(|other| (other, EncodingKey::from_ec_pem(pem.as_bytes()).expect("a key"))),
            bare: Box::new(move |message| {
                let _ = black_box(pair.sign(&SystemRandom::new(), message));
            }),
        });
    }
    let der = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
    let pair = Ed25519KeyPair::from_pkcs8(der.as_ref()).expect("a key");
    let pem = pem(der.as_ref());
    contests.push(Contest {
        name: "EdDSA".to_owned(),
        template: template(SigningKey::from_pem(Algorithm::EdDSA, &pem).expect("a key")),
        peer: Some((Other::EdDSA, EncodingKey::from_ed_pem(pem.as_bytes()).expect("a key"))),
        bare: Box::new(move |message| {
            let _ = black_box(pair.sign(message));
        }),
    });
    for (set, algorithm) in [
        (&ML_DSA_44_SIGNING, Algorithm::MlDsa44),
        (&ML_DSA_65_SIGNING, Algorithm::MlDsa65),
        (&ML_DSA_87_SIGNING, Algorithm::MlDsa87),
    ] {
        let pair = PqdsaKeyPair::generate(set).expect("a key");
        let pem = self::pem(pair.to_pkcs8v1().expect("a key").as_ref());
        contests.push(Contest {
            name: algorithm.to_string(),
            template: template(SigningKey::from_pem(algorithm, &pem).expect("a key")),
            peer: None,
            bare: Box::new(move |message| {
                let mut signature = vec![0; pair.algorithm().signature_len()];
                pair.sign(message, &mut signature).expect("a signature");
            }),
        });
    }
    contests
}

fn rsa(
    bits: &str,
    algorithm: Algorithm,
    other: jsonwebtoken::Algorithm,
    encoding: &'static dyn RsaEncoding,
) -> Contest {
    let size = match bits {
        "2048" => KeySize::Rsa2048,
        "3072" => KeySize::Rsa3072,
        _ => KeySize::Rsa4096,
    };
    let pair = RsaKeyPair::generate(size).expect("a key");
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).expect("a key");
    let pem = pem(der.as_ref());
    Contest {
        name: format!("{algorithm}, RSA {bits}"),
        template: template(SigningKey::from_pem(algorithm, &pem).expect("a key")),
        peer: Some((other, EncodingKey::from_rsa_pem(pem.as_bytes()).expect("a key"))),
        bare: Box::new(move |message| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &SystemRandom::new(), message, &mut signature).expect("a signature");
        }),
    }
}

fn template(key: SigningKey) -> JwtTemplate {
    JwtTemplate::builder(key)
        .issuer("service@example.com")
        .subject("service@example.com")
        .audience("https://as.example.com/token")
        .lifetime(Duration::from_secs(60))
        .build()
        .expect("a valid template")
}

fn pem(der: &[u8]) -> String {
    pem::encode(&pem::Pem::new("PRIVATE KEY", der))
}

fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("signing outside a runtime had to wait"),
    }
}
