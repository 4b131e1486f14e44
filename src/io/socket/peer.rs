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

/// Turns away a stranger: who is neither this user nor root, nor for root `also`.
pub fn check(stream: &UnixStream, also: Option<u32>) -> Result<(), SocketError> {
    let (peer, own) = {
        let _watched = runtime()?.enter();
        let (own, _other) = tokio::net::UnixStream::pair()?;
        let shared = stream.try_clone()?;
        shared.set_nonblocking(true)?;
        let peer = tokio::net::UnixStream::from_std(shared).and_then(user_of);
        stream.set_nonblocking(false)?;
        (peer?, user_of(own)?)
    };
    judge(peer, own, also)
}

fn judge(peer: u32, own: u32, also: Option<u32>) -> Result<(), SocketError> {
    if peer == own || peer == ROOT || (own == ROOT && Some(peer) == also) {
        return Ok(());
    }
    Err(SocketError::Stranger(peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_user_and_root_may_and_nobody_else() {
        assert_eq!(judge(1000, 1000, None), Ok(()));
        assert_eq!(judge(0, 1000, None), Ok(()));
        assert_eq!(judge(1001, 1000, None), Err(SocketError::Stranger(1001)));
        assert_eq!(judge(1000, 0, None), Err(SocketError::Stranger(1000)));
        assert_eq!(judge(1000, 0, Some(1000)), Ok(()));
        assert_eq!(judge(1001, 1000, Some(1001)), Err(SocketError::Stranger(1001)));
    }

    #[test]
    fn a_connection_within_this_process_is_with_this_user_and_still_blocks() {
        let (here, there) = UnixStream::pair().unwrap();
        check(&here, None).unwrap();
        use std::io::{Read, Write};
        let late = std::thread::spawn(move || (&there).write_all(b"x").unwrap());
        let mut byte = [0];
        (&here).read_exact(&mut byte).unwrap();
        late.join().unwrap();
    }
}
