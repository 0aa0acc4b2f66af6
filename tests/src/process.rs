//! A job as a process of its own, to be started again and again, and to be killed or paused meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What a process may take that is not killed.
const LIMIT: Duration = Duration::from_secs(1_800);
/// How often something outside is looked at that does not say when it changes.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A job's program and its folders, under one root.
#[derive(Clone, Debug)]
pub struct Job {
    program: PathBuf,
    root: PathBuf,
    flags: Vec<String>,
    interval_ms: u64,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Success,
    /// It told why, and left with exit code 1.
    Failure,
    /// By SIGKILL.
    Killed,
    /// A panic, wrong arguments, another signal.
    Broken,
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(0), _) => Self::Success,
            (Some(1), _) => Self::Failure,
            (_, Some(libc::SIGKILL)) => Self::Killed,
            _ => Self::Broken,
        }
    }
}

/// How a process of a job is started.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    pub workers: usize,
    /// The place of the protocol at which it kills itself: `<name>[:n]`.
    pub crash_at: Option<&'a str>,
    /// The place at which it stops, as by SIGSTOP, until it is [woken](Running::wake).
    pub stop_at: Option<&'a str>,
    /// How many failures the process survives by starting from the last checkpoint.
    pub restarts: u32,
    /// `key=value` of its configuration, beside the job's.
    pub sets: &'a [&'a str],
    /// The file for what it says; what was in it stays.
    pub log: &'a str,
}

impl Start<'_> {
    /// Nothing happens to it, and it gives up at the first failure.
    pub fn with(workers: usize) -> Self {
        Self { workers, crash_at: None, stop_at: None, restarts: 0, sets: &[], log: "log" }
    }
}

impl Job {
    /// A job whose checkpoints, output and log are in `root`, which is made.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(program: &str, root: PathBuf, interval_ms: u64) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        Ok(Self { program: program.into(), root, flags: Vec::new(), interval_ms })
    }

    /// Adds `--set key=value`.
    #[must_use]
    pub fn set(self, key: &str, value: &str) -> Self {
        self.flag("set", &format!("{key}={value}"))
    }

    /// Adds `--flag value`.
    #[must_use]
    pub fn flag(mut self, flag: &str, value: &str) -> Self {
        self.flags.extend([format!("--{flag}"), value.to_owned()]);
        self
    }

    /// Adds `--switch`.
    #[must_use]
    pub fn switch(mut self, switch: &str) -> Self {
        self.flags.push(format!("--{switch}"));
        self
    }

    pub fn output(&self) -> PathBuf {
        self.root.join("output")
    }

    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// The newest slot of its checkpoint log; 0 while there is none.
    pub fn newest_slot(&self) -> u64 {
        let slots = fs::read_dir(self.checkpoints().join("log")).into_iter().flatten().flatten();
        let number = |name: &Path| name.file_stem()?.to_str()?.parse().ok();
        slots.filter_map(|slot| number(Path::new(&slot.file_name()))).max().unwrap_or(0)
    }

    /// What all its processes have said so far.
    pub fn log(&self) -> String {
        self.log_of("log")
    }

    /// What was said into this log.
    pub fn log_of(&self, log: &str) -> String {
        fs::read_to_string(self.root.join(log)).unwrap_or_default()
    }

    /// Starts it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(&self, workers: usize, crash_at: Option<&str>) -> io::Result<Running> {
        self.start_as(&Start { crash_at, ..Start::with(workers) })
    }

    /// Starts it in this way.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_as(&self, start: &Start<'_>) -> io::Result<Running> {
        let log = OpenOptions::new().create(true).append(true).open(self.root.join(start.log))?;
        let mut command = Command::new(&self.program);
        command
            .args(["run", "--workers", &start.workers.to_string()])
            .args(["--checkpoint-interval", &format!("{}ms", self.interval_ms)])
            .args(["--restart-attempts", &start.restarts.to_string()])
            .args(["--restart-initial", "100ms", "--restart-max", "1s"])
            .arg("--checkpoint-dir")
            .arg(self.checkpoints())
            .args(&self.flags)
            .args(start.sets.iter().flat_map(|set| ["--set", set]))
            .arg("--set")
            .arg(format!("output={}", self.output().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::from(File::create(self.root.join("stdout"))?))
            .stderr(Stdio::from(log))
            .env_remove("STAUNCH_CRASH_AT")
            .env_remove("STAUNCH_STOP_AT")
            // What this suite itself is told is nothing to the job.
            .env_remove("STAUNCH_SEED");
        for (variable, place) in [("STAUNCH_CRASH_AT", start.crash_at), ("STAUNCH_STOP_AT", start.stop_at)] {
            place.map(|place| command.env(variable, place));
        }
        Ok(Running(command.spawn()?))
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// If it cannot be started, or does not end.
    pub fn run(&self, workers: usize, crash_at: Option<&str>) -> End {
        self.run_as(&Start { crash_at, ..Start::with(workers) })
    }

    /// Runs it in this way to its end.
    ///
    /// # Panics
    /// If it cannot be started, or does not end.
    pub fn run_as(&self, start: &Start<'_>) -> End {
        let mut running = self.start_as(start).unwrap_or_else(|error| panic!("{error}"));
        running.wait(LIMIT).unwrap_or_else(|| panic!("the job hangs; its log:\n{}", tail(&self.log_of(start.log))))
    }

    /// Runs it to its end, which has to be a good one.
    ///
    /// # Panics
    /// If it is not.
    pub fn finish(&self, workers: usize) {
        let end = self.run(workers, None);
        assert_eq!(end, End::Success, "the job's log:\n{}", tail(&self.log()));
    }
}

/// The end of a log.
pub fn tail(log: &str) -> &str {
    let from = log.len().saturating_sub(4_000);
    log.get(from..).unwrap_or(log)
}

/// A running job; killed when dropped.
pub struct Running(Child);

impl From<Child> for Running {
    fn from(child: Child) -> Self {
        Self(child)
    }
}

impl Running {
    /// Waits for its end, but not for longer.
    ///
    /// # Panics
    /// If the system does not say.
    pub fn wait(&mut self, at_most: Duration) -> Option<End> {
        self.wait_for(at_most, |_| false)
    }

    /// Waits until it has ended, or something else is so, but not for longer; its end, if that came.
    ///
    /// # Panics
    /// If the system does not say.
    pub fn wait_for(&mut self, at_most: Duration, is_so: impl Fn(&Self) -> bool) -> Option<End> {
        let deadline = Instant::now() + at_most;
        loop {
            if let Some(status) = self.0.try_wait().expect("it is our child") {
                return Some(status.into());
            }
            if is_so(self) || Instant::now() >= deadline {
                return None;
            }
            sleep(LOOK_EVERY.min(at_most));
        }
    }

    /// `kill -9` now; how it ended, which may have been before.
    pub fn kill(mut self) -> End {
        let _ = self.0.kill();
        self.0.wait().map_or(End::Broken, End::from)
    }

    /// `kill -9` after a while; how it ended, which may have been before.
    pub fn kill_after(mut self, while_: Duration) -> End {
        self.wait(while_).unwrap_or_else(|| self.kill())
    }

    /// SIGTERM after a while; how it ended.
    ///
    /// # Panics
    /// If it does not leave.
    pub fn suspend_after(mut self, while_: Duration) -> End {
        self.wait(while_).unwrap_or_else(|| {
            self.signal(libc::SIGTERM);
            self.wait(Duration::from_secs(60)).expect("a job that is asked to leave leaves")
        })
    }

    /// SIGSTOP: it does nothing more until it is woken, and knows nothing of that.
    pub fn pause(&self) {
        self.signal(libc::SIGSTOP);
    }

    /// SIGCONT.
    pub fn wake(&self) {
        self.signal(libc::SIGCONT);
    }

    /// Whether all of it stands still: a signal takes a moment to arrive.
    pub fn is_paused(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap_or_default();
        // The state follows the name, which is in parentheses and may hold some itself.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    }

    fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.0.id()).expect("a process id");
        // SAFETY: takes two numbers; the child is not waited for yet, so the id is still its own.
        unsafe { libc::kill(pid, signal) };
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder for a test's files; kept if the test fails, for a look at what happened.
pub struct Folder(Option<tempfile::TempDir>);

impl Folder {
    /// # Errors
    /// If it cannot be made.
    pub fn new() -> io::Result<Self> {
        tempfile::tempdir().map(|dir| Self(Some(dir)))
    }

    pub fn path(&self) -> &Path {
        self.0.as_ref().map_or(Path::new(""), tempfile::TempDir::path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(dir) = self.0.take()
        {
            println!("kept: {}", dir.keep().display());
        }
    }
}
