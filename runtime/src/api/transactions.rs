//! Transactions as tools see them: from outside of any attempt, without taking the job over.

use super::sink::Committable;
use crate::error::Result;
use crate::id::Epoch;

/// A transaction that is open at a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Its name there: a Kafka transactional id.
    pub id: String,
    /// In the server's words: `Ongoing`, `PrepareCommit`, …
    pub state: String,
    /// Who writes it, in the server's words: `producer 4007 epoch 3`.
    pub producer: String,
    /// When it began, in milliseconds since 1970 by the server's clock; `None` if it is not told.
    pub started_ms: Option<u64>,
    /// After how many milliseconds from then the server aborts it; `None` for never.
    pub timeout_ms: Option<u64>,
    /// What readers of committed data cannot read past it: `topic/partition`.
    pub holds: Vec<String>,
}

/// A transaction that a checkpoint promised, and what recovery would do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreseen {
    /// The epoch whose records it holds.
    pub epoch: Epoch,
    /// Its name at the server.
    pub id: String,
    /// What becomes of it.
    pub outlook: Outlook,
}

/// What recovery would do about a transaction that a checkpoint promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// It is prepared: recovery commits it.
    Commit,
    /// It was committed: nothing is left to do.
    Committed,
    /// It was aborted, or lies in front of an older one that was, and how much it is: recovery writes its
    /// records again.
    Replay(String),
    /// The same, but some of its records are gone, and which: recovery stops, unless the job is told to go on
    /// without them.
    Loss(String),
    /// It cannot be told what became of it, and why: recovery stops.
    Stop(String),
}

/// Looks at, and ends, the transactions that a sink's participants leave behind.
pub trait TransactionTool {
    /// Where they are: `kafka localhost:9092`.
    fn place(&self) -> String;

    /// The open transactions whose names start so.
    ///
    /// # Errors
    /// `Sink` when the server does not answer in time, `Config` when it does not let us in.
    fn open(&mut self, prefix: &str) -> Result<Vec<OpenTransaction>>;

    /// Whether a checkpoint's committable is this very transaction, and not another one of that name.
    ///
    /// # Errors
    /// `Checkpoint` when the committable cannot be read.
    fn is(&self, committable: &Committable, transaction: &OpenTransaction) -> Result<bool>;

    /// What recovery would do about the committables of one participant, the oldest first: what becomes of one
    /// may depend on those before it. Changes nothing.
    ///
    /// # Errors
    /// As `open`, and `Checkpoint` when a committable cannot be read.
    fn foresee(&mut self, committables: &[Committable]) -> Result<Vec<Foreseen>>;

    /// Commits or aborts a transaction that `open` returned.
    ///
    /// # Errors
    /// As `open`, and when it is not open any more.
    fn end(&mut self, transaction: &OpenTransaction, commit: bool) -> Result<()>;
}
