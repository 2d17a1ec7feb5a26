//! Reads the records of a CSV file one by one, each bounded, and says what is wrong with one without losing the next.
//!
//! A quote that is opened and never closed makes the rest of a file one cell. So a record that is too long, or that the
//! file's end leaves open, is given back as its first line alone, and reading goes on behind that line.

use std::io::{self, BufRead};

use csv_core::{ReadRecordResult, Reader};

/// One record of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// In which line it begins, from 1.
    pub(super) line: u64,
    /// As it stands in the file, without its line end.
    pub(super) raw: Vec<u8>,
    /// How many bytes that is, those that were not kept included.
    pub(super) length: u64,
    pub(super) cells: Result<Cells, Torn>,
}

/// What is between the commas.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cells {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Cells {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.text.get(start..*end).unwrap_or_default())
    }
}

/// Why a record has no cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Torn {
    #[error("a quote is opened and not closed")]
    Open,
    #[error("the record has more than {0} bytes; perhaps a quote is not closed")]
    Long(usize),
}

pub(super) struct Records<R> {
    input: R,
    /// Read from the input and given back, to be read again.
    again: Vec<u8>,
    parser: Box<Reader>,
    longest: usize,
    line: u64,
    bytes: u64,
}

enum Step {
    More,
    Whole,
    Open,
    End,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(input: R, longest: usize) -> Self {
        Self { input, again: Vec::new(), parser: Box::new(Reader::new()), longest, line: 1, bytes: 0 }
    }

    /// How much of the file was read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next record; none: there are no more.
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        self.parser.reset();
        let mut raw = Vec::new();
        let mut cells = Cells { text: vec![0; 1_024], ends: vec![0; 16] };
        let (mut text, mut ends) = (0, 0);
        loop {
            match self.step(&mut raw, &mut cells, &mut text, &mut ends)? {
                Step::More if raw.len() > self.longest => {
                    return self.torn(raw, Torn::Long(self.longest)).map(Some);
                }
                Step::More => {}
                Step::Open => return self.torn(raw, Torn::Open).map(Some),
                Step::End => return Ok(None),
                Step::Whole => {
                    cells.text.truncate(text);
                    cells.ends.truncate(ends);
                    return Ok(Some(self.whole(raw, cells)));
                }
            }
        }
    }

    /// Gives the parser what is buffered, once.
    fn step(
        &mut self,
        raw: &mut Vec<u8>,
        cells: &mut Cells,
        text: &mut usize,
        ends: &mut usize,
    ) -> io::Result<Step> {
        let again = !self.again.is_empty();
        let buffered = if again { self.again.as_slice() } else { self.input.fill_buf()? };
        // At the end of the file a line end closes what may be closed.
        let end = buffered.is_empty();
        let given = if end { b"\n".as_slice() } else { buffered };
        let given =
            given.get(..given.len().min(self.longest + 1 - raw.len().min(self.longest))).unwrap_or(given);
        let room = (cells.text.get_mut(*text..), cells.ends.get_mut(*ends..));
        let (Some(free_text), Some(free_ends)) = room else {
            return Err(io::Error::other("no room for a record"));
        };
        let (result, read, wrote, ended) = self.parser.read_record(given, free_text, free_ends);
        *text += wrote;
        *ends += ended;
        if end && raw.is_empty() {
            return Ok(Step::End);
        }
        if !end {
            raw.extend_from_slice(given.get(..read).unwrap_or_default());
            self.bytes += read as u64;
            if again {
                self.again.drain(..read);
            } else {
                self.input.consume(read);
            }
        }
        Ok(match result {
            ReadRecordResult::Record => Step::Whole,
            ReadRecordResult::End => Step::End,
            ReadRecordResult::InputEmpty if end => Step::Open,
            ReadRecordResult::InputEmpty => Step::More,
            ReadRecordResult::OutputFull => {
                cells.text.resize(cells.text.len() * 2, 0);
                Step::More
            }
            ReadRecordResult::OutputEndsFull => {
                cells.ends.resize(cells.ends.len() * 2, 0);
                Step::More
            }
        })
    }

    fn whole(&mut self, mut raw: Vec<u8>, cells: Cells) -> Record {
        // The parser passes over empty lines before a record, and over the rest of a line end.
        let blank = raw.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        let before = raw.drain(..blank).filter(|byte| *byte == b'\n').count() as u64;
        let line = self.line + before;
        self.line = line + lines(&raw);
        while matches!(raw.last(), Some(b'\n' | b'\r')) {
            raw.pop();
        }
        Record { line, length: raw.len() as u64, raw, cells: Ok(cells) }
    }

    /// Gives out the first line and reads what is behind it again.
    fn torn(&mut self, mut raw: Vec<u8>, why: Torn) -> io::Result<Record> {
        let blank = raw.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        let before = raw.drain(..blank).filter(|byte| *byte == b'\n').count() as u64;
        let line = self.line + before;
        self.line = line + 1;
        let mut length = raw.len() as u64;
        match raw.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                let mut rest = raw.split_off(end);
                rest.drain(..1);
                self.bytes -= rest.len() as u64;
                rest.append(&mut self.again);
                self.again = rest;
                length = raw.len() as u64;
            }
            None => length += self.pass_over_line()?,
        }
        if raw.last() == Some(&b'\r') {
            raw.pop();
        }
        Ok(Record { line, raw, length, cells: Err(why) })
    }

    fn pass_over_line(&mut self) -> io::Result<u64> {
        let mut passed = 0;
        loop {
            let again = !self.again.is_empty();
            let buffered = if again { self.again.as_slice() } else { self.input.fill_buf()? };
            let end = buffered.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(buffered.len(), |end| end + 1);
            if again {
                self.again.drain(..used);
            } else {
                self.input.consume(used);
            }
            self.bytes += used as u64;
            passed += end.unwrap_or(used) as u64;
            if end.is_some() || used == 0 {
                return Ok(passed);
            }
        }
    }
}

fn lines(raw: &[u8]) -> u64 {
    raw.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &[u8], longest: usize, buffer: usize) -> Vec<Record> {
        let mut records = Records::new(io::BufReader::with_capacity(buffer, text), longest);
        let mut all = Vec::new();
        while let Some(record) = records.next().unwrap() {
            all.push(record);
        }
        assert_eq!(records.bytes(), text.len() as u64);
        all
    }

    fn cells(record: &Record) -> Vec<String> {
        let cells = record.cells.as_ref().unwrap();
        cells.iter().map(|cell| String::from_utf8(cell.to_vec()).unwrap()).collect()
    }

    #[test]
    fn a_quote_that_is_not_closed_costs_its_own_line_only() {
        for buffer in [1, 7, 8_192] {
            let records = all(b"a,b\n1,\"x\n2,y\n3,z\n", 1_000, buffer);
            assert_eq!(records.len(), 4, "{records:?}");
            assert_eq!(records[1].cells, Err(Torn::Open));
            assert_eq!((records[1].line, records[1].raw.as_slice()), (2, b"1,\"x".as_slice()));
            assert_eq!((records[2].line, cells(&records[2])), (3, vec!["2".to_owned(), "y".to_owned()]));
            assert_eq!(records[3].line, 4);
        }
    }

    #[test]
    fn a_record_that_is_too_long_costs_its_own_line_only() {
        let text = format!("a,b\n1,\"{}\n2,y\n", "x".repeat(500));
        let records = all(text.as_bytes(), 100, 64);
        assert_eq!(records[1].cells, Err(Torn::Long(100)));
        assert_eq!(records[1].length, 503);
        assert!(records[1].raw.len() <= 101);
        assert_eq!((records[2].line, cells(&records[2])), (3, vec!["2".to_owned(), "y".to_owned()]));
    }

    #[test]
    fn a_cell_may_hold_lines_commas_and_quotes() {
        let records = all(b"\n\na,\"b\nc,\"\"d\"\"\"\r\n1,2", 100, 3);
        assert_eq!((records[0].line, cells(&records[0])), (3, vec!["a".to_owned(), "b\nc,\"d\"".to_owned()]));
        assert_eq!((records[1].line, cells(&records[1])), (5, vec!["1".to_owned(), "2".to_owned()]));
    }

    proptest! {
        #[test]
        fn records_are_those_of_the_csv_crate_where_they_are_whole(
            rows in prop::collection::vec(prop::collection::vec("[a-z\", \n]{0,8}", 2..4), 0..8),
            buffer in 1usize..20,
        ) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            rows.iter().for_each(|row| writer.write_record(row).unwrap());
            let text = writer.into_inner().unwrap();
            let ours: Vec<Vec<String>> = all(&text, 10_000, buffer).iter().map(cells).collect();
            prop_assert_eq!(ours, rows);
        }

        #[test]
        fn any_bytes_are_read_to_their_end_whatever_they_are(
            text in prop::collection::vec(prop::sample::select(b"a,\"\n\r\xff".to_vec()), 0..200),
            longest in 1usize..60,
            buffer in 1usize..20,
        ) {
            for record in all(&text, longest, buffer) {
                prop_assert!(record.raw.len() <= longest + 1);
            }
        }
    }
}
