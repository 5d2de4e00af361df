//! Turns the README's snippets into modules, so that `tests/readme` can run them.
//!
//! Each snippet of Rust becomes a module that is named after its heading. Each string in it that names a place (a URL,
//! a file) becomes a call of `crate::places::of`, which returns the place that stands in for it.

use std::{env, error::Error, fmt::Write, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    println!("cargo::rerun-if-changed={}", readme.display());
    let text = fs::read_to_string(&readme)?;

    let (mut modules, mut names, mut blocks) = (String::new(), Vec::new(), String::new());
    let mut heading = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')) {
            heading = title.to_owned();
        }
        let Some(language) = line.strip_prefix("```") else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let body = body.join("\n");
        writeln!(blocks, "({heading:?}, {language:?}, {body:?}),")?;
        if language == "rust" {
            let name = unique(&identifier(&heading), &names);
            writeln!(modules, "pub(crate) mod {name} {{\n{}\n}}", public(&with_places(&name, &body)))?;
            names.push(name);
        }
    }
    let out = env::var("OUT_DIR")?;
    let lists = format!(
        "/// The modules.\npub(crate) const NAMES: &[&str] = &{names:?};\n\
         /// Heading, language and content of every block of code.\n\
         pub(crate) const BLOCKS: &[(&str, &str, &str)] = &[{blocks}];\n"
    );
    fs::write(Path::new(&out).join("readme.rs"), lists + &modules)?;
    Ok(())
}

fn identifier(heading: &str) -> String {
    let words = heading.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_lowercase()
}

fn unique(name: &str, taken: &[String]) -> String {
    let mut number = 1;
    let mut candidate = name.to_owned();
    while taken.contains(&candidate) {
        number += 1;
        candidate = format!("{name}_{number}");
    }
    candidate
}

/// Replaces each string that names a place. No string of the README contains an escape.
fn with_places(module: &str, code: &str) -> String {
    let mut replaced = String::new();
    for (index, part) in code.split('"').enumerate() {
        if index % 2 == 0 {
            replaced.push_str(part);
        } else if is_place(part) {
            replaced.push_str(&format!("crate::places::of({module:?}, {part:?})"));
        } else {
            replaced.push_str(&format!("{part:?}"));
        }
    }
    replaced
}

/// Makes the items of a snippet visible to the test.
fn public(code: &str) -> String {
    let is_item = |line: &&str| ["fn ", "async fn ", "struct "].iter().any(|start| line.starts_with(start));
    let line = |line: &str| if is_item(&line) { format!("pub(crate) {line}\n") } else { format!("{line}\n") };
    code.lines().map(line).collect()
}

fn is_place(text: &str) -> bool {
    let extension = text.rsplit_once('.').map(|(_, extension)| extension);
    text.starts_with("https://") || text.starts_with('/') || matches!(extension, Some("pem" | "toml" | "json"))
}
