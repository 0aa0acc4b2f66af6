//! The one error type of the crate: what kind it is, what happened and what to do about it.
//!
//! Kinds exist where a caller, or the restart policy, would act differently; everything else is in
//! the message.

use crate::id::Epoch;
use std::fmt;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is; decides whether a restart can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is missing or wrong. A restart does not help.
    Config,
    /// The pipeline's wiring is wrong: a duplicate id, a dangling output, a cycle. A restart does not help.
    Graph,
    /// The checkpoint store cannot be read or written just now (a full disk, an unreachable share).
    Store,
    /// A checkpoint is damaged, foreign, or of a version that this build cannot read. A restart does not help.
    Checkpoint,
    /// The checkpoint's state does not fit this program's operators. A restart does not help.
    State,
    /// Another attempt has claimed the job; this one has to stop and commits nothing more.
    Superseded,
    /// A source could not be read.
    Source,
    /// A sink could not write, prepare or commit.
    Sink,
    /// A user's operator failed or panicked.
    Operator,
    /// Output that a published checkpoint promised is gone and cannot be brought back. A restart does not help.
    DataLoss,
    /// It cannot be proven whether a transaction was committed. A restart does not help.
    FateUnknown,
    /// Something did not finish within its time limit.
    Timeout,
    /// It did not come to a stop within its time limit. Nothing is lost; another process has to go on.
    Stuck,
    /// A broken invariant of this crate: a bug.
    Internal,
}

impl ErrorKind {
    /// Whether starting again from the last checkpoint may succeed.
    #[must_use]
    pub fn is_restartable(self) -> bool {
        matches!(self, Self::Store | Self::Source | Self::Sink | Self::Operator | Self::Timeout)
    }
}

/// An error with its [kind](ErrorKind), a message that says what to do next, and its cause.
///
/// `Debug` prints what `Display` prints, so that `fn main() -> staunch::Result<()>` and `unwrap` tell
/// people what happened rather than how it is kept.
pub struct Error {
    kind: ErrorKind,
    message: String,
    /// It only tells that something else failed first, which is told by others.
    echo: bool,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of the given kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), echo: false, cause: None }
    }

    /// The failure of one who only noticed that another has failed.
    pub(crate) fn echo(message: &str) -> Self {
        Self { echo: true, ..Self::new(ErrorKind::Internal, message) }
    }

    /// Whether the cause is told by somebody else.
    pub(crate) fn is_echo(&self) -> bool {
        self.echo
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The same error, its message preceded by where it happened.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// What was lost, of an error of kind [`ErrorKind::DataLoss`] that knows it.
    #[must_use]
    pub fn data_loss(&self) -> Option<&DataLoss> {
        self.cause.as_deref()?.downcast_ref()
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message without its causes.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Output that a published checkpoint promised and that cannot be brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataLoss {
    /// The sinks that wrote it, by id.
    pub sink: String,
    /// The checkpoint whose output it is.
    pub epoch: Epoch,
    /// How many records of it are lost.
    pub records: u64,
    /// Why they cannot be written again.
    pub reason: String,
}

impl fmt::Display for DataLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sink, epoch, records, reason } = self;
        write!(f, "{records} records of epoch {epoch} of {sink} are lost: {reason}")
    }
}

impl std::error::Error for DataLoss {}

impl From<DataLoss> for Error {
    fn from(loss: DataLoss) -> Self {
        let message =
            "output that a checkpoint promised cannot be brought back (--accept-data-loss goes on without it)";
        Self::new(ErrorKind::DataLoss, message).caused_by(loss)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            // One of ours has just told its own causes.
            cause = if error.is::<Self>() { None } else { error.source() };
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_reads_like_display_and_names_all_causes_once() {
        let inner = Error::new(ErrorKind::Store, "disk").caused_by("full");
        let error = Error::new(ErrorKind::Sink, "cannot write").caused_by(inner).at("sink `totals`");
        assert_eq!(format!("{error:?}"), "sink `totals`: cannot write: disk: full");
        assert_eq!(format!("{error}"), format!("{error:?}"));
    }

    #[test]
    fn a_loss_can_be_read_from_its_error() {
        let loss = DataLoss { sink: "totals".into(), epoch: Epoch(7), records: 3, reason: "compacted".into() };
        let error = Error::from(loss.clone()).at("recovery");
        assert_eq!((error.kind(), error.data_loss()), (ErrorKind::DataLoss, Some(&loss)));
        assert!(error.to_string().ends_with("3 records of epoch 7 of totals are lost: compacted"), "{error}");
        assert_eq!(Error::new(ErrorKind::DataLoss, "unknown").data_loss(), None);
    }
}
