//! One header of a package: an index of typed tags, and their data. Every offset and count in it is checked before it is used.

use std::{
    borrow::Cow,
    io::{self, Read},
};

use rpm::{HEADER_MAGIC, INDEX_ENTRY_SIZE, format_tag_id};

use crate::problem::{Part, Problem};

const INTRO: usize = 16;
const ENTRY: usize = INDEX_ENTRY_SIZE as usize;

/// What rpm itself takes at most; real headers have about 100 tags.
const MOST_TAGS: u32 = 0xffff;

/// More items, and more bytes of text, than any list that is read here has in a real package. Lists may share their data, so the size
/// of the header alone is no bound.
const MOST_ITEMS: usize = 1 << 17;
const MOST_TEXT: usize = 4 << 20;

/// Why a reading ended: a fault of the disk or of the package.
#[derive(Debug)]
pub(crate) enum Stop {
    Disk(io::Error),
    Package(Problem),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Package(problem)
    }
}

struct Entry {
    tag: u32,
    kind: u32,
    offset: usize,
    count: usize,
}

/// A header whose index lies within its data.
pub(crate) struct Header {
    part: Part,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    data: usize,
}

/// Appends up to `count` bytes and says whether there were as many. Memory grows with what is there, not with what is claimed.
pub(crate) fn read_up_to(input: &mut impl Read, count: u64, bytes: &mut Vec<u8>) -> io::Result<bool> {
    Ok(input.take(count).read_to_end(bytes)? as u64 == count)
}

fn be32(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |value, byte| value << 8 | u32::from(*byte))
}

impl Header {
    /// Reads the header that begins here, of at most `limit` bytes.
    pub fn read(input: &mut impl Read, part: Part, limit: u64) -> Result<Self, Stop> {
        let mut bytes = Vec::new();
        if !read_up_to(input, INTRO as u64, &mut bytes)? {
            return Err(Problem::Truncated { part }.into());
        }
        if bytes[..3] != HEADER_MAGIC || bytes[3..8] != [1, 0, 0, 0, 0] {
            return Err(Problem::corrupt(part, "it does not begin as a header does").into());
        }
        let (tags, size) = (be32(&bytes[8..]), be32(&bytes[12..]));
        if tags == 0 || tags > MOST_TAGS {
            return Err(Problem::corrupt(part, format!("it claims to have {tags} tags")).into());
        }
        let index = tags as usize * ENTRY;
        let rest = index as u64 + u64::from(size);
        if rest > limit {
            return Err(Problem::corrupt(
                part,
                format!("it claims to have {rest} bytes, more than the limit of {limit}"),
            )
            .into());
        }
        if !read_up_to(input, rest, &mut bytes)? {
            return Err(Problem::Truncated { part }.into());
        }
        let mut header = Self { part, data: INTRO + index, entries: Vec::new(), bytes };
        let entries = header.index().collect::<Result<_, _>>()?;
        header.entries = entries;
        Ok(header)
    }

    /// All bytes as they stand in the file: what the digests of the header cover.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn has(&self, tag: impl Into<u32>) -> bool {
        self.entry(tag.into()).is_some()
    }

    /// A text, or the first of a list of texts (of translations, the untranslated one).
    pub fn text(&self, tag: impl Into<u32>) -> Result<Option<String>, Problem> {
        let Some(entry) = self.entry(tag.into()) else { return Ok(None) };
        let text = self.raw_texts(entry).next().transpose()?;
        text.map(|text| self.spend(entry, text, &mut 0)).transpose()
    }

    /// A list of texts, empty where the tag is missing.
    pub fn texts(&self, tag: impl Into<u32>) -> Result<Vec<String>, Problem> {
        let Some(entry) = self.entry(tag.into()) else { return Ok(Vec::new()) };
        self.bounded(entry)?;
        let mut spent = 0;
        self.raw_texts(entry).map(|text| self.spend(entry, text?, &mut spent)).collect()
    }

    /// Whether the tag has texts that are not UTF-8.
    pub fn is_not_utf8(&self, tag: impl Into<u32>) -> bool {
        self.entry(tag.into())
            .is_some_and(|entry| self.raw_texts(entry).any(|text| text.is_ok_and(|text| str::from_utf8(text).is_err())))
    }

    /// A list of whole numbers of any width, empty where the tag is missing.
    pub fn numbers(&self, tag: impl Into<u32>) -> Result<Vec<u64>, Problem> {
        let Some(entry) = self.entry(tag.into()) else { return Ok(Vec::new()) };
        self.bounded(entry)?;
        let width = match entry.kind {
            2..=5 => fixed_width(entry.kind).unwrap_or(1),
            _ => return Err(self.corrupt(entry.tag, "is not a number")),
        };
        let bytes = &self.data()[entry.offset..][..width * entry.count];
        Ok(bytes
            .chunks_exact(width)
            .map(|item| item.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
            .collect())
    }

    pub fn number(&self, tag: impl Into<u32>) -> Result<Option<u64>, Problem> {
        Ok(self.numbers(tag)?.first().copied())
    }

    pub fn binary(&self, tag: impl Into<u32>) -> Result<Option<&[u8]>, Problem> {
        let Some(entry) = self.entry(tag.into()) else { return Ok(None) };
        match entry.kind {
            7 => Ok(Some(&self.data()[entry.offset..][..entry.count])),
            _ => Err(self.corrupt(entry.tag, "is not binary")),
        }
    }

    fn data(&self) -> &[u8] {
        &self.bytes[self.data..]
    }

    fn entry(&self, tag: u32) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }

    /// The entries of the index, each with its data within the data of the header. Texts are checked when they are read: an
    /// index can point 65,535 times to the same megabytes, and only a few tags are ever read.
    fn index(&self) -> impl Iterator<Item = Result<Entry, Problem>> {
        self.bytes[INTRO..self.data].chunks_exact(ENTRY).map(|raw| {
            let [tag, kind, offset, count] = [0, 4, 8, 12].map(|at| be32(&raw[at..]));
            let entry = Entry { tag, kind, offset: offset as usize, count: count as usize };
            let room = self.data().len().checked_sub(entry.offset);
            let width = fixed_width(kind).ok_or_else(|| self.corrupt(tag, format!("has the unknown type {kind}")))?;
            match room {
                _ if kind == 6 && count != 1 => Err(self.corrupt(tag, format!("is one text, {count} times"))),
                Some(room) if entry.count > 0 && entry.count <= room / width => Ok(entry),
                _ => Err(self.corrupt(tag, format!("points outside of the data ({count} items at {offset})"))),
            }
        })
    }

    fn raw_texts(&self, entry: &Entry) -> impl Iterator<Item = Result<&[u8], Problem>> {
        let (tag, is_text) = (entry.tag, matches!(entry.kind, 6 | 8 | 9));
        let mut rest = &self.data()[entry.offset..];
        (0..entry.count).map(move |_| {
            let end = rest.iter().position(|byte| *byte == 0).filter(|_| is_text);
            let end = end.ok_or_else(|| self.corrupt(tag, if is_text { "does not end" } else { "is not text" }))?;
            let (text, after) = rest.split_at(end);
            rest = &after[1..];
            Ok(text)
        })
    }

    fn spend(&self, entry: &Entry, text: &[u8], spent: &mut usize) -> Result<String, Problem> {
        *spent += text.len();
        match *spent {
            0..=MOST_TEXT => Ok(decode(text).into_owned()),
            _ => Err(self.corrupt(entry.tag, format!("has more than {MOST_TEXT} bytes of text"))),
        }
    }

    fn bounded(&self, entry: &Entry) -> Result<(), Problem> {
        match entry.count {
            0..=MOST_ITEMS => Ok(()),
            count => Err(self.corrupt(entry.tag, format!("has {count} items"))),
        }
    }

    pub fn corrupt(&self, tag: impl Into<u32>, what: impl AsRef<str>) -> Problem {
        Problem::corrupt(self.part, format!("its tag {} {}", format_tag_id(tag.into()), what.as_ref()))
    }
}

/// Bytes of one item; of texts, at least.
fn fixed_width(kind: u32) -> Option<usize> {
    match kind {
        // Null, char, int8, text, binary, list of texts, translated texts.
        0 | 1 | 2 | 6 | 7 | 8 | 9 => Some(1),
        3 => Some(2),
        4 => Some(4),
        5 => Some(8),
        _ => None,
    }
}

/// Text in an old header may be of any encoding. What is not UTF-8 is taken for Latin-1, which nearly all of it is.
fn decode(text: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(text) {
        Ok(text) => text.into(),
        Err(_) => text.iter().map(|byte| char::from(*byte)).collect::<String>().into(),
    }
}
