//! See `lab/benches/signing.rs`.

fn main() -> std::process::ExitCode {
    benches::hand_over("signing")
}
