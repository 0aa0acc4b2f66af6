use super::*;
use std::future::pending;

fn try_all(within: Duration, silent: &'static [u16]) -> Option<io::Result<u16>> {
    let addresses = [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let connect = |address: SocketAddr| async move {
        match address.port() {
            port if silent.contains(&port) => pending().await,
            3 => Err(io::ErrorKind::ConnectionRefused.into()),
            port => Ok(port),
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(first_of(&addresses, within, connect))
}

/// As one behind a firewall that drops what is sent to it.
#[test]
fn an_address_that_answers_nothing_leaves_time_for_the_others() {
    let within = Duration::from_millis(60);
    assert_eq!(try_all(within, &[]).unwrap().unwrap(), 1);
    assert_eq!(try_all(within, &[1]).unwrap().unwrap(), 2);
    assert_eq!(try_all(within, &[1, 2]).unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(try_all(within, &[1, 2, 3]).unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
}
