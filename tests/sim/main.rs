//! Simulated schedules of four pipelines: crashes, zombies, power failures, failing stores and sinks, with
//! the code of production, on virtual time. 5,000 of each; `STAUNCH_SCHEDULES=250000` makes a million.
//!
//! Also that the crash test finds what a user may do wrong.

mod bugs;
mod harness;
mod join;
mod orders;
mod windows;
mod words;

use staunch::Pipeline;
use staunch::testing::CrashTest;
use std::io::Write as _;
use std::time::Instant;

/// Schedules of each pipeline, if the environment says nothing else.
const SCHEDULES: u64 = 5_000;

/// Runs the test, and tells people how much was tried and how fast.
fn run<P: Pipeline>(name: &str, test: CrashTest<P>) {
    let begun = Instant::now();
    let report = test.schedules(SCHEDULES).run();
    let rate = report.schedules as f64 / begun.elapsed().as_secs_f64();
    // Past the capture of the test's output: it is to be seen when all is well, too.
    let _ = writeln!(std::io::stderr(), "simulated {name}: {report}; {rate:.0} schedules/s");
}
