//! The doors to the outside.

pub mod ffmpeg;
pub mod files;
