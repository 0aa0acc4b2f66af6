//! A limit on each test's time, and a look that no thread of a job outlives it.

use std::fs;
use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// No test of a job may take longer: what does, hangs.
pub const LIMIT: Duration = Duration::from_secs(60);

/// One at a time, so that threads that are left can be told from another test's.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs a test of jobs: alone, at most [`LIMIT`], and with no thread of a job left at its end.
///
/// # Panics
/// As the test does; or when it hangs or leaves threads.
pub fn job_test(test: impl FnOnce() + Send + 'static) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // A test that failed may have left threads of its own.
    let before: Vec<String> = job_threads();
    let left = || job_threads().into_iter().filter(|thread| !before.contains(thread)).collect::<Vec<_>>();
    let (done, waiting) = channel();
    let running = thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    if waiting.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
        panic!("the test hangs; threads of the job: {:?}", left());
    }
    if let Err(panic) = running.join() {
        resume_unwind(panic);
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    // Other tests of this binary may run short jobs of their own beside this one.
    while !left().is_empty() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(left(), Vec::<String>::new(), "threads are left behind");
}

/// This process's threads that belong to a job: name and number.
fn job_threads() -> Vec<String> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    let named = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let ours = ["worker-", "sink-", "checkpoints"].iter().any(|start| name.starts_with(start));
        ours.then(|| format!("{} {}", name.trim(), task.file_name().display()))
    };
    tasks.flatten().filter_map(named).collect()
}
