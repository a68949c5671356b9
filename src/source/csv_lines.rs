//! The rows of a CSV file, one at a time, checked before they are parsed.

use std::io::{self, BufRead as _, BufReader, Read};

/// The largest number of bytes of a row.
const LONGEST_ROW: usize = 16 << 20;

/// Reads one row at a time, so that the line of each is known, and checks its quotation marks and
/// its length: the parser takes anything.
pub(super) struct Lines<R> {
    input: BufReader<R>,
    delimiter: u8,
    /// The row, without a byte order mark, and how many of its bytes were given.
    row: Vec<u8>,
    given: usize,
    /// The line at which the row begins, and the one after it.
    pub(super) line: u64,
    next_line: u64,
    pub(super) fault: Option<&'static str>,
}

/// A place in a row.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    CellStart,
    Plain,
    Quoted,
    /// After a quotation mark in a quoted cell.
    Closing,
    /// After a carriage return.
    Return,
}

impl Place {
    /// Returns the place after a byte.
    fn after(self, byte: u8, delimiter: u8) -> Result<Self, &'static str> {
        match (self, byte) {
            (Self::Quoted, b'"') => Ok(Self::Closing),
            (Self::Quoted, _) | (Self::CellStart | Self::Closing, b'"') => Ok(Self::Quoted),
            (_, b'\n') => Ok(Self::CellStart),
            (Self::Return, _) => Err(LONE_RETURN),
            (_, b'\r') => Ok(Self::Return),
            (_, byte) if byte == delimiter => Ok(Self::CellStart),
            (Self::Closing, _) => Err("there is text after the closing quotation mark of a cell: \
                                       double the quotation marks inside the cell"),
            (_, b'"') => Err(
                "a cell has a quotation mark after its first character: enclose the \
                              cell in quotation marks, and double those inside",
            ),
            _ => Ok(Self::Plain),
        }
    }
}

const LONE_RETURN: &str = "a carriage return is alone, expected lines that end with LF or CR LF";

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R, delimiter: u8) -> Self {
        Self {
            input: BufReader::new(input),
            delimiter,
            row: Vec::new(),
            given: 0,
            line: 1,
            next_line: 1,
            fault: None,
        }
    }

    /// Reads the next row, which is empty at the end of the file. Returns its fault, if any.
    fn next_row(&mut self) -> io::Result<Result<(), &'static str>> {
        self.row.clear();
        self.given = 0;
        let (mut place, mut start) = (Place::CellStart, 0);
        loop {
            let most = (LONGEST_ROW + 1 - start) as u64;
            let read = self
                .input
                .by_ref()
                .take(most)
                .read_until(b'\n', &mut self.row)?;
            if start == 0 && read > 0 {
                self.line = self.next_line;
                if self.line == 1 && self.row.starts_with(b"\xef\xbb\xbf") {
                    self.row.drain(..3);
                }
            }
            if self.row.len() > LONGEST_ROW {
                return Ok(Err("a row has more than 16 MiB, expected less"));
            }
            for &byte in &self.row[start..] {
                match place.after(byte, self.delimiter) {
                    Ok(next) => place = next,
                    Err(what) => return Ok(Err(what)),
                }
            }
            start = self.row.len();
            self.next_line += u64::from(read > 0);
            match place {
                Place::Quoted if read > 0 => {}
                Place::Quoted => {
                    return Ok(Err(
                        "a quotation mark is not closed before the end of the file",
                    ));
                }
                Place::Return => return Ok(Err(LONE_RETURN)),
                _ => return Ok(Ok(())),
            }
        }
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.given == self.row.len() {
            self.fault = self.next_row()?.err();
            if self.fault.is_some() {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        let read = (&self.row[self.given..]).read(to)?;
        self.given += read;
        Ok(read)
    }
}
