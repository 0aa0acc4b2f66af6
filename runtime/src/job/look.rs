//! What the next start would find and do, without starting: for `run --dry-run` and `transactions`.

use super::{JobBuilder, attempt, wire};
use crate::api::transactions::TransactionTool;
use crate::clock::{Clock, SystemClock};
use crate::control::log::{CheckpointLog, RestoreFrom};
use crate::control::manifest::Manifest;
use crate::control::recovery::{Recovery, decide};
use crate::control::store::{CheckpointStore, LocalStore};
use crate::error::Result;
use crate::flow::Pipeline;
use std::sync::Arc;

/// A job that does not run, or runs elsewhere: nothing is claimed.
pub(crate) struct Look {
    pub job: String,
    /// The checkpoint store's folder.
    pub store: String,
    /// The uuid made with the store, as text; `None` if there is no store yet.
    pub lineage: Option<String>,
    /// The checkpoint that the next start goes on from.
    pub restored: Option<Manifest>,
    /// What the program makes of it.
    pub recovery: Result<Recovery>,
    /// By the participants' names: those that have transactions outside.
    pub tools: Vec<(String, Box<dyn TransactionTool>)>,
    /// Milliseconds since 1970.
    pub now_ms: u64,
}

impl<P: Pipeline> JobBuilder<P> {
    /// Looks at the store and at the sinks' clusters; connects only when a tool is asked.
    ///
    /// # Errors
    /// What keeps a job from starting.
    pub(crate) fn look(&self) -> Result<Look> {
        self.settings.validate()?;
        let wired = wire::<P>(self.config.clone(), None)?;
        let job = self.settings.job_name(P::NAME).to_owned();
        let dir = self.settings.checkpoint_dir(P::NAME);
        let (mut lineage, mut restored) = (None, None);
        // A start makes a store in a folder that is not there, or empty.
        if dir.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            let store: Arc<dyn CheckpointStore> = Arc::new(LocalStore::open_existing(&dir, uuid::Uuid::nil)?);
            lineage = Some(store.identity().lineage.to_string());
            let accept_repeats = self.settings.checkpoint.accept_repeats;
            let chosen = self.settings.checkpoint.restore.map(|slot| RestoreFrom::Slot { slot, accept_repeats });
            restored = CheckpointLog::open(store, &job)?.look(chosen.unwrap_or(RestoreFrom::Newest))?;
        }
        let topology = attempt::topology(&wired.graph, self.settings.workers);
        let recovery = decide(restored.as_ref(), &topology, self.settings.checkpoint.allow_dropped_state);
        let mut tools: Vec<(String, Box<dyn TransactionTool>)> = Vec::new();
        for (node, build) in wired.graph.nodes.iter().zip(wired.builds.iter()) {
            let (Some(name), Some(sink)) = (&node.participant, build.sink()) else { continue };
            if tools.iter().any(|(known, _)| known == name) {
                continue;
            }
            let tool = sink.transaction_tool().map_err(|error| error.at(format_args!("sink `{}`", node.id)))?;
            tools.extend(tool.map(|tool| (name.clone(), tool)));
        }
        let now_ms = SystemClock.now_ms();
        Ok(Look { job, store: dir.display().to_string(), lineage, restored, recovery, tools, now_ms })
    }
}
