//! A job as a process of its own, to be started again and again.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What a process may take that is not killed.
const LIMIT: Duration = Duration::from_secs(1_800);

/// A job's program and its folders, under one root.
pub struct Job {
    program: PathBuf,
    root: PathBuf,
    sets: Vec<String>,
    interval_ms: u64,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Success,
    Failure,
    Killed,
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        match (status.success(), status.signal()) {
            (true, _) => Self::Success,
            (_, Some(libc::SIGKILL)) => Self::Killed,
            _ => Self::Failure,
        }
    }
}

impl Job {
    /// A job whose checkpoints, output and log are in `root`, which is made.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(program: &str, root: PathBuf, interval_ms: u64) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        Ok(Self { program: program.into(), root, sets: Vec::new(), interval_ms })
    }

    /// Adds `--set key=value`.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.sets.extend(["--set".to_owned(), format!("{key}={value}")]);
        self
    }

    pub fn output(&self) -> PathBuf {
        self.root.join("output")
    }

    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// What all its processes have said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.root.join("log")).unwrap_or_default()
    }

    /// Starts it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(&self, workers: usize, crash_at: Option<&str>) -> io::Result<Running> {
        let log = OpenOptions::new().create(true).append(true).open(self.root.join("log"))?;
        let mut command = Command::new(&self.program);
        command
            .args(["run", "--workers", &workers.to_string()])
            .args(["--checkpoint-interval", &format!("{}ms", self.interval_ms)])
            .args(["--restart-attempts", "0"])
            .arg("--checkpoint-dir")
            .arg(self.checkpoints())
            .args(&self.sets)
            .arg("--set")
            .arg(format!("output={}", self.output().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::from(File::create(self.root.join("stdout"))?))
            .stderr(Stdio::from(log))
            .env_remove("STAUNCH_CRASH_AT")
            // What this suite itself is told is nothing to the job.
            .env_remove("STAUNCH_SEED");
        if let Some(crash_at) = crash_at {
            command.env("STAUNCH_CRASH_AT", crash_at);
        }
        Ok(Running(command.spawn()?))
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// If it cannot be started, or does not end.
    pub fn run(&self, workers: usize, crash_at: Option<&str>) -> End {
        let mut running = self.start(workers, crash_at).unwrap_or_else(|error| panic!("{error}"));
        running.wait(LIMIT).unwrap_or_else(|| panic!("the job hangs; its log:\n{}", tail(&self.log())))
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

impl Running {
    /// Waits for its end, but not for longer.
    ///
    /// # Panics
    /// If the system does not say.
    pub fn wait(&mut self, at_most: Duration) -> Option<End> {
        let deadline = Instant::now() + at_most;
        loop {
            if let Some(status) = self.0.try_wait().expect("it is our child") {
                return Some(status.into());
            }
            if Instant::now() >= deadline {
                return None;
            }
            sleep(Duration::from_millis(2).min(at_most));
        }
    }

    /// `kill -9` after a while; how it ended, which may have been before.
    pub fn kill_after(mut self, while_: Duration) -> End {
        self.wait(while_).unwrap_or_else(|| {
            let _ = self.0.kill();
            self.0.wait().map_or(End::Failure, End::from)
        })
    }

    /// SIGTERM after a while; how it ended.
    ///
    /// # Panics
    /// If it does not leave.
    pub fn suspend_after(mut self, while_: Duration) -> End {
        self.wait(while_).unwrap_or_else(|| {
            let pid = libc::pid_t::try_from(self.0.id()).expect("a process id");
            // SAFETY: takes two numbers; the child is not waited for yet, so the id is still its own.
            unsafe { libc::kill(pid, libc::SIGTERM) };
            self.wait(Duration::from_secs(60)).expect("a job that is asked to leave leaves")
        })
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
