//! See `lab/benches/hot_path.rs`.

fn main() -> std::process::ExitCode {
    benches::hand_over("hot_path")
}
