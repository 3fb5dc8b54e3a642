//! Whether a library looks for files relative to its own path.

use std::io::{self, Read};
use std::path::Path;

use memchr::memmem;

use crate::inspect::LibraryInfo;
use crate::open_regular::open_regular;

/// How far from its own directory a library looks for files.
///
/// Links for a copy cost time, and few libraries need any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// It does not ask where it is.
    Nowhere,
    /// In its directory and below.
    Beside,
    /// Perhaps above its directory.
    Above,
}

/// The name of the token that stands for the directory of a library (ld.so(8), dyld(1)).
const ORIGIN: &[u8] = if cfg!(target_vendor = "apple") {
    b"loader_path"
} else {
    b"ORIGIN"
};
/// The functions with which a library finds its own path (dladdr(3), dlinfo(3)).
const QUESTIONS: [&[u8]; 2] = [b"dladdr", b"dlinfo"];
const CHUNK: usize = 256 << 10;

impl Reach {
    /// Returns the reach of the library at a path, by its headers `info` and by what else it contains.
    ///
    /// A library cannot look relative to its own path without the token or one of the functions, unless it hides their
    /// names.
    ///
    /// # Errors
    ///
    /// Returns the error of reading the file.
    pub(crate) fn of(path: &Path, info: &LibraryInfo) -> io::Result<Reach> {
        // What the loader itself looks for is in the headers.
        let headers = info.run_paths.iter().chain(&info.needed);
        let (mut in_headers, mut reach) = (0, Reach::Nowhere);
        for text in headers {
            let count = memmem::find_iter(text.as_bytes(), ORIGIN).count();
            in_headers += count;
            if count > 0 {
                let is_above = text.split('/').any(|part| part == "..");
                reach = reach.max(if is_above { Reach::Above } else { Reach::Beside });
            }
        }
        let (mut file, _) = open_regular(path)?;
        let origin = memmem::Finder::new(ORIGIN);
        let questions = QUESTIONS.map(memmem::Finder::new);
        let overlap = ORIGIN.len() - 1;
        let mut buffer = Vec::with_capacity(CHUNK + overlap);
        let mut in_file = 0;
        loop {
            let kept = buffer.len();
            let read = (&mut file).take(CHUNK as u64).read_to_end(&mut buffer)?;
            in_file += origin.find_iter(&buffer).count();
            let asks = questions.iter().any(|question| question.find(&buffer).is_some());
            if asks || in_file > in_headers {
                return Ok(Reach::Above);
            }
            if read == 0 {
                return Ok(reach);
            }
            buffer.drain(..(kept + read).saturating_sub(overlap));
        }
    }
}

#[cfg(all(test, not(target_vendor = "apple")))]
mod tests {
    use super::*;
    use crate::inspect::Format;

    fn reach(run_path: &str, content: &[u8]) -> Reach {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut bytes = run_path.as_bytes().to_vec();
        bytes.push(0);
        bytes.extend(content);
        std::fs::write(&path, bytes).unwrap();
        let info = LibraryInfo {
            format: Format::NATIVE,
            architecture: std::env::consts::ARCH,
            name: None,
            needed: Vec::new(),
            run_paths: run_path.split(':').map(str::to_owned).collect(),
            descriptor: None,
        };
        Reach::of(&path, &info).unwrap()
    }

    #[test]
    fn what_a_library_contains_says_how_far_it_looks() {
        assert_eq!(reach("/usr/lib", b"nothing"), Reach::Nowhere);
        assert_eq!(reach("$ORIGIN:${ORIGIN}/deps", b"nothing"), Reach::Beside);
        assert_eq!(reach("$ORIGIN/../lib", b""), Reach::Above);
        assert_eq!(reach("$ORIGIN/../lib", b"$ORIGIN"), Reach::Above);
        assert_eq!(reach("$ORIGIN", b"$ORIGIN/x"), Reach::Above);
        assert_eq!(reach("", b"dladdr"), Reach::Above);
        assert_eq!(reach("", b"dlinfo"), Reach::Above);
    }

    #[test]
    fn a_name_that_crosses_a_chunk_counts_once() {
        for before in CHUNK - 8..CHUNK + 2 {
            let mut content = vec![b'x'; before];
            content.extend(ORIGIN);
            content.resize(3 * CHUNK, b'x');
            assert_eq!(reach("/usr/lib", &content), Reach::Above, "{before}");
            // The run path is the only one.
            let mut headers = vec![b'x'; before];
            headers.extend(b"$ORIGIN");
            let text = String::from_utf8(headers).unwrap();
            assert_eq!(reach(&text, &[b'x'; 2 * CHUNK]), Reach::Beside, "{before}");
        }
    }
}
