//! The rules of the house that no compiler checks: sizes, the order of dependencies, what no file holds.
//!
//! Reads the source tree as text. Formatted code makes that simple: a function ends at the first line
//! that closes it at its own indentation.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// The runtime's modules, in groups. A module may use its own group and those before it. Follows a
/// record and a checkpoint: `control` comes before `data`, which passes its barriers on.
const LAYERS: &[&[&str]] = &[
    &["error", "id", "codec", "random", "threads", "stop", "crash", "planted"],
    &["time"],
    &["clock", "metrics", "progress", "settings", "signals"],
    &["api"],
    &["graph"],
    &["state"],
    &["control"],
    &["flow", "data"],
    &["transaction"],
    &["connectors"],
    &["job"],
    &["cli"],
    &["testing"],
];

/// The crate's root and what the macros may name: they see everything.
const ABOVE_ALL: &[&str] = &["lib", "__private", "generated"];

/// Uses against the order, each with its reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("api/sink.rs", "control::permit", "sinks are handed the proof that they may commit"),
    ("api/sink.rs", "control::manifest", "how bytes are written in a manifest is decided there"),
];

/// What no source file holds, and why. Written in two halves, as this is a source file, too.
fn forbidden() -> [(String, &'static str); 6] {
    [
        (["to", "do!("].concat(), "finish it"),
        (["unimple", "mented!("].concat(), "finish it"),
        (["db", "g!("].concat(), "use `tracing`"),
        (["/wo", "rk/"].concat(), "a path of one machine"),
        (["/ho", "me/"].concat(), "a path of one machine"),
        (["/ro", "ot/"].concat(), "a path of one machine"),
    ]
}

struct Source {
    /// From the workspace's root, with `/`.
    path: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in a folder of the workspace");
    let mut found = Vec::new();
    for package in ["macros", "runtime", "examples", "tests"] {
        collect(&root.join(package), root, &mut found);
    }
    assert!(found.len() > 100, "only {} source files: is this the workspace?", found.len());
    found
}

fn collect(folder: &Path, root: &Path, found: &mut Vec<Source>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            collect(&path, root, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root).unwrap().to_str().expect("paths are text").replace('\\', "/");
            found.push(Source { path, text });
        }
    }
}

fn assert_none(broken: &str, rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n{broken}");
}

#[test]
fn files_are_short() {
    let mut broken = String::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            let _ = writeln!(broken, "  {}: {lines} lines", source.path);
        }
    }
    assert_none(&broken, &format!("a file has at most {FILE_LINES_MAX} lines; split it by what it knows"));
}

#[test]
fn functions_are_short() {
    let mut broken = String::new();
    for source in sources() {
        for (line, name, lines) in functions(&source.text) {
            if lines > FUNCTION_LINES_MAX {
                let _ = writeln!(broken, "  {}:{line}: `{name}` has {lines} lines", source.path);
            }
        }
    }
    assert_none(&broken, &format!("a function has at most {FUNCTION_LINES_MAX} lines; give its parts names"));
}

/// The functions of a text: line, name, number of lines.
fn functions(text: &str) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some(name) = function_name(code) else { continue };
        let indent = &line[..line.len() - code.len()];
        let end = lines[at..].iter().position(|line| {
            line.strip_prefix(indent)
                .is_some_and(|code| !code.starts_with(' ') && (code.ends_with('}') || code.ends_with(';')))
        });
        found.push((at + 1, name.to_owned(), end.map_or(1, |end| end + 1)));
    }
    found
}

fn function_name(code: &str) -> Option<&str> {
    let (before, after) = code.split_once("fn ")?;
    let qualifier = |word: &str| {
        ["pub", "const", "async", "unsafe", "extern", "\"C\""].contains(&word)
            || word.starts_with("pub(")
            || word.ends_with(')')
    };
    if !before.split_whitespace().all(qualifier) {
        return None;
    }
    let name = after.split(['(', '<']).next()?;
    (!name.is_empty() && name.chars().all(|char| char.is_alphanumeric() || char == '_')).then_some(name)
}

#[test]
fn modules_use_only_what_comes_before_them() {
    let layer = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let mut broken = String::new();
    for source in sources() {
        let Some(path) = source.path.strip_prefix("runtime/src/") else { continue };
        let module = path.split(['/', '.']).next().unwrap_or(path);
        if ABOVE_ALL.contains(&module) || path.ends_with("tests.rs") || path.contains("/tests/") {
            continue;
        }
        let Some(own) = layer(module) else {
            let _ = writeln!(broken, "  {path}: the module `{module}` has no place in LAYERS");
            continue;
        };
        for used in uses(&source.text) {
            let first = used.split("::").next().unwrap_or(&used);
            let excepted = EXCEPTIONS.iter().any(|(file, what, _)| *file == path && used.starts_with(what));
            if layer(first).is_some_and(|used| used > own) && !excepted {
                let _ = writeln!(broken, "  {path} uses crate::{used}");
            }
        }
    }
    assert_none(&broken, "a module uses only its own group of LAYERS and those before it");
}

/// Every `crate::…` path of a text outside of comments and its test module.
fn uses(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let part = |char: char| char.is_alphanumeric() || char == '_' || char == ':';
    code.flat_map(|line| line.match_indices("crate::").map(move |(at, word)| &line[at + word.len()..]))
        .map(|rest| rest.split(|char| !part(char)).next().unwrap_or(rest).to_owned())
        .collect()
}

#[test]
fn every_exception_is_still_needed() {
    let sources = sources();
    for (file, what, reason) in EXCEPTIONS {
        let source = sources.iter().find(|source| source.path == format!("runtime/src/{file}"));
        let used = source.is_some_and(|source| uses(&source.text).iter().any(|used| used.starts_with(what)));
        assert!(used, "{file} no longer uses {what} ({reason}): take it off the list");
    }
}

#[test]
fn nothing_unfinished_and_no_machine_is_named() {
    let mut broken = String::new();
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            for (word, why) in forbidden().iter().filter(|(word, _)| line.contains(word)) {
                let _ = writeln!(broken, "  {}:{}: `{word}` ({why})", source.path, number + 1);
            }
        }
    }
    assert_none(&broken, "no source file holds these");
}

#[test]
fn modules_say_what_they_are() {
    let mut broken = String::new();
    for source in sources() {
        let is_module =
            source.path.contains("/src/") && !source.path.ends_with("/tests.rs") && !source.path.contains("/tests/");
        if is_module && !source.text.starts_with("//!") {
            let _ = writeln!(broken, "  {}", source.path);
        }
    }
    assert_none(&broken, "a module opens with `//!`: what it does, why, what it must not know");
}

#[test]
fn the_rules_see_what_they_look_for() {
    let text = "impl A {\n    pub(crate) const fn long(\n        x: u8,\n    ) -> u8 {\n        x\n    }\n    fn short() {}\n}\nlet fnord = 1;\n";
    let found: Vec<_> =
        functions(text).into_iter().map(|(line, name, lines)| format!("{line} {name} {lines}")).collect();
    assert_eq!(found, ["2 long 5", "7 short 1"]);
    let text = "use crate::a::b;\n// crate::c\nlet x = crate::d::E::f(crate::g);\n#[cfg(test)]\nmod tests {\nuse crate::h;\n}\n";
    assert_eq!(uses(text), ["a::b", "d::E::f", "g"]);
}
