//! The door for those who ask us over the network: addresses that are listened on, and the certificate they are shown.
//!
//! A certificate and its key are files. They are looked at again now and then, and read when one of them is another than
//! before; what cannot be used is told and left, and the last that could stays. So a certificate is renewed by writing
//! two files, in any order, and no connection ends for it.
#![expect(clippy::disallowed_methods, reason = "this is the door for those who ask us")]

mod impatient;

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub use impatient::Impatient;

/// The largest file of certificates, and of a key.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// Why nobody can be let in.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("{text:?} is no address to listen on; write an IP address and a port, such as 127.0.0.1:7070")]
    Address { text: String },
    #[error("{address} cannot be listened on: {reason}")]
    Bind { address: SocketAddr, reason: String },
    #[error("{} cannot be used: {reason}", .path.display())]
    Tls { path: PathBuf, reason: String },
}

impl ListenError {
    pub fn code(&self) -> &'static str {
        match self {
            ListenError::Address { .. } | ListenError::Bind { .. } => "SERVER_LISTEN",
            ListenError::Tls { .. } => "SERVER_TLS",
        }
    }
}

/// The address that `text` names. Names of machines are not looked up: what they stand for can change.
pub fn address(text: &str) -> Result<SocketAddr, ListenError> {
    let text = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    text.parse().map_err(|_| ListenError::Address { text })
}

/// An address that is listened on.
pub struct Bound {
    pub address: SocketAddr,
    listener: TcpListener,
}

impl Bound {
    pub fn to(address: SocketAddr) -> Result<Bound, ListenError> {
        let failed = |error: io::Error| ListenError::Bind {
            address,
            reason: error.to_string(),
        };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Bound { address, listener })
    }

    /// For the runtime that this is called in.
    pub fn listen(self) -> io::Result<tokio::net::TcpListener> {
        tokio::net::TcpListener::from_std(self.listener)
    }
}

/// A certificate with its key, as they lie on the disk.
pub struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    seen: Mutex<Option<[Stamp; 2]>>,
    config: RwLock<Arc<ServerConfig>>,
}

/// What tells a file from the one that lay there before.
type Stamp = (u64, SystemTime);

/// What came of another look at the files.
#[derive(Debug, PartialEq, Eq)]
pub enum Renewed {
    Same,
    Other,
}

impl Certificate {
    pub fn read(cert: PathBuf, key: PathBuf) -> Result<Certificate, ListenError> {
        let seen = stamps(&cert, &key);
        let config = RwLock::new(Arc::new(config(&cert, &key)?));
        Ok(Certificate {
            cert,
            key,
            seen: Mutex::new(seen),
            config,
        })
    }

    /// Looks whether the files are others, and shows what they hold from now on. What cannot be used is told once.
    pub fn look(&self) -> Result<Renewed, ListenError> {
        let now = stamps(&self.cert, &self.key);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return Ok(Renewed::Same);
        }
        *seen = now;
        let config = config(&self.cert, &self.key)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(Renewed::Other)
    }

    /// Shows it to who called.
    pub async fn greet(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner).clone();
        TlsAcceptor::from(config).accept(stream).await
    }
}

fn stamps(cert: &Path, key: &Path) -> Option<[Stamp; 2]> {
    let stamp = |path: &Path| {
        let data = fs::metadata(path).ok()?;
        Some((data.len(), data.modified().ok()?))
    };
    Some([stamp(cert)?, stamp(key)?])
}

fn config(cert: &Path, key: &Path) -> Result<ServerConfig, ListenError> {
    let bad = |path: &Path, reason: String| ListenError::Tls {
        path: path.to_owned(),
        reason,
    };
    let cert_text = read(cert).map_err(|reason| bad(cert, reason))?;
    let key_text = read(key).map_err(|reason| bad(key, reason))?;
    let certs: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(&cert_text).collect();
    let certs = certs.map_err(|error| bad(cert, error.to_string()))?;
    if certs.is_empty() {
        return Err(bad(cert, "there is no certificate in it".to_owned()));
    }
    // Nothing of the key goes into the message.
    let private = PrivateKeyDer::from_pem_slice(&key_text).map_err(|_| {
        bad(
            key,
            "there is no private key in it (PKCS#8, PKCS#1 or SEC1, as PEM)".to_owned(),
        )
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(cert, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(certs, private);
    let mut config = config.map_err(|error| bad(cert, format!("with the key {}: {error}", key.display())))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > PEM_BYTES_MAX {
        return Err(format!("it has {length} bytes; at most {PEM_BYTES_MAX} are read"));
    }
    fs::read(path).map_err(|error| error.to_string())
}
