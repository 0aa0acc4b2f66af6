//! One line at the bottom of the terminal that is redrawn, and the logs that scroll above it.
//!
//! All that goes to standard error while a job runs goes through here, so that a log line never ends
//! up in the middle of the status. Without a terminal there is no status line, and logs pass through.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing_subscriber::fmt::MakeWriter;

/// To the line's start; erase it.
const ERASE: &str = "\r\x1b[2K";
/// Lines that are too long are cut off by the terminal rather than wrapped: only one line can be erased.
const WRAP_OFF: &str = "\x1b[?7l";
const WRAP_ON: &str = "\x1b[?7h";

/// Standard error with a live line; clones share it.
#[derive(Clone)]
pub(super) struct Live(Arc<Mutex<Shown>>);

struct Shown {
    out: Box<dyn Write + Send>,
    terminal: bool,
    line: Option<String>,
}

impl Live {
    /// Standard error.
    #[expect(clippy::disallowed_methods, reason = "what the terminal can do")]
    pub fn on_stderr() -> Self {
        let stderr = io::stderr();
        // A terminal that cannot move its cursor is none for us.
        let terminal = stderr.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self::new(Box::new(stderr), terminal)
    }

    /// Anything.
    pub fn new(out: Box<dyn Write + Send>, terminal: bool) -> Self {
        Self(Arc::new(Mutex::new(Shown { out, terminal, line: None })))
    }

    /// Whether there is a live line.
    pub fn is_terminal(&self) -> bool {
        self.shown().terminal
    }

    /// Redraws the line. Does nothing without a terminal.
    pub fn draw(&self, line: String) {
        let mut shown = self.shown();
        if shown.terminal {
            shown.line = Some(line);
            // A terminal that has gone is no reason to stop a job.
            let _ = shown.redraw();
        }
    }

    /// Takes the line away.
    pub fn clear(&self) {
        let mut shown = self.shown();
        if shown.line.take().is_some() {
            let _ = shown.out.write_all(ERASE.as_bytes()).and_then(|()| shown.out.flush());
        }
    }

    /// Writes whole lines above the live one.
    pub fn say(&self, text: &str) {
        let _ = self.shown().above(format!("{text}\n").as_bytes());
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        // A panic while drawing leaves at worst a half-drawn line.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    fn redraw(&mut self) -> io::Result<()> {
        if let Some(line) = &self.line {
            write!(self.out, "{ERASE}{WRAP_OFF}{line}{WRAP_ON}")?;
        }
        self.out.flush()
    }

    fn above(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.line.is_some() {
            self.out.write_all(ERASE.as_bytes())?;
        }
        self.out.write_all(bytes)?;
        self.redraw()
    }
}

/// What the logs write to: each event is one call.
pub(super) struct Above(Live);

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.shown().above(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Live {
    type Writer = Above;

    fn make_writer(&'a self) -> Above {
        Above(self.clone())
    }
}
