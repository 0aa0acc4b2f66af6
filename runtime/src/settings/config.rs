//! The pipeline's own configuration on its way from the layers to its type.
//!
//! It is a TOML table whose leaves remember who set them, so that a message can name the layer. Its
//! shape is the user's: nothing here knows its keys.

use crate::error::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use serde::de::value::{Error as PlainError, UnitDeserializer};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// The configuration, not read yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigTable {
    table: Table,
    /// Who set a key, by its dotted path.
    origins: BTreeMap<String, String>,
}

/// A value given as text: TOML where it is that, else a string, so that quotes are rarely needed.
pub(super) fn value_of(text: &str) -> Value {
    let toml = format!("value = {text}").parse::<Table>().ok().filter(|table| table.len() == 1);
    toml.and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(text.to_owned()))
}

impl ConfigTable {
    /// Puts a whole table over what is there.
    pub fn merge(&mut self, table: Table, origin: &str) {
        merge(&mut self.table, table, "", origin, &mut self.origins);
    }

    /// Sets one key, by its dotted path.
    ///
    /// # Errors
    /// When the path has an empty step, or leads through something that is not a table.
    pub fn insert(&mut self, path: &str, value: Value, origin: &str) -> Result<(), String> {
        let steps: Vec<&str> = path.split('.').map(str::trim).collect();
        if steps.iter().any(|step| step.is_empty()) {
            return Err(format!("`{path}` is not a key of the configuration; write `key` or `table.key`"));
        }
        let (last, tables) = steps.split_last().ok_or("a key is missing")?;
        let mut at = &mut self.table;
        for step in tables {
            let inner = at.entry(*step).or_insert_with(|| Value::Table(Table::new()));
            at = inner.as_table_mut().ok_or_else(|| format!("`{path}`: `{step}` is a value, not a table"))?;
        }
        at.insert((*last).to_owned(), value);
        self.origins.insert(steps.join("."), origin.to_owned());
        Ok(())
    }

    /// Reads it as the pipeline's type.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when a field is missing or has the wrong type, with the layer that set it.
    pub fn read<C: DeserializeOwned>(&self) -> Result<C> {
        if self.table.is_empty()
            && let Ok(unit) = C::deserialize(UnitDeserializer::<PlainError>::new())
        {
            // A pipeline without configuration has `()`, which is not a table.
            return Ok(unit);
        }
        C::deserialize(Value::Table(self.table.clone())).map_err(|error| {
            let said = error.to_string();
            let set_by = self.origin_in(&said).map(|(key, origin)| format!(" (`{key}` is set by {origin})")).unwrap_or_default();
            let said = said.trim().replace('\n', " ");
            Error::new(
                ErrorKind::Config,
                format!(
                    "the pipeline's configuration: {said}{set_by}; it is read from the table `[config]` of the file given with \
                     --config, from variables STAUNCH_CONFIG_<FIELD>, and from --set field=value (text that looks like a \
                     number needs quotes within the value: --set 'field=\"42\"')"
                ),
            )
        })
    }

    /// Who set the key that the message is about, if it names one.
    fn origin_in(&self, message: &str) -> Option<(&str, &str)> {
        let named: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        self.origins.iter().find(|(key, _)| named.contains(&key.as_str())).map(|(key, origin)| (&**key, &**origin))
    }
}

fn merge(to: &mut Table, from: Table, prefix: &str, origin: &str, origins: &mut BTreeMap<String, String>) {
    for (key, value) in from {
        let path = format!("{prefix}{key}");
        match (to.get_mut(&key), value) {
            (Some(Value::Table(there)), Value::Table(inner)) => {
                merge(there, inner, &format!("{path}."), origin, origins)
            }
            (_, Value::Table(inner)) => {
                let mut there = Table::new();
                merge(&mut there, inner, &format!("{path}."), origin, origins);
                to.insert(key, Value::Table(there));
            }
            (_, value) => {
                origins.insert(path, origin.to_owned());
                to.insert(key, value);
            }
        }
    }
}
