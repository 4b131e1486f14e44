//! The file of a bundle: a line that names the format, the SHA-256 of all that follows, and a gzip stream.
//!
//! ```text
//! host bundle 1␊
//! <64 hexadecimal digits>␊
//! gzip( length of the manifest, 4 bytes big-endian · manifest, JSON · the parts, one after another )
//! ```
//!
//! The manifest names each part with its kind, length and SHA-256, in strictly ascending order of kind and name: so one
//! content has one form, to the byte, and no part comes twice. A reader believes no length before the bytes are there,
//! unpacks piece by piece, and stops at its limits.

use std::fmt::Display;
use std::io::{Read, Write};
use std::str::FromStr;

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::{BundleError, broken};
use crate::id::ContentHash;

/// The version of the form that is written.
pub(super) const FORMAT: u32 = 1;

/// How every bundle begins, of whatever format.
pub(super) const MAGIC: &[u8] = b"host bundle ";

/// The largest bundle.
pub(super) const FILE_BYTES_MAX: u64 = 256 << 20;
/// The most that all its parts unpack to.
pub(super) const TOTAL_BYTES_MAX: u64 = 512 << 20;
/// The largest part.
pub(super) const PART_BYTES_MAX: u64 = 64 << 20;
pub(super) const PARTS_MAX: usize = 20_000;
const MANIFEST_BYTES_MAX: u64 = 8 << 20;

/// What a part is. The order is that in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Incident,
    Config,
    Run,
    Journal,
    /// A script, module or prompt.
    Version,
    /// A large value.
    Content,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::Incident => "incident",
            Kind::Config => "config",
            Kind::Run => "run",
            Kind::Journal => "journal",
            Kind::Version => "version",
            Kind::Content => "content",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub kind: Kind,
    pub name: String,
    pub bytes: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    /// The version of the host that made it.
    host: String,
    parts: Vec<Listed>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    kind: Kind,
    name: String,
    bytes: u64,
    sha256: ContentHash,
}

fn within(what: impl Into<String>, found: u64, most: u64) -> Result<(), BundleError> {
    if found > most {
        let what = what.into();
        return Err(BundleError::TooLarge { what, found, most });
    }
    Ok(())
}

/// Parts in ascending order as the bytes of a file.
pub(super) fn seal(host: &str, parts: &[Part]) -> Result<Vec<u8>, BundleError> {
    within("the bundle (in parts)", parts.len() as u64, PARTS_MAX as u64)?;
    let mut total = 0;
    for part in parts {
        let bytes = part.bytes.len() as u64;
        within(
            format!("a part of the bundle ({} {})", part.kind.as_str(), part.name),
            bytes,
            PART_BYTES_MAX,
        )?;
        total += bytes;
    }
    within("the bundle, unpacked,", total, TOTAL_BYTES_MAX)?;
    let listed = parts.iter().map(|part| Listed {
        kind: part.kind,
        name: part.name.clone(),
        bytes: part.bytes.len() as u64,
        sha256: ContentHash::of(&part.bytes),
    });
    let manifest = Manifest {
        host: host.to_owned(),
        parts: listed.collect(),
    };
    let manifest = serde_json::to_vec(&manifest).expect("a manifest is plain data");
    within("the manifest", manifest.len() as u64, MANIFEST_BYTES_MAX)?;
    let pieces = std::iter::once(manifest.as_slice()).chain(parts.iter().map(|part| part.bytes.as_slice()));
    let packed = compress((manifest.len() as u32).to_be_bytes(), pieces);
    let file = envelope(FORMAT, &packed);
    within("the bundle", file.len() as u64, FILE_BYTES_MAX)?;
    Ok(file)
}

/// No time and no name goes into the stream, so that it is the same whenever it is made.
fn compress<'p>(first: [u8; 4], pieces: impl Iterator<Item = &'p [u8]>) -> Vec<u8> {
    const MEMORY: &str = "memory does not fail to be written";
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&first).expect(MEMORY);
    for piece in pieces {
        encoder.write_all(piece).expect(MEMORY);
    }
    encoder.finish().expect(MEMORY)
}

fn envelope(format: u32, packed: &[u8]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    file.extend(format!("{format}\n{}\n", ContentHash::of(packed)).into_bytes());
    file.extend(packed);
    file
}

/// The host that made a bundle, and its parts in order, each as its hash says.
pub(super) fn unseal(file: &[u8]) -> Result<(String, Vec<Part>), BundleError> {
    let rest = file.strip_prefix(MAGIC).ok_or(BundleError::NotOne)?;
    let (format, rest) = line(rest, 10)?;
    match format.parse::<u32>() {
        Ok(FORMAT) => {}
        Ok(found) if found > FORMAT => return Err(BundleError::NewerFormat { found }),
        _ => return Err(BundleError::NotOne),
    }
    let (expected, packed) = line(rest, 64)?;
    let unwritten = || broken("its SHA-256 is not written as it must be");
    let expected = as_written(expected).ok_or_else(unwritten)?;
    let found = ContentHash::of(packed);
    if found != expected {
        let what = "the bundle".to_owned();
        return Err(BundleError::Altered { what, found, expected });
    }
    let mut unpacking = GzDecoder::new(packed);
    let length = u32::from_be_bytes(take(&mut unpacking, 4)?.try_into().expect("4 bytes were taken"));
    within("the manifest", length.into(), MANIFEST_BYTES_MAX)?;
    let manifest = take(&mut unpacking, length.into())?;
    let manifest: Manifest =
        serde_json::from_slice(&manifest).map_err(|error| broken(format!("its manifest: {error}")))?;
    check(&manifest)?;
    let mut parts = Vec::new();
    for listed in manifest.parts {
        let bytes = take(&mut unpacking, listed.bytes)?;
        let found = ContentHash::of(&bytes);
        if found != listed.sha256 {
            let what = format!("a part of the bundle ({})", listed.kind.as_str());
            let expected = listed.sha256;
            return Err(BundleError::Altered { what, found, expected });
        }
        let Listed { kind, name, .. } = listed;
        parts.push(Part { kind, name, bytes });
    }
    // Reading to the very end also checks the stream's own sum.
    let more = take_up_to(&mut unpacking, 1)?;
    if !more.is_empty() || !unpacking.into_inner().is_empty() {
        return Err(broken("something follows its last part"));
    }
    Ok((manifest.host, parts))
}

/// What `text` says, if it is written as this host writes it: in capitals it would be another form of the same content.
pub(super) fn as_written<T: FromStr + Display>(text: &str) -> Option<T> {
    let read: T = text.parse().ok()?;
    (read.to_string() == text).then_some(read)
}

/// Before anything is unpacked.
fn check(manifest: &Manifest) -> Result<(), BundleError> {
    let parts = &manifest.parts;
    within("the bundle (in parts)", parts.len() as u64, PARTS_MAX as u64)?;
    let mut total: u64 = 0;
    for listed in parts {
        within(
            format!("a part of the bundle ({})", listed.kind.as_str()),
            listed.bytes,
            PART_BYTES_MAX,
        )?;
        total += listed.bytes;
    }
    within("the bundle, unpacked,", total, TOTAL_BYTES_MAX)?;
    let ascending = parts
        .windows(2)
        .all(|pair| (pair[0].kind, &pair[0].name) < (pair[1].kind, &pair[1].name));
    if !ascending {
        return Err(broken("its parts are not in order, or one comes twice"));
    }
    Ok(())
}

/// The first line, of at most so many characters, and what follows it.
fn line(bytes: &[u8], most: usize) -> Result<(&str, &[u8]), BundleError> {
    let cut = || broken("its beginning is cut short");
    let end = bytes
        .iter()
        .take(most + 1)
        .position(|byte| *byte == b'\n')
        .ok_or_else(cut)?;
    let line = std::str::from_utf8(&bytes[..end]).map_err(|_| cut())?;
    Ok((line, &bytes[end + 1..]))
}

/// Exactly so many bytes; memory is taken as they come, not as they are promised.
fn take(unpacking: &mut impl Read, bytes: u64) -> Result<Vec<u8>, BundleError> {
    let taken = take_up_to(unpacking, bytes)?;
    if (taken.len() as u64) < bytes {
        return Err(broken("it ends before its last part does"));
    }
    Ok(taken)
}

fn take_up_to(unpacking: &mut impl Read, bytes: u64) -> Result<Vec<u8>, BundleError> {
    let mut taken = Vec::new();
    let read = unpacking.take(bytes).read_to_end(&mut taken);
    read.map_err(|error| broken(format!("it cannot be unpacked: {error}")))?;
    Ok(taken)
}

/// Files that nobody but a test makes.
#[cfg(test)]
pub(super) mod forge {
    use super::*;

    /// A well-sealed file of any manifest and any bytes behind it.
    pub fn sealed(manifest: &str, body: &[u8]) -> Vec<u8> {
        let length = (manifest.len() as u32).to_be_bytes();
        envelope(FORMAT, &compress(length, [manifest.as_bytes(), body].into_iter()))
    }

    /// The same bytes behind the first two lines, under another format.
    pub fn with_format(format: u32, file: &[u8]) -> Vec<u8> {
        envelope(format, &file[MAGIC.len() + 2 + 65..])
    }

    /// What the stream unpacks to.
    pub fn unpacked(file: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        GzDecoder::new(&file[MAGIC.len() + 2 + 65..])
            .read_to_end(&mut bytes)
            .unwrap();
        bytes
    }

    /// A well-sealed file of these unpacked bytes.
    pub fn packed(bytes: &[u8]) -> Vec<u8> {
        let (first, rest) = bytes.split_first_chunk::<4>().unwrap();
        envelope(FORMAT, &compress(*first, std::iter::once(rest)))
    }
}
