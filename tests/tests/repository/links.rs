//! Links of the documents: to files of the repository, to their headings, and to the repository's own pages.

use std::{
    collections::{HashMap, HashSet},
    path::{Component, Path, PathBuf},
};

use pulldown_cmark::{BrokenLink, Event, Options, Parser, Tag, TagEnd};

use crate::{files, root};

/// Where the files of the repository are on the web, as packages and the guide link to them.
const PAGES: [&str; 2] = [
    "https://github.com/bearer-token/bearer-token/blob/main/",
    "https://github.com/bearer-token/bearer-token/tree/main/",
];

/// One document: its links, and the anchors that other links may name.
#[derive(Debug, Default)]
struct Document {
    links: Vec<String>,
    anchors: HashSet<String>,
    /// Links by a name that is defined nowhere.
    undefined: Vec<String>,
}

impl Document {
    fn parse(text: &str) -> Self {
        let mut undefined = Vec::new();
        let mut note = |link: BrokenLink<'_>| {
            undefined.push(link.reference.to_string());
            None
        };
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
        let (mut document, mut heading) = (Document::default(), None);
        for event in Parser::new_with_broken_link_callback(text, options, Some(&mut note)) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    document.links.push(dest_url.into_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let slug = slug(&heading.take().unwrap_or_default());
                    let next = (1..).map(|number| format!("{slug}-{number}"));
                    let mut names = std::iter::once(slug.clone()).chain(next);
                    document.anchors.extend(names.find(|name| !document.anchors.contains(name)));
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        document.undefined = undefined;
        document
    }
}

/// The anchor of a heading, as GitHub and rustdoc make it.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The path and the anchor that a link in this file leads to, unless it leads elsewhere.
fn target<'a>(file: &Path, link: &'a str) -> Option<(PathBuf, Option<&'a str>)> {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    if let Some(path) = PAGES.iter().find_map(|page| path.strip_prefix(page)) {
        return Some((root().join(path), anchor));
    }
    // An address, or a path of the language in a chapter of the guide, which rustdoc checks.
    if path.contains(':') {
        return None;
    }
    Some((if path.is_empty() { file.to_owned() } else { plain(&file.parent().unwrap().join(path)) }, anchor))
}

/// The path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// The links of these files that lead nowhere.
fn dead(documents: &HashMap<PathBuf, Document>) -> Vec<String> {
    let mut dead = Vec::new();
    for (file, document) in documents {
        let shown = file.strip_prefix(root()).unwrap_or(file).display();
        for link in &document.links {
            let Some((path, anchor)) = target(file, link) else { continue };
            if !documents.contains_key(&path) && !path.exists() {
                dead.push(format!("{shown}: {link}: there is no such file"));
            } else if let Some(anchor) = anchor
                && let Some(to) = documents.get(&path)
                && !to.anchors.contains(anchor)
            {
                dead.push(format!("{shown}: {link}: the file has no such heading"));
            }
        }
        // In the guide and in what rustdoc includes, these are names of items.
        if !file.starts_with(root().join("crates")) {
            dead.extend(document.undefined.iter().map(|name| format!("{shown}: [{name}] is defined nowhere")));
        }
    }
    dead.sort();
    dead
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let read = |path: PathBuf| {
        let document = Document::parse(&std::fs::read_to_string(&path).unwrap());
        (path, document)
    };
    let documents: HashMap<_, _> = files(&root(), "md").into_iter().map(read).collect();
    let links: usize = documents.values().map(|document| document.links.len()).sum();
    assert!(documents.len() > 40 && links > 150, "found {} documents with {links} links", documents.len());
    let dead = dead(&documents);
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

#[test]
fn every_page_that_code_names_is_a_file() {
    let mut pages = 0;
    for file in files(&root(), "rs").iter().chain(&files(&root(), "toml")) {
        // This test has links that lead nowhere.
        if file.ends_with("repository/links.rs") {
            continue;
        }
        let text = std::fs::read_to_string(file).unwrap();
        for (start, page) in PAGES.iter().flat_map(|page| text.match_indices(page)) {
            let path = text.get(start + page.len()..).unwrap_or_default();
            let end = path.find(|c: char| c.is_whitespace() || matches!(c, ')' | '>' | '"' | '`' | '#'));
            let path = path.get(..end.unwrap_or(path.len())).unwrap_or_default();
            assert!(root().join(path).exists(), "{} names {path}, which is no file", file.display());
            pages += 1;
        }
    }
    assert!(pages >= 4, "found {pages}");
}

#[test]
fn dead_links_are_found() {
    let file = root().join("docs/SAMPLE.md");
    let text = "# Who's who: `a_b`\n[up](../README.md) [down](#whos-who-a_b) [twice](#whos-who-a_b-1)\n\n\
                # Who's who: a_b\n[gone](GONE.md) [gone too](#gone) [page]\n\
                [it](https://github.com/bearer-token/bearer-token/blob/main/docs/GONE.md)\n\n    [code](CODE.md)\n\n\
                `[code](CODE.md)` [elsewhere](https://example.com) ![gone](gone.svg)\n";
    let documents = HashMap::from([(file, Document::parse(text))]);
    let found = dead(&documents);
    let expected = ["#gone: the file has no", "GONE.md: there", "[page] is", "gone.svg: there", "docs/GONE.md: there"];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for expected in expected {
        assert!(found.iter().any(|found| found.contains(expected)), "{expected}: {found:#?}");
    }
}
