//! Stands between clients and a broker, and does to their frames what networks do: answers come late, twice or
//! not at all, requests are held back, connections break in the middle of a frame.
//!
//! It knows of Kafka's protocol where a frame ends, which request it is, and which answer belongs to it.
//! What happens to a frame is drawn from a seed and depends on the connection's number and the frame's.

use super::broker::{Broker, free_port};
use crate::texts::Random;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

/// No frame is larger; what claims to be ends its connection.
const FRAME_BYTES_MAX: usize = 64 << 20;
/// How often a waiting thread looks whether all is over.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the broker's answer to a request is waited for whose client is gone.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// EndTxn: commits or aborts.
pub const END_TXN: i16 = 26;

/// What happens to one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It passes.
    None,
    /// It passes later, and all behind it.
    Late(Duration),
    /// It never arrives. For answers only: what is dropped on the way to the broker was never sent.
    Dropped,
    /// It arrives twice. For answers only: the client's requests are its own business.
    Twice,
    /// Half of it arrives, then the connection breaks.
    Cut,
    /// The client's connection breaks, and the broker gets the request all the same, so much later
    /// (KAFKA-17754).
    Orphaned(Duration),
}

/// Which faults there are, for each request and answer.
pub type Plan = dyn Fn(Direction, i16, &mut Random) -> Fault + Send + Sync;

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    ToBroker,
    ToClient,
}

/// A running proxy; its connections break when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

struct Shared {
    broker: Mutex<Option<SocketAddr>>,
    plan: Mutex<(Arc<Plan>, u64)>,
    over: AtomicBool,
    frames: AtomicU64,
    faults: Mutex<HashMap<&'static str, u64>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Proxy {
    /// Listens on a free port, and passes nothing on until it knows the broker.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("bound");
        let nothing: Arc<Plan> = Arc::new(|_, _, _| Fault::None);
        let shared = Arc::new(Shared {
            broker: Mutex::new(None),
            plan: Mutex::new((nothing, 0)),
            over: AtomicBool::new(false),
            frames: AtomicU64::new(0),
            faults: Mutex::default(),
            threads: Mutex::default(),
        });
        let listening = std::thread::spawn({
            let shared = shared.clone();
            move || shared.listen(&listener)
        });
        Self { address, shared, listening: Some(listening) }
    }

    /// `host:port`, which the broker has to advertise as its own.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The broker behind it.
    pub fn set_broker(&self, broker: SocketAddr) {
        *lock(&self.shared.broker) = Some(broker);
    }

    /// What happens from now on, on new connections.
    pub fn set_plan(&self, seed: u64, plan: impl Fn(Direction, i16, &mut Random) -> Fault + Send + Sync + 'static) {
        *lock(&self.shared.plan) = (Arc::new(plan), seed);
    }

    /// How many frames have passed, and how often each fault happened.
    pub fn counts(&self) -> (u64, Vec<(&'static str, u64)>) {
        let mut faults: Vec<_> = lock(&self.shared.faults).iter().map(|(name, count)| (*name, *count)).collect();
        faults.sort_unstable();
        (self.shared.frames.load(Ordering::Relaxed), faults)
    }
}

/// A broker with a listener of its own behind each proxy, which is what it tells the clients that come
/// there; its address is that of a listener without one.
pub(super) fn broker_behind(proxies: &[Proxy]) -> Broker {
    let ports: Vec<u16> = proxies.iter().map(|_| free_port()).collect();
    let broker = Broker::make(|port, controller| properties(proxies, &ports, port, controller), &[]);
    for (proxy, port) in proxies.iter().zip(ports) {
        proxy.set_broker(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    broker
}

fn properties(proxies: &[Proxy], ports: &[u16], port: u16, controller: u16) -> Vec<(String, String)> {
    let mut listeners = format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}");
    let mut advertised = format!("PLAINTEXT://127.0.0.1:{port}");
    let mut protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned();
    for (number, (proxy, port)) in proxies.iter().zip(ports).enumerate() {
        listeners += &format!(",PROXIED{number}://127.0.0.1:{port}");
        advertised += &format!(",PROXIED{number}://{}", proxy.address);
        protocols += &format!(",PROXIED{number}:PLAINTEXT");
    }
    vec![
        ("listeners".to_owned(), listeners),
        ("advertised.listeners".to_owned(), advertised),
        ("listener.security.protocol.map".to_owned(), protocols),
    ]
}

impl Default for Proxy {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
        let _ = self.listening.take().map(JoinHandle::join);
        for thread in std::mem::take(&mut *lock(&self.shared.threads)) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn listen(self: &Arc<Self>, listener: &TcpListener) {
        for number in 0.. {
            let Ok((client, _)) = listener.accept() else { return };
            if self.is_over() {
                return;
            }
            let Some(broker) = *lock(&self.broker) else { continue };
            // The broker is down: the client finds its connection closed.
            let Ok(broker) = TcpStream::connect(broker) else { continue };
            let (plan, seed) = lock(&self.plan).clone();
            let _ = Link::spawn(self, client, broker, plan, seed ^ (number << 32));
        }
    }

    fn count(&self, fault: Fault) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        let name = match fault {
            Fault::None => return,
            Fault::Late(_) => "late",
            Fault::Dropped => "dropped",
            Fault::Twice => "twice",
            Fault::Cut => "cut",
            Fault::Orphaned(_) => "orphaned",
        };
        *lock(&self.faults).entry(name).or_default() += 1;
    }

    fn pause(&self, time: Duration) {
        let mut left = time;
        while !left.is_zero() && !self.is_over() {
            sleep(left.min(LOOK_EVERY));
            left = left.saturating_sub(LOOK_EVERY);
        }
    }
}

/// One connection of a client, and ours to the broker for it.
struct Link {
    shared: Arc<Shared>,
    client: TcpStream,
    broker: TcpStream,
    plan: Arc<Plan>,
    /// Which request an answer belongs to.
    asked: Mutex<HashMap<i32, i16>>,
    /// The client's connection is broken; what the broker still says goes nowhere.
    orphaned: AtomicBool,
}

impl Link {
    fn spawn(shared: &Arc<Shared>, client: TcpStream, broker: TcpStream, plan: Arc<Plan>, seed: u64) -> io::Result<()> {
        for stream in [&client, &broker] {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(LOOK_EVERY))?;
        }
        let (asked, orphaned) = (Mutex::default(), AtomicBool::new(false));
        let link = Arc::new(Self { shared: shared.clone(), client, broker, plan, asked, orphaned });
        let mut threads = lock(&shared.threads);
        threads.retain(|thread| !thread.is_finished());
        for direction in [Direction::ToBroker, Direction::ToClient] {
            let (link, random) = (link.clone(), Random::new(seed ^ direction as u64));
            threads.push(std::thread::spawn(move || link.pass_on(direction, random)));
        }
        Ok(())
    }

    fn pass_on(&self, direction: Direction, mut random: Random) {
        let (from, to) = match direction {
            Direction::ToBroker => (&self.client, &self.broker),
            Direction::ToClient => (&self.broker, &self.client),
        };
        while let Ok(Some(frame)) = self.frame(from) {
            let request = self.request(direction, &frame);
            let fault = (self.plan)(direction, request, &mut random);
            self.shared.count(fault);
            if self.pass(to, &frame, fault).is_err() {
                break;
            }
        }
        if direction == Direction::ToBroker && self.orphaned.load(Ordering::Relaxed) {
            self.shared.pause(AFTERWARDS);
        }
        // Whichever way breaks, both do.
        let _ = self.client.shutdown(Shutdown::Both);
        if direction == Direction::ToBroker || !self.orphaned.load(Ordering::Relaxed) {
            let _ = self.broker.shutdown(Shutdown::Both);
        }
    }

    /// An error ends the connection.
    fn pass(&self, mut to: &TcpStream, frame: &[u8], fault: Fault) -> io::Result<()> {
        match fault {
            Fault::None => to.write_all(frame),
            Fault::Late(time) => {
                self.shared.pause(time);
                to.write_all(frame)
            }
            Fault::Dropped => Ok(()),
            Fault::Twice => to.write_all(frame).and_then(|()| to.write_all(frame)),
            Fault::Cut => {
                to.write_all(&frame[..frame.len() / 2])?;
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            Fault::Orphaned(time) => {
                self.orphaned.store(true, Ordering::Relaxed);
                self.client.shutdown(Shutdown::Both)?;
                self.shared.pause(time);
                to.write_all(frame)?;
                Err(io::ErrorKind::ConnectionAborted.into())
            }
        }
    }

    /// Which request a frame is, or answers; -1 if nobody knows.
    fn request(&self, direction: Direction, frame: &[u8]) -> i16 {
        let number = |at: usize| frame.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_be_bytes);
        let key = || frame.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(i16::from_be_bytes);
        let known = match direction {
            Direction::ToBroker => key().zip(number(8)).map(|(key, correlation)| {
                lock(&self.asked).insert(correlation, key);
                key
            }),
            Direction::ToClient => number(4).and_then(|correlation| lock(&self.asked).remove(&correlation)),
        };
        known.unwrap_or(-1)
    }

    /// The next frame with its length before it; `None` when there are no more.
    fn frame(&self, from: &TcpStream) -> io::Result<Option<Vec<u8>>> {
        let mut frame = vec![0; 4];
        if !self.fill(from, &mut frame)? {
            return Ok(None);
        }
        let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        frame.resize(4 + length, 0);
        Ok(self.fill(from, &mut frame[4..])?.then_some(frame))
    }

    /// Reads all of it, or nothing more comes.
    fn fill(&self, mut from: &TcpStream, into: &mut [u8]) -> io::Result<bool> {
        let mut filled = 0;
        while filled < into.len() {
            match from.read(&mut into[filled..]) {
                Ok(0) => return Ok(false),
                Ok(read) => filled += read,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if self.shared.is_over() {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
