//! Cuts a file into lines with one reused buffer.
//!
//! Reads at explicit offsets, so that it needs no position of the file's own, and knows nothing of
//! splits, records or what the end of a file means.

use std::fs::File;
use std::io::{self, BufRead};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// The buffer's first size; it grows only for longer lines.
const BUFFER_BYTES: usize = 512 * 1024;

/// The lines of one file, from one offset on.
#[derive(Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// What was read and not yet taken: `buffer[begin..end]`.
    begin: usize,
    end: usize,
    /// How many bytes from `begin` are known to hold no newline.
    searched: usize,
    /// The file offset of `buffer[begin]`.
    offset: u64,
}

/// Where a line lies: its first byte in the file and its bytes in the buffer, without the newline.
pub(super) struct Line {
    pub(super) offset: u64,
    range: Range<usize>,
}

/// What [`Lines::fill`] found.
pub(super) enum Filled {
    Read,
    /// Nothing more up to the limit, or in the file.
    Nothing,
    /// The line at the current offset is longer than allowed.
    TooLong,
}

impl Lines {
    /// Forgets what was read and goes on at `offset`.
    pub(super) fn reset(&mut self, offset: u64) {
        (self.begin, self.end, self.searched, self.offset) = (0, 0, 0, offset);
    }

    /// The file offset of the next line's first byte.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The file offset up to which was read.
    pub(super) fn read_to(&self) -> u64 {
        self.offset + (self.end - self.begin) as u64
    }

    /// The bytes of a line, while the buffer is not filled again.
    pub(super) fn bytes(&self, line: &Line) -> &[u8] {
        &self.buffer[line.range.clone()]
    }

    /// Takes the next line that is complete, without its `\n` or `\r\n`.
    #[inline]
    pub(super) fn take_line(&mut self) -> Option<Line> {
        let newline = self.find_newline()?;
        let bytes = &self.buffer[self.begin..self.begin + newline];
        let length = if bytes.last() == Some(&b'\r') { newline - 1 } else { newline };
        let line = Line { offset: self.offset, range: self.begin..self.begin + length };
        self.advance(newline + 1);
        Some(line)
    }

    /// Takes what is left as a line that no newline ends.
    pub(super) fn take_rest(&mut self) -> Option<Line> {
        let length = self.end - self.begin;
        if length == 0 {
            return None;
        }
        let line = Line { offset: self.offset, range: self.begin..self.end };
        self.advance(length);
        Some(line)
    }

    /// Drops everything through the next newline; `false` if none was read yet: then drops all.
    pub(super) fn skip_line(&mut self) -> bool {
        let newline = self.find_newline();
        self.advance(newline.map_or(self.end - self.begin, |at| at + 1));
        newline.is_some()
    }

    /// Reads on, up to the file offset `limit`.
    pub(super) fn fill(&mut self, file: &File, limit: u64, line_bytes_max: usize) -> io::Result<Filled> {
        if self.begin > 0 {
            self.buffer.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        // One more for a carriage return.
        if self.end > line_bytes_max.saturating_add(1) {
            return Ok(Filled::TooLong);
        }
        if self.end == self.buffer.len() {
            self.buffer.resize((self.buffer.len() * 2).max(BUFFER_BYTES), 0);
        }
        let at = self.read_to();
        let room = usize::try_from(limit.saturating_sub(at)).unwrap_or(usize::MAX).min(self.buffer.len() - self.end);
        if room == 0 {
            return Ok(Filled::Nothing);
        }
        loop {
            match file.read_at(&mut self.buffer[self.end..self.end + room], at) {
                Ok(0) => return Ok(Filled::Nothing),
                Ok(read) => {
                    self.end += read;
                    return Ok(Filled::Read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next newline's distance from `begin`.
    #[inline]
    fn find_newline(&mut self) -> Option<usize> {
        let unsearched = &self.buffer[self.begin + self.searched..self.end];
        // `skip_until` on a slice is the standard library's memchr.
        let skipped = { unsearched }.skip_until(b'\n').unwrap_or(0);
        if skipped > 0 && unsearched[skipped - 1] == b'\n' {
            return Some(self.searched + skipped - 1);
        }
        self.searched += skipped;
        None
    }

    #[inline]
    fn advance(&mut self, bytes: usize) {
        self.begin += bytes;
        self.offset += bytes as u64;
        self.searched = 0;
    }
}
