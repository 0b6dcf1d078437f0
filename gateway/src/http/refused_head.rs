//! What hyper refuses by itself, a malformed or oversized head, in the envelope of every other error.
//!
//! hyper answers such a head with a bare status before any code of ours sees a request. Its answer is known by
//! its form, which none of ours has (they all carry a content type), and is replaced on its way out.

use super::request_id;
use crate::envelope;
use crate::error::ApiError;
use bytes::{Buf, Bytes};
use hyper::HeaderMap;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// hyper's own answers are shorter than this.
const LONGEST_BARE: usize = 160;

/// A connection whose bare refusals are replaced.
pub struct Enveloping<S> {
    stream: S,
    /// What goes out in the place of what hyper wrote, and how much that was.
    instead: Option<(Bytes, usize)>,
}

impl<S> Enveloping<S> {
    /// Around a connection that hyper will serve.
    pub const fn new(stream: S) -> Self {
        Self {
            stream,
            instead: None,
        }
    }
}

/// Where in written bytes a bare refusal begins, with its status; it is the last thing hyper writes.
fn bare_refusal(written: &[u8]) -> Option<(usize, u16)> {
    let from = written.len().saturating_sub(LONGEST_BARE);
    let tail = &written[from..];
    let at = tail.windows(10).rposition(|window| window == b"HTTP/1.1 4")?;
    let head = std::str::from_utf8(&tail[at..]).ok()?;
    let mut lines = head.strip_suffix("\r\n\r\n")?.split("\r\n");
    let status = lines.next()?.get(9..12)?.parse().ok()?;
    let bare = lines
        .all(|line| line == "connection: close" || line == "content-length: 0" || line.starts_with("date: "));
    bare.then_some((from + at, status))
}

/// The answer of ours to a head that hyper gave a status.
fn enveloped(status: u16) -> Vec<u8> {
    let error = match status {
        414 | 431 => ApiError::HeadTooLarge,
        _ => ApiError::MalformedHead,
    };
    let id = request_id::of(&HeaderMap::new());
    tracing::debug!(request = %id, status, code = error.code().name(), "head refused");
    let json = envelope::error(id, &error);
    let head = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncache-control: no-store\r\n\
         {}: {id}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        request_id::HEADER,
        json.len()
    );
    [head.as_bytes(), &json].concat()
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Enveloping<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.instead.is_none() {
            let Some((at, status)) = bare_refusal(bytes) else {
                return Pin::new(&mut this.stream).poll_write(context, bytes);
            };
            let instead = [&bytes[..at], &enveloped(status)].concat();
            this.instead = Some((instead.into(), bytes.len()));
        }
        // hyper offers the same bytes again until they are taken.
        while let Some((instead, taken)) = &mut this.instead {
            if instead.is_empty() {
                let taken = *taken;
                this.instead = None;
                return Poll::Ready(Ok(taken));
            }
            match ready!(Pin::new(&mut this.stream).poll_write(context, instead))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => instead.advance(count),
            }
        }
        Poll::Ready(Ok(0))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A bare refusal has no body: it comes alone.
        match parts {
            [part] => self.poll_write(context, part),
            parts => Pin::new(&mut self.stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Enveloping<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const BARE: &str = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\
                        content-length: 0\r\ndate: Tue, 24 Nov 2026 07:16:47 GMT\r\n\r\n";

    #[test]
    fn only_hypers_own_answers_are_bare() {
        assert_eq!(bare_refusal(BARE.as_bytes()), Some((0, 431)));
        let behind_another = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{{}}{BARE}");
        assert_eq!(
            bare_refusal(behind_another.as_bytes()),
            Some((behind_another.len() - BARE.len(), 431))
        );
        for other in [
            "",
            "HTTP/1.1 4",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 9\r\n\r\n",
        ] {
            assert_eq!(bare_refusal(other.as_bytes()), None, "{other:?}");
        }
    }

    #[tokio::test]
    async fn a_bare_refusal_leaves_in_the_envelope_however_slowly_it_is_taken() {
        let (ours, mut theirs) = tokio::io::duplex(7);
        let mut ours = Enveloping::new(ours);
        let written = tokio::spawn(async move {
            ours.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                .await
                .unwrap();
            ours.write_all(BARE.as_bytes()).await.unwrap();
        });
        let mut seen = String::new();
        theirs.read_to_string(&mut seen).await.unwrap();
        written.await.unwrap();
        assert!(
            seen.starts_with("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 400 Bad Request\r\n")
        );
        assert!(seen.contains("\"error_code\":\"ERR_INVALID_004\""), "{seen}");
        assert!(!seen.contains("content-length: 0"));
    }
}
