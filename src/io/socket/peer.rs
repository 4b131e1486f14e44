//! Who is at the other end of a local socket.
//!
//! The standard library cannot say it yet; tokio can, of sockets that it watches. So one is watched for a moment.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

use super::SocketError;

const ROOT: u32 = 0;

fn runtime() -> io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<io::Result<Runtime>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| Builder::new_current_thread().enable_io().build());
    made.as_ref()
        .map_err(|error| io::Error::new(error.kind(), error.to_string()))
}

/// Connects without waiting for a server that takes no callers.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    let stream = runtime()?.block_on(tokio::net::UnixStream::connect(path))?;
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn user_of(stream: tokio::net::UnixStream) -> io::Result<u32> {
    stream.peer_cred().map(|peer| peer.uid())
}

/// Turns away whoever calls and is neither this user nor root.
pub fn check_caller(stream: &UnixStream) -> Result<(), SocketError> {
    let (caller, own) = users(stream)?;
    match caller == own || caller == ROOT {
        true => Ok(()),
        false => Err(SocketError::Stranger(caller)),
    }
}

/// Tells nothing to a server that is of another user: it would not take this one either. Root may call that of `owner`.
pub fn check_server(stream: &UnixStream, owner: u32) -> Result<(), SocketError> {
    let (server, own) = users(stream)?;
    match server == own || (own == ROOT && server == owner) {
        true => Ok(()),
        false => Err(SocketError::OthersServer { server, own }),
    }
}

/// The user at the other end, and this one.
fn users(stream: &UnixStream) -> io::Result<(u32, u32)> {
    let _watched = runtime()?.enter();
    let (own, _other) = tokio::net::UnixStream::pair()?;
    let shared = stream.try_clone()?;
    shared.set_nonblocking(true)?;
    let there = tokio::net::UnixStream::from_std(shared).and_then(user_of);
    stream.set_nonblocking(false)?;
    Ok((there?, user_of(own)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_within_this_process_is_with_this_user_and_still_blocks() {
        let (here, there) = UnixStream::pair().unwrap();
        check_caller(&here).unwrap();
        check_server(&here, 12_345).unwrap();
        use std::io::{Read, Write};
        let late = std::thread::spawn(move || (&there).write_all(b"x").unwrap());
        let mut byte = [0];
        (&here).read_exact(&mut byte).unwrap();
        late.join().unwrap();
    }
}
