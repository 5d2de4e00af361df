//! See `lab/benches/keyed.rs`.

fn main() -> std::process::ExitCode {
    benches::hand_over("keyed")
}
