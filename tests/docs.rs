#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! The documentation, held against the program: each page's commands are run, what it says they print is looked for, each YAML
//! document in it is a file of `docs/examples` that the program accepts, and each link, path and test that it names exists.
//!
//! What stands after the language of a code block says what is done with it:
//!
//! - `sh run`: it is run. The blocks of one page are one script, in a directory of its own, with the program on the path
//!   and the checkout as `$FLYBALL`. `fails=3` says which exit code is expected; `needs=python3,wasm` what must be there, or
//!   this block and those after it are skipped. A comment `<!-- run` … `-->` is run too: it is what a reader does by waiting.
//! - `text output`: the block before it prints these lines, in this order. Numbers and digests may differ; `…` stands for anything.
//! - `yaml`: it must be an `{{#include}}` of an example. A page of `docs/examples` itself is never a copy.
//!
//! `FLYBALL_PAGE=how-to/sign` runs only the pages whose path holds that text.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{flyball, root, said};

/// No page's commands take longer, in seconds, the build of a plugin on a busy machine included.
const LONGEST: &str = "900";

/// A code block, or a hidden `<!-- run` comment, of a page.
struct Block {
    line: usize,
    info: Vec<String>,
    body: String,
}

impl Block {
    fn is(&self, language: &str, word: &str) -> bool {
        self.info.first().is_some_and(|first| first == language)
            && self.info.iter().any(|other| other == word)
    }

    fn option(&self, name: &str) -> Option<&str> {
        self.info.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// What it needs and this machine has not.
    fn missing(&self) -> Option<&str> {
        self.option("needs")?.split(',').find(|needed| match *needed {
            "wasm" => !flyball_first_party::FROM_SOURCE,
            program => !std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
                .any(|folder| folder.join(program).is_file()),
        })
    }
}

/// The blocks of a page, in their order.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        let (info, end) = match line.trim_start() {
            "<!-- run" => (vec!["sh".to_owned(), "run".to_owned()], "-->"),
            fence if fence.starts_with("```") => {
                (fence[3..].split_whitespace().map(str::to_owned).collect(), "```")
            }
            _ => continue,
        };
        let body = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != end);
        let body: Vec<&str> = body.map(|line| line.get(indent..).unwrap_or(line.trim())).collect();
        blocks.push(Block { line: at + 1, info, body: body.join("\n") });
    }
    blocks
}

/// Every page of the book, by its path.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut folders = vec![root().join("docs/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                pages.push(path);
            }
        }
    }
    pages.sort();
    assert!(pages.len() > 10, "docs/src holds {} pages", pages.len());
    pages
}

/// The pages, and what stands at the head of the checkout.
fn documents() -> Vec<PathBuf> {
    let heads = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "GLOSSARY.md", "ARCHITECTURE.md"];
    pages().into_iter().chain(heads.map(|name| root().join(name))).collect()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Says all that is wrong at once.
#[track_caller]
fn no_faults(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// A line without what differs from run to run: numbers, digests, the widths of columns.
fn without_numbers(line: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for character in line.chars().chain([' ']) {
        if character.is_ascii_alphanumeric() {
            word.push(character);
            continue;
        }
        let number = word.chars().any(|c| c.is_ascii_digit()) && word.chars().all(|c| c.is_ascii_hexdigit());
        out.push_str(if number { "#" } else { &word });
        word.clear();
        out.push(character);
    }
    for mark in ["#.#", "#:#"] {
        while out.contains(mark) {
            out = out.replace(mark, "#");
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a line is as the page shows it, in which `…` stands for anything.
fn is_shown_as(line: &str, expected: &str) -> bool {
    let (line, expected) = (without_numbers(line), without_numbers(expected));
    let parts: Vec<&str> = expected.split('…').map(str::trim).collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    if parts.len() == 1 {
        return line == expected;
    }
    let mut rest = line.as_str();
    for part in &parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    line.starts_with(first) && line.ends_with(last)
}

/// The first line that the page shows and the run did not print, in its order.
fn not_printed<'page>(printed: &str, page: &'page str) -> Option<&'page str> {
    let mut printed = printed.lines();
    page.lines()
        .filter(|line| !line.trim().is_empty() && line.trim() != "…")
        .find(|expected| !printed.any(|line| is_shown_as(line, expected)))
}

const MARK: &str = "@@ block at line ";

/// One script of the blocks that are run. A mark in its output says where each begins.
fn script(blocks: &[&Block]) -> String {
    // What a page leaves running ends with it.
    let mut script =
        String::from("set -euo pipefail\nexec 2>&1\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n");
    for block in blocks {
        script.push_str(&format!("echo; echo '{MARK}{}'\n", block.line));
        match block.option("fails") {
            None => script.push_str(&format!("{}\n", block.body)),
            Some(code) => script.push_str(&format!(
                "code=0\n{{\n{}\n}} || code=$?\n[ $code = {code} ] || {{ echo \"the exit code is $code and not {code}\"; exit 1; }}\n",
                block.body
            )),
        }
    }
    script
}

/// Runs a page's commands; what is wrong with them.
fn follow(page: &Path) -> Vec<String> {
    let all = blocks(&fs::read_to_string(page).unwrap());
    let runs: Vec<&Block> = all.iter().filter(|block| block.is("sh", "run")).collect();
    let can_run: Vec<&Block> = runs.iter().copied().take_while(|block| block.missing().is_none()).collect();
    if let Some(skipped) = runs.get(can_run.len()) {
        let needed = skipped.missing().unwrap_or_default();
        eprintln!("{}:{}: skipped, with what follows: it needs {needed}", shown(page), skipped.line);
    }
    if can_run.is_empty() {
        return Vec::new();
    }
    let scratch = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_flyball")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=10", LONGEST, "bash", "-c", &script(&can_run)])
        .current_dir(scratch.path())
        .env("PATH", path)
        .env("FLYBALL", root())
        // What is run without --state keeps its state here too.
        .env("XDG_STATE_HOME", scratch.path())
        .env("NO_COLOR", "1");
    for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "FLYBALL_STATE", "FLYBALL_LOG"] {
        command.env_remove(name);
    }
    let log = scratch.path().join(".printed");
    let status = command.stdin(Stdio::null()).stdout(fs::File::create(&log).unwrap()).status().unwrap();
    let printed = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
    let code = status.code();
    if code != Some(0) {
        return vec![format!("{}: its commands end with {code:?}; they print:\n{printed}", shown(page))];
    }
    outputs(page, &all, &can_run, &printed)
}

/// What a page says that its commands print, and they do not.
fn outputs(page: &Path, all: &[Block], ran: &[&Block], printed: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for output in all.iter().filter(|block| block.is("text", "output")) {
        let Some(of) = ran.iter().rev().find(|block| block.line < output.line) else { continue };
        if all.iter().any(|block| block.is("sh", "run") && (of.line + 1..output.line).contains(&block.line)) {
            continue; // The block that prints it was skipped.
        }
        let from = printed.split(&format!("{MARK}{}\n", of.line)).nth(1).unwrap_or_default();
        let from = from.split(MARK).next().unwrap_or_default();
        if let Some(line) = not_printed(from, &output.body) {
            let at = output.line;
            faults.push(format!("{}:{at}: not printed: {line}\nit prints:\n{from}", shown(page)));
        }
    }
    faults
}

#[test]
fn each_command_of_each_page_works_and_prints_what_the_page_shows() {
    let only = std::env::var("FLYBALL_PAGE").unwrap_or_default();
    let chosen: Vec<PathBuf> = pages().into_iter().filter(|page| shown(page).contains(&only)).collect();
    assert!(!chosen.is_empty(), "no page has {only:?} in its path");
    let faults: Vec<String> = chosen.iter().flat_map(|page| follow(page)).collect();
    no_faults(&faults);
}

#[test]
fn each_yaml_document_of_a_page_is_an_example_that_exists() {
    let mut faults = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for block in
            blocks(&text).iter().filter(|block| block.info.first().is_some_and(|word| word == "yaml"))
        {
            if let Err(fault) = included(&page, block.body.trim()) {
                faults.push(format!("{}:{}: {fault}", shown(&page), block.line));
            }
        }
    }
    no_faults(&faults);
}

/// The text of an example, or of the part of it between two anchors.
fn included(page: &Path, body: &str) -> Result<String, String> {
    let inner = body.strip_prefix("{{#include ").and_then(|rest| rest.strip_suffix("}}"));
    let inner = inner.ok_or("YAML must be an {{#include}} of a file in docs/examples")?;
    let (path, anchor) = inner.split_once(':').unwrap_or((inner, ""));
    let path = page.parent().unwrap().join(path);
    let path = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
    if !path.starts_with(root().join("docs/examples")) {
        return Err(format!("{} is not in docs/examples", shown(&path)));
    }
    let text = fs::read_to_string(&path).unwrap();
    if anchor.is_empty() {
        return Ok(text);
    }
    let part = text.split(&format!("# ANCHOR: {anchor}\n")).nth(1);
    let part = part.and_then(|rest| rest.split_once(&format!("# ANCHOR_END: {anchor}\n")));
    part.map(|(part, _)| part.to_owned()).ok_or(format!("{} has no anchor {anchor:?}", shown(&path)))
}

#[test]
fn the_program_accepts_each_example_and_a_page_shows_each() {
    let shown_somewhere: String =
        documents().iter().map(|page| fs::read_to_string(page).unwrap()).collect::<Vec<_>>().join("\n");
    let mut faults = Vec::new();
    for entry in fs::read_dir(root().join("docs/examples")).unwrap() {
        let example = entry.unwrap().path();
        let name = shown(&example);
        if !shown_somewhere.contains(name.trim_start_matches("docs/")) {
            faults.push(format!("{name}: no page shows it"));
        }
        let output = if example.join("scenario.yaml").exists() {
            flyball().arg("scenario").arg(&example).output().unwrap()
        } else if example.join("scale-cap").exists() {
            continue; // Its policy names a plugin that the tutorial builds; the tutorial checks both.
        } else {
            let parts = ["pipeline.yaml", "policies"].map(|part| example.join(part));
            let parts = parts.iter().filter(|part| part.exists());
            flyball().arg("check").args(parts).env("ANTHROPIC_API_KEY", "a-key-for-a-test").output().unwrap()
        };
        if !output.status.success() {
            faults.push(format!("{name}: {}", said(&output)));
        }
    }
    no_faults(&faults);
}

#[test]
fn every_page_is_in_the_summary_and_every_link_leads_to_a_file() {
    let mut faults = Vec::new();
    let mut linked = BTreeSet::new();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let in_book = document.starts_with(root().join("docs/src"));
        for (line, target) in links(&text) {
            let (path, _section) = target.split_once('#').unwrap_or((target, ""));
            if path.is_empty() || target.contains("://") {
                continue;
            }
            let place = format!("{}:{line}", shown(&document));
            match document.parent().unwrap().join(path).canonicalize() {
                Err(_) => faults.push(format!("{place}: {target} leads nowhere")),
                Ok(found) if in_book && !found.starts_with(root().join("docs/src")) => {
                    faults.push(format!("{place}: {target} leads out of the book; name its path as code"));
                }
                Ok(found) if document.ends_with("SUMMARY.md") => {
                    linked.insert(found);
                }
                Ok(_) => {}
            }
        }
    }
    for page in pages().iter().filter(|page| !page.ends_with("SUMMARY.md")) {
        if !linked.contains(page) {
            faults.push(format!("{}: it is not in SUMMARY.md", shown(page)));
        }
    }
    no_faults(&faults);
}

/// The targets of links, outside of code blocks, with their lines.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    for (at, line) in prose(text) {
        for part in line.split("](").skip(1) {
            links.push((at, part.split(')').next().unwrap_or_default()));
        }
    }
    links
}

/// The lines outside of code blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        (!fence && !in_code).then_some((at + 1, line))
    })
}

/// Folders at the head of the checkout that paths in documents begin with.
const FOLDERS: [&str; 8] = ["tests/", "host/", "plugins/", "wit/", "docs/", "policies/", "json/", ".ci/"];

#[test]
fn every_path_and_every_test_that_a_document_names_exists() {
    let mut faults = Vec::new();
    // A page names the files of its example as its reader sees them.
    let examples = fs::read_dir(root().join("docs/examples")).unwrap().map(|entry| entry.unwrap().path());
    let places: Vec<PathBuf> = examples.chain([root()]).collect();
    // ARCHITECTURE.md names files as its sections about one room do.
    for document in documents().into_iter().filter(|document| !document.ends_with("ARCHITECTURE.md")) {
        let text = fs::read_to_string(&document).unwrap();
        for (at, line) in prose(&text) {
            let place = format!("{}:{at}", shown(&document));
            let mut file = None;
            for (index, code) in line.split('`').enumerate() {
                if index % 2 == 0 {
                    if let Some(Err(fault)) = file.as_deref().map(|file| has_tests(file, code)) {
                        faults.push(format!("{place}: {fault}"));
                    }
                    continue;
                }
                file = FOLDERS.iter().any(|folder| code.starts_with(folder)).then(|| code.to_owned());
                if let Some(path) = file.as_deref()
                    && !path.contains(['<', '*', '{', ' '])
                    && !path.contains("NAME")
                    && !places.iter().any(|place| place.join(path).exists())
                {
                    faults.push(format!("{place}: there is no {path}"));
                }
            }
        }
    }
    no_faults(&faults);
}

/// After a file of tests, `: *no data …*, *what raises …*` names tests of it by how they begin.
fn has_tests(file: &str, after: &str) -> Result<(), String> {
    let Some(names) = after.strip_prefix(": *") else { return Ok(()) };
    let code = fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}"))?;
    for name in names.split('*').step_by(2) {
        let begins = name.trim_end_matches([' ', '…']).replace([' ', '-'], "_").replace(['\'', ','], "");
        if !code.contains(&format!("fn {begins}")) {
            return Err(format!("{file} has no test that begins with {begins:?}"));
        }
    }
    Ok(())
}

#[test]
fn each_command_of_the_program_is_in_the_reference_and_no_other() {
    let page = fs::read_to_string(root().join("docs/src/reference/commands.md")).unwrap();
    let help = said(&flyball().arg("help").output().unwrap());
    let listed = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let commands: BTreeSet<&str> = listed
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() > 15, "{help}");
    let described: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("## `flyball ")?.split([' ', '`']).next()).collect();
    assert_eq!(described, commands);
}

/// Types that other crates may name, each with its file; those of tests and benches are not meant.
fn public_types() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("host")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() {
                if !["tests", "benches", "examples", "fuzz", "target"].iter().any(|other| name == *other) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let declared = text.lines().filter_map(|line| {
                    let rest = line.trim_start().strip_prefix("pub ")?;
                    let kinds = ["struct ", "enum ", "trait ", "type "];
                    let name = kinds.iter().find_map(|kind| rest.strip_prefix(kind))?;
                    Some(name.split(|c: char| !c.is_alphanumeric()).next()?.to_owned())
                });
                found.extend(declared.map(|name| (name, path.clone())));
            }
        }
    }
    found
}

#[test]
fn no_public_type_name_of_the_host_means_two_things() {
    let mut types = public_types();
    assert!(types.len() > 300, "{} were found", types.len());
    types.sort();
    let twice = types.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    let faults = twice.map(|pair| format!("{}: {} and {}", pair[0].0, shown(&pair[0].1), shown(&pair[1].1)));
    no_faults(&faults.collect::<Vec<_>>());
}
