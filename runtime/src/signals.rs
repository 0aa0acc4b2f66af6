//! Signals: the first SIGTERM or Ctrl-C suspends the job, a second one ends the process.

use crate::clock::{Clock, SteadyClock};
use crate::error::{Error, ErrorKind, Result};
use crate::stop::StopHandle;
use std::io;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Suspends the job at the first SIGTERM or Ctrl-C of this process; ends the process at the second.
/// `say` tells people what happens.
///
/// # Errors
/// [`ErrorKind::Internal`] when the system refuses a handler or a thread.
pub(crate) fn stop_on_signals(stop: StopHandle, say: impl Fn(&str) + Send + 'static) -> Result<()> {
    let refused = |error: io::Error| Error::new(ErrorKind::Internal, "signals cannot be handled").caused_by(error);
    let runtime = Builder::new_current_thread().enable_io().build().map_err(refused)?;
    // In place before this returns: from here on a signal no longer kills.
    let signals = {
        let _context = runtime.enter();
        Signals {
            interrupt: signal(SignalKind::interrupt()).map_err(refused)?,
            terminate: signal(SignalKind::terminate()).map_err(refused)?,
        }
    };
    crate::threads::spawn("signals".to_owned(), move || wait(&runtime, signals, &stop, &say)).map_err(refused)?;
    Ok(())
}

/// Signals within this time are one request: tools such as `timeout` send theirs to the process and to its
/// group.
const ONE_REQUEST: Duration = Duration::from_millis(500);

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// A signal that asks to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Interrupt,
    Terminate,
}

impl Asked {
    fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "Ctrl-C",
            Self::Terminate => "SIGTERM",
        }
    }

    /// What shells report of a process that the signal killed: 128 and its number.
    fn exit_code(self) -> i32 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

fn wait(runtime: &Runtime, mut signals: Signals, stop: &StopHandle, say: &dyn Fn(&str)) {
    runtime.block_on(async {
        let Some(first) = signals.next().await else { return };
        say(&format!("{}: taking a last checkpoint, then leaving; once more to leave at once", first.name()));
        stop.suspend();
        let clock = SteadyClock::start();
        let meant = clock.now() + ONE_REQUEST;
        let second = loop {
            let Some(again) = signals.next().await else { return };
            if clock.now() > meant {
                break again;
            }
        };
        say(&format!("{}: leaving at once; what was not committed will be read again", second.name()));
        std::process::exit(second.exit_code());
    });
}

impl Signals {
    async fn next(&mut self) -> Option<Asked> {
        tokio::select! {
            got = self.interrupt.recv() => got.map(|()| Asked::Interrupt),
            got = self.terminate.recv() => got.map(|()| Asked::Terminate),
        }
    }
}
