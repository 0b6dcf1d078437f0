//! What Chancel's processes say to each other, byte by byte.
//!
//! A connection starts with a fixed-size [`hello`], then carries [`frame`]s in both directions; a frame's
//! body is one message of [`keyd`], [`policyd`] or [`admin`], encoded with postcard. Every bound either side
//! enforces is a constant of [`limits`]. The crate does no I/O: keyd drives it from threads, the others from
//! an async runtime.

pub mod admin;
pub mod codec;
pub mod frame;
pub mod hello;
pub mod keyd;
pub mod limits;
pub mod metric;
pub mod permit;
pub mod policyd;

pub use codec::{DecodeError, decode, decode_list, encode, encode_list};
