//! Puts settings and the pipeline's configuration together: file < environment < flags.
//!
//! ```text
//!                    settings                              the pipeline's configuration
//! --config job.toml  top level                             table [config]
//! environment        STAUNCH_CHECKPOINT_INTERVAL=1s        STAUNCH_CONFIG_KAFKA__BROKERS=…  (`__` for a dot)
//! flags              --checkpoint-interval 1s              --set kafka.brokers=…
//! ```
//!
//! Gets all of it as values; reads no file and no environment itself. All that is wrong is told at
//! once, each with the layer and the key that it came from.

use super::config::ConfigTable;
use super::keys::{self, KEYS, VARIABLE_PREFIX};
use super::{Settings, check, suggest};
use crate::error::Result;
use toml::{Table, Value};

/// The table of the file that holds the pipeline's configuration.
const CONFIG: &str = "config";

/// What each layer says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layers {
    /// The file's name for messages, and its text.
    pub file: Option<(String, String)>,
    /// The variables of the environment; those that are not ours are passed over.
    pub environment: Vec<(String, String)>,
    /// Values of flags, by the settings' keys.
    pub flags: Vec<(&'static str, String)>,
    /// `--set key=value`.
    pub sets: Vec<String>,
}

/// What the layers make together.
#[derive(Clone, Debug)]
pub(crate) struct Layered {
    /// Valid settings.
    pub settings: Settings,
    /// The pipeline's configuration, not read yet.
    pub config: ConfigTable,
    /// What looks wrong and may be meant.
    pub warnings: Vec<String>,
}

impl Layers {
    /// Puts the layers together.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) with everything that is wrong in any layer.
    pub fn read(&self) -> Result<Layered> {
        let mut reading = Reading::default();
        if let Some((name, text)) = &self.file {
            reading.file(name, text);
        }
        reading.environment(&self.environment);
        for (key, value) in &self.flags {
            let flag = keys::find(key).map_or_else(|| (*key).to_owned(), keys::Key::flag);
            reading.setting(key, &Value::String(value.clone()), &format!("--{flag}"));
        }
        for set in &self.sets {
            reading.set(set);
        }
        // What could not be read has kept its default, so it is not complained of twice.
        reading.wrong.extend(check::wrong(&reading.settings));
        check::all(reading.wrong)?;
        Ok(Layered { settings: reading.settings, config: reading.config, warnings: reading.warnings })
    }
}

#[derive(Default)]
struct Reading {
    settings: Settings,
    config: ConfigTable,
    wrong: Vec<String>,
    warnings: Vec<String>,
}

impl Reading {
    fn file(&mut self, name: &str, text: &str) {
        let mut table: Table = match text.parse() {
            Ok(table) => table,
            Err(error) => return self.wrong.push(format!("{name} is not valid TOML: {error}")),
        };
        match table.remove(CONFIG) {
            None => {}
            Some(Value::Table(config)) => self.config.merge(config, name),
            Some(_) => self
                .wrong
                .push(format!("{name}: `{CONFIG}` is the table of the pipeline's configuration; write `[{CONFIG}]`")),
        }
        self.table(name, "", &table);
    }

    fn table(&mut self, file: &str, prefix: &str, table: &Table) {
        for (name, value) in table {
            let path = format!("{prefix}{name}");
            let is_table =
                KEYS.iter().any(|key| key.name.strip_prefix(&*path).is_some_and(|rest| rest.starts_with('.')));
            match value {
                _ if keys::find(&path).is_some() => self.setting(&path, value, &format!("{file}: `{path}`")),
                Value::Table(inner) if is_table => self.table(file, &format!("{path}."), inner),
                _ if is_table => {
                    self.wrong.push(format!("{file}: `{path}` is a table; write `[{path}]` and its keys below"))
                }
                _ => self.wrong.push(unknown(file, &path)),
            }
        }
    }

    /// `origin` names the layer and the key in it.
    fn setting(&mut self, key: &str, value: &Value, origin: &str) {
        let set = keys::find(key).map(|key| key.set(&mut self.settings, value));
        match set {
            Some(Ok(())) => {}
            Some(Err(reason)) => self.wrong.push(format!("{origin}: {reason}")),
            None => self.wrong.push(unknown(origin, key)),
        }
    }

    fn environment(&mut self, variables: &[(String, String)]) {
        for (variable, value) in variables {
            let Some(name) = variable.strip_prefix(VARIABLE_PREFIX) else { continue };
            if let Some(field) = name.strip_prefix("CONFIG_") {
                let path = field.to_lowercase().replace("__", ".");
                self.config_text(&path, value, variable);
            } else if let Some(key) = KEYS.iter().find(|key| key.variable() == *variable) {
                self.setting(key.name, &Value::String(value.clone()), variable);
            } else {
                self.unknown_variable(variable);
            }
        }
    }

    /// Not an error: others may name variables so, as Kubernetes does for a service called `staunch`.
    fn unknown_variable(&mut self, variable: &str) {
        let known: Vec<String> = KEYS.iter().map(keys::Key::variable).collect();
        if let Some(meant) = suggest::nearest(variable, known.iter().map(String::as_str)) {
            self.warnings.push(format!("the variable {variable} sets nothing; did you mean {meant}?"));
        }
    }

    fn set(&mut self, set: &str) {
        match set.split_once('=') {
            Some((path, value)) => self.config_text(path.trim(), value, "--set"),
            None => self.wrong.push(format!("--set {set}: write `--set key=value`")),
        }
    }

    fn config_text(&mut self, path: &str, text: &str, origin: &str) {
        if let Err(reason) = self.config.insert(path, super::config::value_of(text), origin) {
            self.wrong.push(format!("{origin}: {reason}"));
        }
    }
}

fn unknown(file: &str, path: &str) -> String {
    let known = || KEYS.iter().map(|key| key.name);
    // A key of a table that was written without its table is the likeliest slip.
    let in_a_table = known().find(|key| key.rsplit_once('.').is_some_and(|(_, last)| last == path));
    match in_a_table.or_else(|| suggest::nearest(path, known())) {
        Some(meant) => format!("{file}: there is no setting `{path}`; did you mean `{meant}`?"),
        None => {
            let known: Vec<&str> = known().collect();
            format!(
                "{file}: there is no setting `{path}`; the settings are {}, and the pipeline's own configuration goes into `[{CONFIG}]`",
                known.join(", ")
            )
        }
    }
}
