//! The door to the local socket, through which commands reach a server that holds the store.
//!
//! The socket lies in the data folder, closed to other users from its first moment: it is made in a folder that nobody
//! else may enter, and then moved to its name. Only who holds the store's lock may make it; so a socket that is there
//! already was left by a server that was killed, and is replaced. Both sides look who the other is: a folder that others
//! may write in, or a socket whose rights were widened, gives nobody the store, and nobody a false one.
//!
//! A [`Line`] carries frames: a length in four bytes, then so many bytes. A frame has a limit, and once it has begun it
//! has to come within [`FRAME_TIME`]; memory is taken as bytes come, not as a length promises.
#![expect(clippy::disallowed_methods, reason = "this is the door to the local socket")]

mod peer;

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The socket's name in the data folder.
pub const FILE_NAME: &str = "host.sock";

/// Where it is made.
const UNFINISHED: &str = ".host.sock.new";

/// The longest frame: a batch of the largest size, with its keys.
pub const FRAME_BYTES_MAX: usize = 80 << 20;

/// How long a frame may take once it has begun.
pub const FRAME_TIME: Duration = Duration::from_secs(30);

/// The longest path that every system takes for a socket; longer ones are reached through the folder's descriptor.
const PATH_BYTES_MAX: usize = 100;

/// Memory that is taken for a frame at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// What goes wrong with a socket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SocketError {
    #[error("the other side has closed the connection")]
    Closed,
    #[error("the other side was silent for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("a frame has {bytes} bytes; at most {bytes_max} are allowed")]
    TooLarge { bytes: usize, bytes_max: usize },
    #[error("the other side belongs to another user (id {0})")]
    Stranger(u32),
    #[error(
        "the server belongs to another user (id {server}; yours is {own}), and takes nobody else: run this as that user"
    )]
    OthersServer { server: u32, own: u32 },
    #[error("{} cannot be used: {reason}", .path.display())]
    Unusable { path: PathBuf, reason: String },
    #[error("the connection failed: {0}")]
    Failed(String),
}

impl From<io::Error> for SocketError {
    fn from(error: io::Error) -> SocketError {
        match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => SocketError::Closed,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => SocketError::Silent(FRAME_TIME),
            _ => SocketError::Failed(error.to_string()),
        }
    }
}

/// The path of the socket in `folder`, by which a socket can be made or reached, however long it is. What is returned
/// beside it has to live as long.
fn reachable(folder: &Path, name: &str) -> Result<(PathBuf, Option<File>), SocketError> {
    let path = folder.join(name);
    if path.as_os_str().len() <= PATH_BYTES_MAX {
        return Ok((path, None));
    }
    let unusable = |reason: String| SocketError::Unusable {
        path: path.clone(),
        reason,
    };
    let open = File::open(folder).map_err(|error| unusable(error.to_string()))?;
    let through = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd())).join(name);
    if !Path::new("/proc/self/fd").is_dir() {
        let bytes = path.as_os_str().len();
        return Err(unusable(format!(
            "its path has {bytes} bytes; at most {PATH_BYTES_MAX} are allowed"
        )));
    }
    Ok((through, Some(open)))
}

/// The socket of a server, from its making until it is dropped.
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Makes the socket in `folder`, in the place of one that a killed server left. The caller holds the store's lock.
    pub fn in_folder(folder: &Path) -> Result<Listener, SocketError> {
        let path = folder.join(FILE_NAME);
        let made = make(folder, &path);
        made.map_err(|error| match error {
            Made::Io(error) => SocketError::Unusable {
                path: path.clone(),
                reason: error.to_string(),
            },
            Made::Socket(error) => error,
        })
        .map(|listener| Listener {
            listener,
            path: path.clone(),
        })
    }

    /// The next who calls and may; others are turned away, and an error is about them alone.
    pub fn accept(&self) -> Result<Line, SocketError> {
        let (stream, _) = self.listener.accept()?;
        peer::check_caller(&stream)?;
        Ok(Line { stream })
    }

    /// What ends [`accept`](Listener::accept) from another thread.
    pub fn shutter(&self) -> Result<Shutter, SocketError> {
        // A listening socket can be shut like a connected one, which wakes whoever waits in it.
        let listener = OwnedFd::from(self.listener.try_clone()?);
        Ok(Shutter(UnixStream::from(listener)))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Nobody can be told; one that stays is replaced by the next server.
        fs::remove_file(&self.path).unwrap_or_default();
    }
}

/// Ends the waiting of a [`Listener`].
pub struct Shutter(UnixStream);

impl Shutter {
    pub fn shut(&self) {
        // It may be shut already.
        self.0.shutdown(Shutdown::Both).unwrap_or_default();
    }
}

enum Made {
    Io(io::Error),
    Socket(SocketError),
}

impl From<io::Error> for Made {
    fn from(error: io::Error) -> Made {
        Made::Io(error)
    }
}

fn make(folder: &Path, path: &Path) -> Result<UnixListener, Made> {
    let within = folder.join(UNFINISHED);
    match fs::remove_dir_all(&within) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    DirBuilder::new().mode(0o700).create(&within)?;
    let (reached, _folder) = reachable(&within, FILE_NAME).map_err(Made::Socket)?;
    let listener = UnixListener::bind(reached)?;
    let unfinished = within.join(FILE_NAME);
    fs::set_permissions(&unfinished, Permissions::from_mode(0o600))?;
    fs::rename(&unfinished, path)?;
    fs::remove_dir(&within)?;
    Ok(listener)
}

/// One end of a connection.
#[derive(Debug)]
pub struct Line {
    stream: UnixStream,
}

impl Line {
    /// Calls the server of the data folder `folder`; `None` when nobody serves there.
    pub fn to(folder: &Path) -> Result<Option<Line>, SocketError> {
        let path = folder.join(FILE_NAME);
        let unusable = |error: &io::Error| SocketError::Unusable {
            path: path.clone(),
            reason: error.to_string(),
        };
        // Nearly always nobody serves, and this is all that it costs.
        match fs::symlink_metadata(&path) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(unusable(&error)),
        }
        let owner = fs::metadata(folder).map_err(|error| unusable(&error))?.uid();
        let (reached, _folder) = reachable(folder, FILE_NAME)?;
        match peer::connect(&reached) {
            Ok(stream) => {
                peer::check_server(&stream, owner)?;
                Ok(Some(Line { stream }))
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(SocketError::Unusable {
                path,
                reason: "too many others wait for it, or the server does not move".to_owned(),
            }),
            Err(error) => Err(unusable(&error)),
        }
    }

    /// Both ends of a connection within this process.
    pub fn pair() -> Result<(Line, Line), SocketError> {
        let (here, there) = UnixStream::pair()?;
        Ok((Line { stream: here }, Line { stream: there }))
    }

    /// Another handle to the same connection.
    pub fn share(&self) -> Result<Line, SocketError> {
        let stream = self.stream.try_clone()?;
        Ok(Line { stream })
    }

    /// Ends the connection for both sides, and whatever waits in it.
    pub fn hang_up(&self) {
        // It may be gone already.
        self.stream.shutdown(Shutdown::Both).unwrap_or_default();
    }

    pub fn send(&self, frame: &[u8]) -> Result<(), SocketError> {
        check(frame.len(), FRAME_BYTES_MAX)?;
        let until = Instant::now() + FRAME_TIME;
        let length = (frame.len() as u32).to_le_bytes();
        if frame.len() < CHUNK_BYTES {
            return self.write(&[&length, frame].concat(), until);
        }
        self.write(&length, until)?;
        self.write(frame, until)
    }

    /// The next frame; `None` when the other side has ended the connection between two. `patience` is how long it may
    /// take to begin.
    pub fn receive(&self, bytes_max: usize, patience: Option<Duration>) -> Result<Option<Vec<u8>>, SocketError> {
        let mut length = [0; 4];
        self.stream.set_read_timeout(patience)?;
        let first = loop {
            match (&self.stream).read(&mut length) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(SocketError::Silent(patience.unwrap_or_default()));
                }
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                read => break read?,
            }
        };
        if first == 0 {
            return Ok(None);
        }
        let until = Instant::now() + FRAME_TIME;
        self.read(&mut length[first..], until)?;
        let bytes = u32::from_le_bytes(length) as usize;
        check(bytes, bytes_max)?;
        let mut frame = Vec::new();
        while frame.len() < bytes {
            let begin = frame.len();
            // Doubled each time: a length alone takes no memory.
            let more = (bytes - begin).min(begin.max(CHUNK_BYTES));
            frame.resize(begin + more, 0);
            self.read(&mut frame[begin..], until)?;
        }
        Ok(Some(frame))
    }

    fn read(&self, mut into: &mut [u8], until: Instant) -> Result<(), SocketError> {
        while !into.is_empty() {
            self.stream.set_read_timeout(Some(left(until)?))?;
            match (&self.stream).read(into) {
                Ok(0) => return Err(SocketError::Closed),
                Ok(read) => into = &mut into[read..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn write(&self, mut bytes: &[u8], until: Instant) -> Result<(), SocketError> {
        while !bytes.is_empty() {
            self.stream.set_write_timeout(Some(left(until)?))?;
            match (&self.stream).write(bytes) {
                Ok(0) => return Err(SocketError::Closed),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn check(bytes: usize, bytes_max: usize) -> Result<(), SocketError> {
    if bytes > bytes_max {
        return Err(SocketError::TooLarge { bytes, bytes_max });
    }
    Ok(())
}

fn left(until: Instant) -> Result<Duration, SocketError> {
    match until.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(SocketError::Silent(FRAME_TIME)),
        left => Ok(left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::TempDir::new().unwrap()
    }

    #[test]
    fn frames_arrive_as_they_were_sent_in_order() {
        let folder = folder();
        let listener = Listener::in_folder(folder.path()).unwrap();
        let client = Line::to(folder.path()).unwrap().expect("somebody serves");
        let server = listener.accept().unwrap();
        let large = vec![7; 3 * CHUNK_BYTES + 1];
        let sender = std::thread::spawn({
            let large = large.clone();
            move || {
                for frame in [b"one".as_slice(), b"", &large] {
                    client.send(frame).unwrap();
                }
            }
        });
        let next = || server.receive(FRAME_BYTES_MAX, Some(Duration::from_secs(5))).unwrap();
        assert_eq!(next().unwrap(), b"one");
        assert_eq!(next().unwrap(), b"");
        assert_eq!(next().unwrap(), large);
        sender.join().unwrap();
        assert_eq!(next(), None, "the other side has hung up between two frames");
    }

    #[test]
    fn the_socket_is_closed_to_others_and_gone_with_its_listener() {
        let folder = folder();
        let listener = Listener::in_folder(folder.path()).unwrap();
        let path = folder.path().join(FILE_NAME);
        assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        drop(listener);
        assert!(!path.exists());
        assert!(Line::to(folder.path()).unwrap().is_none());
    }

    #[test]
    fn what_a_killed_server_left_is_nobody_and_is_replaced() {
        let folder = folder();
        let path = folder.path().join(FILE_NAME);
        drop(UnixListener::bind(&path).unwrap());
        fs::create_dir(folder.path().join(UNFINISHED)).unwrap();
        fs::write(folder.path().join(UNFINISHED).join(FILE_NAME), "").unwrap();
        assert!(Line::to(folder.path()).unwrap().is_none());
        let _listener = Listener::in_folder(folder.path()).unwrap();
        assert!(Line::to(folder.path()).unwrap().is_some());
    }

    #[test]
    fn a_folder_whose_path_is_too_long_for_a_socket_has_one_all_the_same() {
        let folder = folder();
        let long = folder.path().join("d".repeat(90)).join("e".repeat(90));
        fs::create_dir_all(&long).unwrap();
        let _listener = Listener::in_folder(&long).unwrap();
        assert!(Line::to(&long).unwrap().is_some());
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_its_bytes_come() {
        let (mut here, there) = UnixStream::pair().unwrap();
        here.write_all(&u32::MAX.to_le_bytes()).unwrap();
        let refused = Line { stream: there }.receive(1000, None);
        let bytes = u32::MAX as usize;
        assert_eq!(refused, Err(SocketError::TooLarge { bytes, bytes_max: 1000 }));
    }

    #[test]
    fn half_a_frame_is_no_frame() {
        let (mut here, there) = UnixStream::pair().unwrap();
        here.write_all(&[9, 0, 0, 0, 1, 2]).unwrap();
        drop(here);
        assert_eq!(Line { stream: there }.receive(1000, None), Err(SocketError::Closed));
    }

    #[test]
    fn silence_is_an_error_after_the_callers_patience() {
        let (_here, there) = Line::pair().unwrap();
        let patience = Duration::from_millis(20);
        assert_eq!(there.receive(1000, Some(patience)), Err(SocketError::Silent(patience)));
    }

    #[test]
    fn shutting_it_ends_the_wait_for_callers() {
        let folder = folder();
        let listener = Listener::in_folder(folder.path()).unwrap();
        let shutter = listener.shutter().unwrap();
        let waiting = std::thread::spawn(move || listener.accept().is_err());
        std::thread::sleep(Duration::from_millis(20));
        shutter.shut();
        assert!(waiting.join().unwrap());
    }
}
