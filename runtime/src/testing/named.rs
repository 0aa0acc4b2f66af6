//! Sources and sinks as a test names them: a name that the pipeline does not have, or another type of
//! records, is an error. Otherwise a test with a typing error in it would test nothing, and pass.

use std::any::{TypeId, type_name};
use std::collections::BTreeMap;

/// The sources or the sinks of a pipeline: the type of their records, by id.
pub(super) type Known = BTreeMap<String, TypeId>;

/// What a test takes for a source or a sink of its pipeline.
#[derive(Clone, Debug)]
pub(super) struct Named {
    id: String,
    record: TypeId,
    record_name: &'static str,
}

impl Named {
    /// One whose records are `T`.
    pub fn new<T: 'static>(id: &str) -> Self {
        Self { id: id.to_owned(), record: TypeId::of::<T>(), record_name: type_name::<T>() }
    }

    /// Says what is wrong with it, if it is none of `known`; `what` these are: sources, or sinks.
    pub fn check(&self, what: &str, known: &Known) -> Result<(), String> {
        let Self { id, record, record_name } = self;
        match known.get(id) {
            Some(there) if there == record => Ok(()),
            Some(_) => Err(format!("the records of {what} `{id}` are not of the type `{record_name}`")),
            None => {
                let ids: Vec<String> = known.keys().map(|id| format!("`{id}`")).collect();
                let ids = if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
                Err(format!(
                    "the pipeline has no {what} `{id}`; it has {ids} (with `at(…)` a {what} has the id that is given there)"
                ))
            }
        }
    }
}
