//! Writes packages byte by byte, so that a test can have any fault it wants in them.

use std::io::Cursor;

use farm_rpm::{Limits, SourceReport, read_source_from};
use rpm::{IndexSignatureTag as SignatureTag, IndexTag};
use sha2::Digest;

pub const LEAD: usize = 96;

/// The value of a tag.
#[derive(Clone)]
pub enum Value {
    Text(Vec<u8>),
    Texts(Vec<Vec<u8>>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    Bytes(Vec<u8>),
}

impl Value {
    fn kind_and_count(&self) -> (u32, usize) {
        match self {
            Self::Text(_) => (6, 1),
            Self::Texts(list) => (8, list.len()),
            Self::U16(list) => (3, list.len()),
            Self::U32(list) => (4, list.len()),
            Self::Bytes(bytes) => (7, bytes.len()),
        }
    }

    fn append(&self, data: &mut Vec<u8>) -> usize {
        let width = match self {
            Self::U16(_) => 2,
            Self::U32(_) => 4,
            _ => 1,
        };
        data.resize(data.len().next_multiple_of(width), 0);
        let offset = data.len();
        match self {
            Self::Text(text) => data.extend([text.as_slice(), b"\0"].concat()),
            Self::Texts(list) => list.iter().for_each(|text| data.extend([text.as_slice(), b"\0"].concat())),
            Self::U16(list) => list.iter().for_each(|item| data.extend(item.to_be_bytes())),
            Self::U32(list) => list.iter().for_each(|item| data.extend(item.to_be_bytes())),
            Self::Bytes(bytes) => data.extend(bytes),
        }
        offset
    }
}

pub fn text(text: impl AsRef<[u8]>) -> Value {
    Value::Text(text.as_ref().to_vec())
}

pub fn texts<T: AsRef<[u8]>>(list: impl IntoIterator<Item = T>) -> Value {
    Value::Texts(list.into_iter().map(|text| text.as_ref().to_vec()).collect())
}

/// The bytes of a header of these tags.
pub fn header(tags: &[(u32, Value)]) -> Vec<u8> {
    let (mut index, mut data) = (Vec::new(), Vec::new());
    for (tag, value) in tags {
        let (kind, count) = value.kind_and_count();
        let offset = value.append(&mut data);
        [*tag, kind, offset as u32, count as u32].iter().for_each(|word| index.extend(word.to_be_bytes()));
    }
    let mut bytes = vec![0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
    bytes.extend((tags.len() as u32).to_be_bytes());
    bytes.extend((data.len() as u32).to_be_bytes());
    [bytes, index, data].concat()
}

/// The bytes of a header whose lists of texts all lie over the same data.
pub fn header_over(lists: &[IndexTag], count: u32, data: &[u8]) -> Vec<u8> {
    let words = lists.iter().flat_map(|tag| [*tag as u32, 8, 0, count]);
    let index: Vec<u8> = words.flat_map(u32::to_be_bytes).collect();
    let sizes = [lists.len() as u32, data.len() as u32].map(u32::to_be_bytes).concat();
    [&[0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0], sizes.as_slice(), &index, data].concat()
}

/// Which digests a package has.
#[derive(Clone, Copy, PartialEq)]
pub enum Digests {
    /// SHA-256 of header and payload, SHA-1 and MD5.
    Modern,
    /// SHA-1 of the header, MD5 of both.
    Old,
    /// MD5 of both.
    Ancient,
    /// Of the header only.
    HeaderOnly,
    /// Of the payload only.
    PayloadOnly,
    /// None.
    None,
}

/// A package to be written.
#[derive(Clone)]
pub struct Package {
    tags: Vec<(u32, Value)>,
    pub payload: Vec<u8>,
    pub digests: Digests,
}

/// A source package that nothing is wrong with.
pub fn source() -> Package {
    let mut payload = b"\x1f\x8b\x08\0".to_vec();
    payload.extend((0..2000_u32).map(|at| (at * 7 % 251) as u8));
    Package { tags: Vec::new(), payload, digests: Digests::Modern }
        .with(IndexTag::RPMTAG_NAME, text("hello"))
        .with(IndexTag::RPMTAG_VERSION, text("2.10"))
        .with(IndexTag::RPMTAG_RELEASE, text("1%{?dist}"))
        .with(IndexTag::RPMTAG_EPOCH, Value::U32(vec![1]))
        .with(IndexTag::RPMTAG_SUMMARY, text("Says hello"))
        .with(IndexTag::RPMTAG_ARCH, text("x86_64"))
        .with(IndexTag::RPMTAG_PAYLOADFORMAT, text("cpio"))
        .with(IndexTag::RPMTAG_PAYLOADCOMPRESSOR, text("gzip"))
        .with(IndexTag::RPMTAG_DIRNAMES, texts([""]))
        .with(IndexTag::RPMTAG_REQUIRENAME, texts(["gcc", "(a or b)", "rpmlib(FileDigests)"]))
        .with(IndexTag::RPMTAG_REQUIREFLAGS, Value::U32(vec![12, 0, 0x0100_000a]))
        .with(IndexTag::RPMTAG_REQUIREVERSION, texts(["4:8-1", "", "4.6.0-1"]))
        .files(["hello-2.10.tar.gz", "hello.spec"])
}

impl Package {
    /// Sets a tag.
    pub fn with(mut self, tag: IndexTag, value: Value) -> Self {
        self = self.without(tag);
        self.tags.push((tag as u32, value));
        self
    }

    /// Leaves a tag out.
    pub fn without(mut self, tag: IndexTag) -> Self {
        self.tags.retain(|(other, _)| *other != tag as u32);
        self
    }

    /// Sets the files, of 1000 bytes each.
    pub fn files<const N: usize>(self, names: [&str; N]) -> Self {
        self.with(IndexTag::RPMTAG_BASENAMES, texts(names))
            .with(IndexTag::RPMTAG_FILESIZES, Value::U32(vec![1000; N]))
            .with(IndexTag::RPMTAG_FILEMODES, Value::U16(vec![0o100_644; N]))
            .with(IndexTag::RPMTAG_FILEFLAGS, Value::U32(vec![0; N]))
    }

    pub fn digests(mut self, digests: Digests) -> Self {
        self.digests = digests;
        self
    }

    pub fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    /// Signature header and header, as they stand in the file.
    pub fn headers(&self) -> (Vec<u8>, Vec<u8>) {
        let mut tags = self.tags.clone();
        if matches!(self.digests, Digests::Modern | Digests::PayloadOnly) {
            tags.push((
                IndexTag::RPMTAG_PAYLOADSHA256 as u32,
                texts([hex::encode(sha2::Sha256::digest(&self.payload))]),
            ));
            tags.push((IndexTag::RPMTAG_PAYLOADSHA256ALGO as u32, Value::U32(vec![8])));
        }
        tags.sort_by_key(|(tag, _)| *tag);
        let main = header(&tags);
        (signature(&main, &self.payload, self.digests), main)
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        sealed(&self.headers().1, &self.payload, self.digests)
    }

    pub fn read(&self) -> SourceReport {
        read(&self.bytes())
    }

    /// Codes of what is wrong with the package.
    pub fn codes(&self) -> Vec<&'static str> {
        codes(&self.read())
    }
}

fn signature(main: &[u8], payload: &[u8], digests: Digests) -> Vec<u8> {
    use Digests::{Ancient, HeaderOnly, Modern, Old};
    let size = (main.len() + payload.len()) as u32;
    let mut tags = vec![(SignatureTag::RPMSIGTAG_SIZE as u32, Value::U32(vec![size]))];
    if matches!(digests, Modern | HeaderOnly) {
        tags.push((SignatureTag::RPMSIGTAG_SHA256 as u32, text(hex::encode(sha2::Sha256::digest(main)))));
    }
    if matches!(digests, Modern | Old) {
        tags.push((SignatureTag::RPMSIGTAG_SHA1 as u32, text(hex::encode(sha1::Sha1::digest(main)))));
    }
    if matches!(digests, Modern | Old | Ancient) {
        let md5 = md5::Md5::digest([main, payload].concat());
        tags.push((SignatureTag::RPMSIGTAG_MD5 as u32, Value::Bytes(md5.to_vec())));
    }
    let mut signature = header(&tags);
    signature.resize(signature.len().next_multiple_of(8), 0);
    signature
}

/// The file around any header and payload, with digests that match.
pub fn sealed(main: &[u8], payload: &[u8], digests: Digests) -> Vec<u8> {
    let mut lead = vec![0; LEAD];
    lead[..8].copy_from_slice(&[0xed, 0xab, 0xee, 0xdb, 3, 0, 0, 1]);
    lead[79] = 5;
    [&lead, signature(main, payload, digests).as_slice(), main, payload].concat()
}

pub fn read(bytes: &[u8]) -> SourceReport {
    read_source_from(Cursor::new(bytes), &Limits::default()).unwrap()
}

pub fn codes(report: &SourceReport) -> Vec<&'static str> {
    report.problems.iter().map(|problem| problem.code()).collect()
}
