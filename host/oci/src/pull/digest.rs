//! Content that is what its digest says.

use std::io::{self, Read};

use oci_spec::image::{Digest, DigestAlgorithm};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::escape;
use switch_root_core::text::hexadecimal;

switch_root_core::outcomes! {
    /// Why content is not taken.
    pub enum Differs in "manifests" {
        /// Only content that can be checked is used.
        "SR-O55" NotADigest { text: String } = "`{text}` is not a digest; digests are written sha256:HEX",
        "SR-O56" Algorithm { digest: String } = "the digest {digest} is of an algorithm other than sha256, sha384 and sha512, so what it names cannot be checked",
        /// Fetch it again. If it stays so, somebody changes it on the way: do not use it.
        "SR-O57" Content { what: String, algorithm: String, got: String, expected: String } = "{what} is not what it should be: its digest is {algorithm}:{got}, {expected} was expected; it was damaged or replaced on the way",
        "SR-O58" Short { what: String, got: u64, size: u64 } = "{what} has only {got} bytes, {size} were expected",
        "SR-O59" Long { what: String, got: u64, size: u64 } = "{what} has more than {got} bytes, {size} were expected",
    }
}

/// A digest, as somebody wrote it.
///
/// # Errors
/// It is none, or of an algorithm that is not computed.
pub(super) fn parse(text: &str) -> Result<Digest> {
    let digest: Digest = text.parse().map_err(|_| {
        let text = escape::message(text, 200);
        Error::input(Differs::NotADigest { text })
    })?;
    Hasher::new(&digest)?;
    Ok(digest)
}

/// The digest that images are named by.
pub(super) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hexadecimal(&Sha256::digest(bytes)))
}

/// # Errors
/// [`Kind::Corrupt`] where `bytes` are not those of the digest. `what` says what
/// they should be: `the manifest of a/b`.
pub(super) fn verify(bytes: &[u8], digest: &Digest, what: &str) -> Result<()> {
    let mut hasher = Hasher::new(digest)?;
    hasher.update(bytes);
    hasher.finish(digest, what)
}

enum Hasher {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    fn new(digest: &Digest) -> Result<Self> {
        match digest.algorithm() {
            DigestAlgorithm::Sha256 => Ok(Self::Sha256(Sha256::new())),
            DigestAlgorithm::Sha384 => Ok(Self::Sha384(Sha384::new())),
            DigestAlgorithm::Sha512 => Ok(Self::Sha512(Sha512::new())),
            _ => {
                let digest = escape::message(digest.as_ref(), 200);
                Err(Error::input(Differs::Algorithm { digest }))
            }
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha384(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self, expected: &Digest, what: &str) -> Result<()> {
        let got = match self {
            Self::Sha256(hasher) => hexadecimal(&hasher.finalize()),
            Self::Sha384(hasher) => hexadecimal(&hasher.finalize()),
            Self::Sha512(hasher) => hexadecimal(&hasher.finalize()),
        };
        if got == expected.digest() {
            return Ok(());
        }
        let differs = Differs::Content {
            what: what.to_owned(),
            algorithm: expected.algorithm().to_string(),
            got,
            expected: expected.to_string(),
        };
        Err(Error::new(Kind::Corrupt, differs))
    }
}

/// A reader that ends well only if what was read is what was promised.
pub(super) struct Checked<R> {
    reader: R,
    hasher: Option<Hasher>,
    digest: Digest,
    size: Option<u64>,
    got: u64,
    what: String,
}

impl<R: Read> Checked<R> {
    /// Checks the digest and, where it is known, the size in bytes.
    ///
    /// # Errors
    /// The digest is of an algorithm that is not computed.
    pub(super) fn new(reader: R, digest: Digest, size: Option<u64>, what: String) -> Result<Self> {
        Ok(Self {
            reader,
            hasher: Some(Hasher::new(&digest)?),
            digest,
            size,
            got: 0,
            what,
        })
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(hasher) = &mut self.hasher else {
            return Ok(0);
        };
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.reader.read(buffer)?;
        hasher.update(&buffer[..read]);
        self.got += read as u64;
        let size = self.size.unwrap_or(self.got);
        if self.got > size || (read == 0 && self.got < size) {
            let (what, got) = (self.what.clone(), self.got.min(size));
            let differs = match read {
                0 => Differs::Short { what, got, size },
                _ => Differs::Long { what, got, size },
            };
            return Err(Error::new(Kind::Corrupt, differs).into());
        }
        if read == 0
            && let Some(hasher) = self.hasher.take()
        {
            hasher.finish(&self.digest, &self.what)?;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use switch_root_core::outcome::Message;

    use super::*;

    fn read(content: &[u8], digest: &str, size: Option<u64>) -> Result<Vec<u8>> {
        let digest = parse(digest)?;
        let mut reader = Checked::new(content, digest, size, "the layer".to_owned())?;
        let mut read = Vec::new();
        reader
            .read_to_end(&mut read)
            .map_err(|error| Error::system(Message::quoted("reading"), &error))?;
        Ok(read)
    }

    #[test]
    fn content_must_have_its_digest_and_its_size() {
        let digest = sha256(b"content");
        assert_eq!(read(b"content", &digest, Some(7)).unwrap(), b"content");
        assert_eq!(read(b"content", &digest, None).unwrap(), b"content");
        for (content, size, expected) in [
            (
                &b"CONTENT"[..],
                Some(7),
                "the layer is not what it should be",
            ),
            (b"cont", Some(7), "has only 4 bytes, 7 were expected"),
            (b"content and", Some(7), "has more than 7 bytes"),
        ] {
            let error = read(content, &digest, size).unwrap_err();
            assert_eq!(error.kind, Kind::Corrupt);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn longer_digests_are_computed_and_unknown_ones_are_refused() {
        let sha512 = format!("sha512:{}", hexadecimal(&Sha512::digest(b"x")));
        assert_eq!(read(b"x", &sha512, None).unwrap(), b"x");
        assert!(read(b"y", &sha512, None).is_err());
        for text in [
            "md5:00",
            "sha256:00",
            "nothing",
            "sha256:../../../etc/passwd",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
