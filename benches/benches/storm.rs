//! See `lab/benches/storm.rs`.

fn main() -> std::process::ExitCode {
    benches::hand_over("storm")
}
