use super::*;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

/// A broker that answers every request with its correlation id, and tells which keys it got.
fn broker() -> (SocketAddr, Receiver<i16>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (tell, told) = sync_channel(100);
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let tell = tell.clone();
            std::thread::spawn(move || {
                let mut frame = [0; 12];
                while stream.read_exact(&mut frame).is_ok() {
                    let _ = tell.try_send(i16::from_be_bytes([frame[4], frame[5]]));
                    let answer = [&[0, 0, 0, 4][..], &frame[8..12]].concat();
                    let _ = stream.write_all(&answer);
                }
            });
        }
    });
    (address, told)
}

fn proxy(plan: impl Fn(Direction, i16, &mut Random) -> Fault + Send + Sync + 'static) -> (Proxy, Receiver<i16>) {
    let ((address, told), proxy) = (broker(), Proxy::new());
    proxy.set_broker(address);
    proxy.set_plan(1, plan);
    (proxy, told)
}

fn client(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn request(key: u8, correlation: u8) -> [u8; 12] {
    [0, 0, 0, 8, 0, key, 0, 0, 0, 0, 0, correlation]
}

/// The correlation id of the next answer; `None` if the connection ends before it is whole.
fn answer(stream: &mut TcpStream) -> Option<u8> {
    let mut frame = [0; 8];
    stream.read_exact(&mut frame).ok()?;
    Some(frame[7])
}

/// To answers of this request.
fn only(fault: Fault, to: Direction, request: i16) -> impl Fn(Direction, i16, &mut Random) -> Fault {
    move |direction, key, _| if (direction, key) == (to, request) { fault } else { Fault::None }
}

#[test]
fn frames_pass() {
    let (proxy, told) = proxy(|_, _, _| Fault::None);
    let mut client = client(&proxy);
    client.write_all(&[request(3, 7), request(4, 8)].concat()).unwrap();
    assert_eq!([answer(&mut client), answer(&mut client)], [Some(7), Some(8)]);
    assert_eq!([told.recv().unwrap(), told.recv().unwrap()], [3, 4]);
    assert_eq!(proxy.counts(), (4, Vec::new()));
}

#[test]
fn answers_are_dropped_or_come_twice() {
    let (proxy, _told) = proxy(|direction, key, _| match (direction, key) {
        (Direction::ToClient, 3) => Fault::Dropped,
        (Direction::ToClient, 4) => Fault::Twice,
        _ => Fault::None,
    });
    let mut client = client(&proxy);
    client.write_all(&[request(3, 1), request(4, 2), request(5, 3)].concat()).unwrap();
    let answers = [answer(&mut client), answer(&mut client), answer(&mut client)];
    assert_eq!(answers, [Some(2), Some(2), Some(3)]);
    assert_eq!(proxy.counts().1, [("dropped", 1), ("twice", 1)]);
}

#[test]
fn a_late_frame_is_late() {
    let late = Duration::from_millis(150);
    let (proxy, _told) = proxy(only(Fault::Late(late), Direction::ToBroker, 3));
    let (mut client, start) = (client(&proxy), Instant::now());
    client.write_all(&request(3, 1)).unwrap();
    assert_eq!(answer(&mut client), Some(1));
    assert!(start.elapsed() >= late);
}

#[test]
fn a_cut_frame_arrives_by_half() {
    let (proxy, _told) = proxy(only(Fault::Cut, Direction::ToClient, 3));
    let mut client = client(&proxy);
    client.write_all(&request(3, 1)).unwrap();
    let mut arrived = Vec::new();
    let _ = client.read_to_end(&mut arrived);
    assert_eq!(arrived, [0, 0, 0, 4]);
}

#[test]
fn an_orphaned_request_arrives_when_its_client_is_gone() {
    let (proxy, told) = proxy(only(Fault::Orphaned(Duration::from_millis(100)), Direction::ToBroker, END_TXN));
    let mut client = client(&proxy);
    client.write_all(&request(26, 1)).unwrap();
    assert_eq!(answer(&mut client), None);
    assert!(told.try_recv().is_err(), "it is held back");
    assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(END_TXN));
}

#[test]
fn without_a_broker_connections_end() {
    let proxy = Proxy::new();
    let mut client = client(&proxy);
    let _ = client.write_all(&request(3, 1));
    assert_eq!(answer(&mut client), None);
}
