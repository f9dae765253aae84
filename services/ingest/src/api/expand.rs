//! Compressed bodies: expanded under a bound, so that a small body cannot become a large one.

use std::io::Read;

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_ENCODING;
use brotli_decompressor::Decompressor;
use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::error::Error;

/// What the decoder of brotli reads at a time.
const STEP_BYTES: usize = 16 * 1024;
/// Largest window of zstd that is taken, as a power of two: 8 MiB, which is what every decoder takes (RFC 8878). A body says itself how
/// much is to be reserved for it.
const ZSTD_WINDOW_LOG: u32 = 23;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The body as it was before it was encoded: as `Content-Encoding` says, else gzip if it looks so (some senders do not say it). At
/// most `max_bytes`.
pub fn expanded(body: Bytes, request: &HttpRequest, max_bytes: usize) -> Result<Bytes, Error> {
    let encoding = match named(request)? {
        Encoding::Identity if body.starts_with(&GZIP_MAGIC) => Encoding::Gzip,
        encoding => encoding,
    };
    decode(encoding, body, max_bytes)
}

fn decode(encoding: Encoding, body: Bytes, max_bytes: usize) -> Result<Bytes, Error> {
    let encoded = body.as_ref();
    match encoding {
        Encoding::Identity => Ok(body),
        Encoding::Gzip => read(MultiGzDecoder::new(encoded), max_bytes),
        Encoding::Deflate if is_zlib(encoded) => read(ZlibDecoder::new(encoded), max_bytes),
        Encoding::Deflate => read(DeflateDecoder::new(encoded), max_bytes),
        Encoding::Brotli => read(Decompressor::new(encoded, STEP_BYTES), max_bytes),
        Encoding::Zstd => {
            let decoder = zstd::Decoder::with_buffer(encoded).and_then(|mut decoder| {
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Ok(decoder)
            });
            read(decoder.map_err(|_| Error::MalformedEncoding)?, max_bytes)
        }
    }
}

/// What the header says, which may stand more than once and name several.
fn named(request: &HttpRequest) -> Result<Encoding, Error> {
    let mut named = Encoding::Identity;
    for value in request.headers().get_all(CONTENT_ENCODING) {
        let value = value.to_str().map_err(|_| Error::UnsupportedEncoding)?;
        for word in value.split(',').map(str::trim) {
            let encoding = match word.to_ascii_lowercase().as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Encoding::Gzip,
                "deflate" => Encoding::Deflate,
                "br" => Encoding::Brotli,
                "zstd" => Encoding::Zstd,
                _ => return Err(Error::UnsupportedEncoding),
            };
            if named != Encoding::Identity {
                return Err(Error::UnsupportedEncoding);
            }
            named = encoding;
        }
    }
    Ok(named)
}

/// Whether it begins as RFC 1950 has it; some senders call bare deflate (RFC 1951) the same.
fn is_zlib(body: &[u8]) -> bool {
    let first = |place: usize| body.get(place).copied().map_or(0, u32::from);
    first(0) & 0x0f == 8 && (first(0) * 256 + first(1)) % 31 == 0
}

/// Deflate that is cut off may end without a word: then the JSON in it is cut off too.
fn read(decoder: impl Read, max_bytes: usize) -> Result<Bytes, Error> {
    let mut expanded = Vec::new();
    let one_more = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(one_more).read_to_end(&mut expanded).map_err(|_| Error::MalformedEncoding)?;
    if expanded.len() > max_bytes { Err(Error::ExpandsTooFar(max_bytes)) } else { Ok(expanded.into()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const MAX: usize = 4 * 1024 * 1024;
    /// 5 MiB of spaces, and `[{}]`, as brotli.
    const BROTLI_BOMB: [u8; 14] = [0x9b, 0xff, 0xff, 0x4f, 0xf8, 0x25, 0x40, 0xe2, 0xb1, 0x40, 0x20, 0xf7, 0xfe, 0x09];
    const BROTLI: [u8; 8] = [0x8b, 0x01, 0x80, 0x5b, 0x7b, 0x7d, 0x5d, 0x03];

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn all(body: &[u8], brotli: &[u8]) -> [(Encoding, Vec<u8>); 5] {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(body).unwrap();
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        deflate.write_all(body).unwrap();
        [
            (Encoding::Gzip, gzip(body)),
            (Encoding::Deflate, zlib.finish().unwrap()),
            (Encoding::Deflate, deflate.finish().unwrap()),
            (Encoding::Brotli, brotli.to_vec()),
            (Encoding::Zstd, zstd::encode_all(body, 3).unwrap()),
        ]
    }

    #[test]
    fn every_encoding_is_expanded() {
        for (encoding, encoded) in all(b"[{}]", &BROTLI) {
            assert_eq!(decode(encoding, encoded.into(), MAX).unwrap().as_ref(), b"[{}]", "{encoding:?}");
        }
        let members = [gzip(b"[{}"), gzip(b"]")].concat();
        assert_eq!(decode(Encoding::Gzip, members.into(), MAX).unwrap().as_ref(), b"[{}]");
    }

    #[test]
    fn what_expands_too_far_is_given_up_on_the_way() {
        for (encoding, encoded) in all(&vec![b' '; 5 * 1024 * 1024], &BROTLI_BOMB) {
            assert!(encoded.len() < 16 * 1024, "{encoding:?}");
            let expanded = decode(encoding, encoded.clone().into(), MAX);
            assert!(matches!(expanded, Err(Error::ExpandsTooFar(MAX))), "{encoding:?} {expanded:?}");
            let whole = 5 * 1024 * 1024;
            assert_eq!(decode(encoding, encoded.into(), whole).unwrap().len(), whole, "{encoding:?}");
        }
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_refused() {
        for (encoding, encoded) in all(b"[{\"event_name\":\"a\"},{\"event_name\":\"b\"}]", &BROTLI) {
            let whole = decode(encoding, encoded.clone().into(), MAX).unwrap();
            let cut = encoded[..encoded.len() / 2].to_vec();
            let read = decode(encoding, cut.into(), MAX);
            let cut_off = read.as_ref().is_ok_and(|read| encoding == Encoding::Deflate && read.len() < whole.len());
            assert!(cut_off || matches!(read, Err(Error::MalformedEncoding)), "{encoding:?} {read:?}");
            let other = Bytes::from_static(b"\xff\xff[{\"a\":1}]");
            assert!(matches!(decode(encoding, other, MAX), Err(Error::MalformedEncoding)), "{encoding:?}");
        }
    }

    #[test]
    fn zstd_does_not_say_how_much_is_reserved_for_it() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.include_contentsize(false).unwrap();
        encoder.write_all(b"[{}]").unwrap();
        let encoded = encoder.finish().unwrap();
        assert!(matches!(decode(Encoding::Zstd, encoded.into(), MAX), Err(Error::MalformedEncoding)));
    }
}
