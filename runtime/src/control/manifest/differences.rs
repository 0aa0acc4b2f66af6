//! What has changed between two layouts of an operator's state, in words. Pure.
//!
//! Must not know what follows from a change: whoever asks decides.

use super::StateLayout;
use crate::api::state::Schema;

impl StateLayout {
    /// What differs in this layout from the one that was `written`, one line each, by the path of the field;
    /// nothing if the one [reads](Self::reads) the other.
    #[must_use]
    pub fn differences(&self, written: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.key != written.key {
            found.push(format!("the key is `{}`, and was `{}`", self.key, written.key));
        }
        compare("state", &self.state, &written.state, &mut found);
        let timers = [
            ("event-time", self.event_timers, written.event_timers),
            ("processing-time", self.processing_timers, written.processing_timers),
        ];
        for (clock, now, then) in timers {
            match (now, then) {
                (true, false) => found.push(format!("it has {clock} timers, and had none")),
                (false, true) => found.push(format!("it has no {clock} timers, and had some")),
                _ => {}
            }
        }
        found
    }
}

/// The last part is only for shapes of different kinds, such as a struct that became an enum.
fn compare(path: &str, now: &Schema, then: &Schema, found: &mut Vec<String>) {
    match (now, then) {
        _ if now == then => {}
        (Schema::Struct(name, fields), Schema::Struct(before, fields_before)) if name == before => {
            named(path, "field", fields, fields_before, found, compare);
        }
        (Schema::Enum(name, variants), Schema::Enum(before, variants_before)) if name == before => {
            named(path, "variant", variants, variants_before, found, |path, now, then, found| {
                named(path, "field", now, then, found, compare);
            });
        }
        (Schema::Of(name, parts), Schema::Of(before, parts_before))
            if name == before && parts.len() == parts_before.len() =>
        {
            for (now, then) in parts.iter().zip(parts_before) {
                compare(&format!("{path}.{name}"), now, then, found);
            }
        }
        _ => found.push(format!("`{path}` is {now}, and was {then}")),
    }
}

/// Compares lists of things with names.
fn named<T: PartialEq>(
    path: &str,
    what: &str,
    now: &[(String, T)],
    then: &[(String, T)],
    found: &mut Vec<String>,
    each: impl Fn(&str, &T, &T, &mut Vec<String>),
) {
    let of = |list: &'_ [(String, T)], name: &str| list.iter().position(|(other, _)| other == name);
    for (name, part) in now {
        match of(then, name) {
            Some(at) => each(&format!("{path}.{name}"), part, &then[at].1, found),
            None => found.push(format!("the {what} `{path}.{name}` is new")),
        }
    }
    let gone: Vec<_> = then.iter().filter(|(name, _)| of(now, name).is_none()).collect();
    found.extend(gone.iter().map(|(name, _)| format!("the {what} `{path}.{name}` is gone")));
    let added = now.iter().any(|(name, _)| of(then, name).is_none());
    if gone.is_empty() && !added && !now.iter().map(|(name, _)| name).eq(then.iter().map(|(name, _)| name)) {
        found.push(format!("the {what}s of `{path}` stand in another order"));
    }
}
