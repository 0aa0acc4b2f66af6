//! One Apache Kafka broker (KRaft, one node, loopback only) from Maven's jars.

use super::client::Client;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const VERSION: &str = "4.3.1";
const UP_WITHIN: Duration = Duration::from_secs(240);

/// A running broker; it is killed when this is dropped, and also when the test's process dies.
pub struct Broker {
    directory: PathBuf,
    port: u16,
    address: String,
    running: Mutex<Option<Running>>,
}

/// The shell that watches over Java, and the pipe that tells it that we are alive.
struct Running {
    shell: Child,
    alive: ChildStdin,
}

/// Runs Java until stdin ends, however it ends: then kills it.
const WATCH: &str = r#""$@" < /dev/null & cat > /dev/null; kill -9 $!; wait"#;

impl Broker {
    /// Starts a broker on free ports.
    ///
    /// # Panics
    /// Without Java or Maven, naming what to install; and if it does not come up.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// The same with these properties besides, which win over the fixture's own.
    ///
    /// # Panics
    /// As [`Broker::start`]; a property that Kafka refuses keeps it from coming up.
    pub fn with(extra: &[(&str, &str)]) -> Self {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Self::make(|_, _| extra.iter().map(owned).collect(), &[])
    }

    /// The same with properties made of the ports of listener and controller, and with further
    /// arguments when the storage is formatted.
    pub(super) fn make(extra: impl FnOnce(u16, u16) -> Vec<(String, String)>, format_with: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        if number == 0 {
            remove_leftovers();
        }
        let directory = cache().join(format!("broker-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).expect("the target directory can be written");
        let (port, controller) = (free_port(), free_port());
        let properties = properties(&directory, port, controller, &extra(port, controller));
        fs::write(directory.join("server.properties"), properties).expect("the target directory can be written");
        let mut format =
            vec!["kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", "server.properties"];
        format.extend(format_with);
        let format = java(&format);
        let formatted =
            Command::new(&format[0]).args(&format[1..]).current_dir(&directory).output().expect("java runs");
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
        let address = format!("127.0.0.1:{port}");
        let broker = Self { directory, port, address, running: Mutex::new(None) };
        broker.restart();
        broker
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A client of this broker.
    pub fn client(&self) -> Client {
        Client::new(&self.address)
    }

    /// Kills the broker as `kill -9` does.
    pub fn kill(&self) {
        let running = self.running.lock().expect("no test panics while it holds this").take();
        if let Some(Running { mut shell, alive }) = running {
            drop(alive);
            shell.wait().expect("the shell can be waited for");
        }
    }

    /// Whether it was started, and not killed since.
    pub fn is_running(&self) -> bool {
        self.running.lock().expect("no test panics while it holds this").is_some()
    }

    /// Cuts the log of a partition in half, as the loss of what a machine had not written to its disk
    /// would. After `kill`.
    pub fn cut_log(&self, topic: &str, partition: i32) {
        let segment = self.directory.join(format!("logs/{topic}-{partition}/00000000000000000000.log"));
        let segment = fs::File::options().write(true).open(segment).expect("the first segment is there");
        let length = segment.metadata().expect("an open file").len();
        segment.set_len(length / 2).expect("the log can be written");
    }

    /// Turns over a bit of the last record that a partition has on the broker's disk.
    pub fn damage_log(&self, topic: &str, partition: i32) {
        let segment = self.directory.join(format!("logs/{topic}-{partition}/00000000000000000000.log"));
        let mut bytes = fs::read(&segment).expect("the first segment is there");
        // Behind the last written byte there may be room that was taken in advance.
        let last = bytes.iter().rposition(|byte| *byte != 0).expect("it has records");
        bytes[last - 1] ^= 1;
        let file = fs::File::options().write(true).open(segment).expect("the first segment is there");
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes[last - 1..last], last as u64 - 1).expect("written");
    }

    /// Starts the broker, after `kill`, with the same address and data.
    pub fn restart(&self) {
        self.kill();
        let log = fs::File::create(self.directory.join("broker.log")).expect("the log can be written");
        let mut shell = Command::new("sh")
            .args(["-c", WATCH, "sh"])
            .args(java(&["kafka.Kafka", "server.properties"]))
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("sh runs");
        let alive = shell.stdin.take().expect("stdin is a pipe");
        *self.running.lock().expect("no test panics while it holds this") = Some(Running { shell, alive });
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() || !self.client().answers() {
            let log = self.directory.join("broker.log");
            assert!(started.elapsed() < UP_WITHIN, "the broker did not come up, see {}", log.display());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        // Left where it is if it cannot be removed: `cargo clean` does.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The data of brokers whose test processes are gone: a static is not dropped when a process ends.
fn remove_leftovers() {
    let is_over = |name: &str| {
        let pid = name.strip_prefix("broker-").and_then(|rest| rest.split('-').next());
        pid.is_some_and(|pid| Path::new("/proc/self").exists() && !Path::new("/proc").join(pid).exists())
    };
    for entry in fs::read_dir(cache()).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(is_over) {
            // Another test process may be doing the same.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("bound").port()
}

/// `target/kafka`.
fn cache() -> PathBuf {
    let binary = std::env::current_exe().expect("this binary has a path");
    let target = binary.ancestors().find(|path| path.join("CACHEDIR.TAG").is_file());
    target.map(Path::to_path_buf).unwrap_or_else(std::env::temp_dir).join("kafka")
}

/// Of two lines with the same key, Java takes the last.
fn properties(directory: &Path, port: u16, controller: u16, extra: &[(String, String)]) -> String {
    let mut properties = format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={}/logs
num.network.threads=2
num.io.threads=2
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
transaction.abort.timed.out.transaction.cleanup.interval.ms=200
group.initial.rebalance.delay.ms=0
share.coordinator.state.topic.replication.factor=1
",
        directory.display()
    );
    for (key, value) in extra {
        properties.push_str(&format!("{key}={value}\n"));
    }
    properties
}

/// The command line of a Java program of Kafka's.
fn java(program: &[&str]) -> Vec<String> {
    let options = ["-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
    let mut line = vec!["java".to_owned()];
    line.extend(options.map(str::to_owned));
    line.push("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn".to_owned());
    line.extend(["-cp".to_owned(), class_path()]);
    line.extend(program.iter().map(|&word| word.to_owned()));
    line
}

/// The version of Kafka that is started.
pub fn version() -> String {
    std::env::var("KAFKA_VERSION").unwrap_or_else(|_| VERSION.to_owned())
}

/// Resolves Kafka with Maven, once per version.
fn class_path() -> String {
    static RESOLVING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = RESOLVING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let version = version();
    let directory = cache().join(format!("maven-{version}"));
    let file = directory.join("classpath");
    if let Ok(known) = fs::read_to_string(&file)
        && known.split(':').all(|jar| Path::new(jar).is_file())
    {
        return known;
    }
    require("java", &["-version"], "Java 17 or later (Debian: openjdk-17-jre-headless)");
    require("mvn", &["-version"], "Maven (Debian: maven)");
    fs::create_dir_all(&directory).expect("the target directory can be written");
    fs::write(directory.join("pom.xml"), pom(&version)).expect("the target directory can be written");
    let resolved = Command::new("mvn")
        .args(["-q", "-B", "dependency:build-classpath", "-Dmdep.outputFile=classpath"])
        .current_dir(&directory)
        .output()
        .expect("mvn runs");
    let said = String::from_utf8_lossy(&resolved.stdout);
    assert!(resolved.status.success(), "Maven could not get Kafka {version}:\n{said}");
    fs::read_to_string(&file).expect("Maven wrote the class path")
}

fn require(program: &str, arguments: &[&str], what: &str) {
    let found = Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success());
    assert!(found, "tests with Kafka need {what}; install it, or set STAUNCH_TEST_BROKERS or STAUNCH_SKIP_KAFKA=1");
}

fn pom(version: &str) -> String {
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
        )
    };
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>
<groupId>staunch</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging><dependencies>
{}
{}
</dependencies></project>\n",
        dependency("org.apache.kafka", "kafka_2.13", version),
        dependency("org.slf4j", "slf4j-simple", "1.7.36"),
    )
}
