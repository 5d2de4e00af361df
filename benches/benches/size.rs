//! See `lab/benches/size.rs`.

fn main() -> std::process::ExitCode {
    benches::hand_over("size")
}
