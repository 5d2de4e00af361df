//! Writes `docs/PERFORMANCE.md` and its plots from the reports of the benches.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use lab::{
    chart, missed,
    report::{self, Bar, Part, Report},
    statistics,
};

/// The benches in the order of the document, with an introduction for each.
const SECTIONS: [(&str, &str, &str); 11] = [
    (
        "hot_path",
        "The warm request",
        "One request with a cached token: an absolute `https` URI, which is parsed, and four headers. The token is 1,024 \
         bytes long, and the response has four headers. *Made* includes making the request and the response, with the same \
         machine code for every contender. *Not made* excludes that: requests are made beforehand, and responses have no \
         headers. *Net* also excludes the service that responds at once. Each way to attach the token keeps its checks: ours \
         checks the expiry, the origin, and the request's own `Authorization`, and marks the header sensitive.\n\n\
         Instructions are callgrind's, of requests that are made. They repeat to within a few, and exclude the clock, which is \
         in the kernel's vDSO. aliri_tokens checks the expiry only if its `token_status` is called. google-cloud-auth runs in \
         its fastest way, by keeping its headers with their entity tag. huskarl and cf-gears-toolkit-auth run both as documented \
         and in a faster way by hand. reqwest-auth leaves caching to its user, and has a constant source here, which no real \
         source can beat. It needs reqwest 0.12, so its base is a client of that version. `AddAuthorizationLayer` is made \
         sensitive, as ours always is. The *static layer that looks at the response* is written for this bench: it sets a \
         constant header and compares the status of the response in place, as every layer must that wants to notice a refusal. What \
         was tried to make ours cheaper, and the same before there were observers, is in [WARM.md](performance/WARM.md).",
    ),
    (
        "contention",
        "Contention",
        "The same request from many tasks at once. Two threads that clone one shared header value compete for its \
         reference count; ours has a separate count for each group of threads.",
    ),
    (
        "keyed",
        "A provider for each key",
        "The key is chosen by a selector. The tenant is among the extensions of each request, for the unkeyed layer too.",
    ),
    (
        "many_tenants",
        "Many tenants in turn",
        "The same requests, each of another tenant: what the caches of the processor do not hold.",
    ),
    (
        "storm",
        "Storms",
        "Every contender has its own token endpoint on loopback, and is driven through its public API.",
    ),
    (
        "recovery",
        "Recovery",
        "Each contender has its own token endpoint on loopback, which misbehaves, and is driven through its public API.",
    ),
    (
        "tls",
        "Over TLS",
        "The endpoint is behind TLS, with a CA that the measured processes find as a system's (`SSL_CERT_FILE`).",
    ),
    ("waiting", "Memory", "Counted by the allocator, in a process for each contender."),
    ("signing", "Signing", "Keys are generated for each run, and parsed before the measurement starts."),
    (
        "end_to_end",
        "End to end",
        "Keep-alive HTTP/1.1 over loopback, one worker thread, a server on another. The ratio is the throughput relative \
         to the first row, round by round.",
    ),
    ("size", "Size", "How much a program grows."),
];

fn main() -> std::io::Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    // A quick try does not touch the document.
    let docs = if statistics::is_quick() { root.join("target/reports") } else { root.join("docs") };
    let plots = docs.join("performance");
    fs::create_dir_all(&plots)?;
    let names = SECTIONS.map(|(name, _, _)| name);
    let (reports, fleet) = if statistics::is_quick() {
        // Of what was tried.
        let tried = names.iter().filter_map(|name| Report::kept(&[name]).ok()).flatten().collect();
        (tried, fs::read_to_string(root.join("target/reports/fleet.md")).unwrap_or_default())
    } else {
        let reports = Report::kept(&names).map_err(std::io::Error::other)?;
        (reports, fs::read_to_string(root.join("target/reports/fleet.md"))?)
    };
    let (fleet, fleet_bars) = fleet.split_once("\n| bar |").unwrap_or((&fleet, ""));

    let mut text = format!(
        "<!-- Written by benches/report.sh; do not edit. -->\n\n# Performance\n\n\
         What bearer-token costs, compared with the layer that sets a constant header (tower-http's `AddAuthorizationLayer`) \
         and with other crates that cache tokens. The numbers of a section are from one run of its bench.\n\n\
         To repeat the measurements: `benches/report.sh` (Rust {}, a C compiler, valgrind), or one bench with \
         `cargo bench --bench hot_path`; the others are {}, and the fleet is `cargo run --release --example fleet`. A bench \
         fails when it misses one of its bars. Contenders take turns, round by round, and the tables show medians of the \
         rounds' ratios, so other load on the machine affects all alike. Each section states that load. A bar \
         with a range was measured in so many runs, and is judged by the median of their medians; below the table is why a bar \
         is missed, and what was tried.\n\n## The bars\n\n{}",
        env!("CARGO_PKG_RUST_VERSION"),
        SECTIONS[1..].iter().map(|(name, _, _)| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        report::bars(&reports),
    );
    // The rows of the fleet's own table, without the header.
    let rows: Vec<_> = fleet_bars.lines().skip(2).filter(|line| line.starts_with('|')).collect();
    for row in &rows {
        text.push('\n');
        text.push_str(row);
    }
    let fleet_bars: Vec<Bar> = rows.iter().filter_map(|row| fleet_bar(row)).collect();
    text.push('\n');
    text.push_str(&missed::sections(reports.iter().flat_map(|report| &report.bars).chain(&fleet_bars))?);
    text.push_str(&format!("\n\n## The machine\n\n{}\n", machine()));

    for (name, title, words) in SECTIONS {
        let Some(report) = reports.iter().find(|report| report.name == name) else { continue };
        text.push_str(&format!(
            "\n## {title}\n\n`cargo bench --bench {name}`. {words}\n\n{}",
            report.markdown("performance")
        ));
        for part in &report.parts {
            if let Part::Plot(plot) = part {
                chart::draw(plot, &plots.join(format!("{}.svg", plot.name))).map_err(std::io::Error::other)?;
            }
        }
    }
    if !fleet.is_empty() {
        text.push_str(&format!(
            "\n## A fleet\n\n`cargo run --release --example fleet`. Real providers in virtual time.\n\n{}\n\n",
            fleet.trim()
        ));
        for (name, title) in [
            ("fleet-together", "A fleet that started together"),
            ("fleet-waves", "A fleet that started in waves"),
            ("fleet-outage", "A fleet through an outage"),
        ] {
            text.push_str(&format!("![{title}](performance/{name}.svg)\n\n"));
        }
    }
    text.push_str(&format!("\n## Versions\n\n{}\n", versions()));
    while text.contains("\n\n\n") {
        text = text.replace("\n\n\n", "\n\n");
    }
    fs::write(docs.join("PERFORMANCE.md"), text)
}

/// A row of the fleet's table of bars. Its key is made of its words.
fn fleet_bar(row: &str) -> Option<Bar> {
    let cells: Vec<_> = row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let [what, expected, found, reached] = <[String; 4]>::try_from(cells).ok()?;
    let words = what.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let key = words.collect::<Vec<_>>().join("-");
    Some(Bar { key, what, expected, found, reached: reached == "yes" })
}

fn machine() -> String {
    let first = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let said = |program: &str, arguments: &str| {
        let output = Command::new(program).args(arguments.split(' ')).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory: f64 =
        first("/proc/meminfo", "MemTotal").split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or(0.0);
    let rows = [
        ("processor", format!("{}, {cores} cores", first("/proc/cpuinfo", "model name"))),
        ("memory", format!("{:.0} GiB", memory / 1024.0 / 1024.0)),
        ("system", format!("{} {}", said("uname", "-s"), said("uname", "-r"))),
        ("compiler", said("rustc", "--version")),
        ("counter", said("valgrind", "--version")),
        ("tree", said("git", "describe --always --dirty --abbrev=12")),
        ("profile", "`bench`, as cargo has it: optimized, without link-time optimization".to_owned()),
    ];
    let rows: Vec<_> = rows.iter().map(|(what, value)| format!("| {what} | {value} |")).collect();
    format!("| | |\n|---|---|\n{}", rows.join("\n"))
}

/// The measured versions, from the lab's lock file.
fn versions() -> String {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap_or_default();
    let mut rows = Vec::new();
    let wanted = [
        "aliri_tokens",
        "arc-swap",
        "aws-lc-rs",
        "bytes",
        "cf-gears-toolkit-auth",
        "gcp_auth",
        "google-cloud-auth",
        "http",
        "huskarl",
        "hyper",
        "jsonwebtoken",
        "reqwest",
        "reqwest-auth",
        "reqwest-middleware",
        "tokio",
        "tower-http",
        "yup-oauth2",
    ];
    let mut name = "";
    for line in lock.lines() {
        let value = |prefix| line.strip_prefix(prefix).map(|value: &str| value.trim_matches('"'));
        if let Some(found) = value("name = ") {
            name = found;
        }
        if let (Some(version), true) = (value("version = "), wanted.contains(&name)) {
            rows.push(format!("| {name} | {version} |"));
        }
    }
    format!("| crate | version |\n|---|--:|\n{}", rows.join("\n"))
}
