//! Bodies that are compressed, made whole within the bound of any body.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::{IngestError, MAX_BODY};

/// The bytes of a gzip body. What would be larger than a body may be is not made at all.
///
/// # Errors
/// It is no gzip, or too large.
pub fn gunzip(body: &[u8]) -> Result<Vec<u8>, IngestError> {
    let mut whole = Vec::new();
    let read = MultiGzDecoder::new(body).take(MAX_BODY as u64 + 1).read_to_end(&mut whole);
    read.map_err(|_| IngestError::Malformed("it is no gzip".to_owned()))?;
    if whole.len() > MAX_BODY { Err(IngestError::TooLarge) } else { Ok(whole) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut to = GzEncoder::new(Vec::new(), Compression::best());
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }

    #[test]
    fn a_bomb_does_not_go_off() {
        assert_eq!(gunzip(&gzip(b"whole")), Ok(b"whole".to_vec()));
        let bomb = gzip(&vec![0; 50 << 20]);
        assert!(bomb.len() < 100_000);
        assert_eq!(gunzip(&bomb), Err(IngestError::TooLarge));
        assert!(matches!(gunzip(b"no gzip at all"), Err(IngestError::Malformed(_))));
    }
}
