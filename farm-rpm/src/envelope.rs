//! The file around what a package says of itself: lead, signature header, header and payload, read once from front to back.

use std::io::{self, Read, Take};

use rpm::{IndexSignatureTag as SignatureTag, IndexTag, LEAD_SIZE, RPM_MAGIC};

use crate::{
    Compression, Limits, LooksLike,
    digest::{Algorithm, Check},
    header::{Header, Stop, read_up_to},
    payload,
    problem::{Part, Problem},
};

/// A package whose header is the one that was packed.
pub(crate) struct Envelope {
    pub header: Header,
    /// Bytes of the payload, compressed as it is.
    pub payload_size: u64,
    /// How it is compressed, or what is wrong with it.
    pub compression: Result<Compression, Problem>,
}

/// Reads a whole package. `Stop::Package` where not even its header can be believed.
pub(crate) fn read(input: impl Read, limits: &Limits) -> Result<Envelope, Stop> {
    // One byte more than the limit tells a file of exactly the limit from a larger one.
    let mut input = input.take(limits.package.saturating_add(1));
    match read_parts(&mut input, limits) {
        Err(Stop::Package(Problem::Truncated { .. })) if input.limit() == 0 => {
            Err(Problem::TooLarge { limit: limits.package }.into())
        }
        read => read,
    }
}

/// Reads a package's headers; answers signature header, header, and whether the one vouches for the other.
fn read_headers(input: &mut impl Read, limits: &Limits) -> Result<(Header, Header, bool), Stop> {
    read_lead(input)?;
    let signature = Header::read(input, Part::Signature, limits.header)?;
    let padding = signature.bytes().len().wrapping_neg() % 8;
    if !read_up_to(input, padding as u64, &mut Vec::new())? {
        return Err(Problem::Truncated { part: Part::Signature }.into());
    }
    let header = Header::read(input, Part::Header, limits.header)?;
    let sealed = check_header(&signature, &header)?;
    Ok((signature, header, sealed))
}

/// Reads a package no further than to the end of its header.
pub(crate) fn read_header(mut input: impl Read, limits: &Limits) -> Result<Header, Stop> {
    read_headers(&mut input, limits).map(|(_, header, _)| header)
}

fn read_parts<R: Read>(input: &mut Take<R>, limits: &Limits) -> Result<Envelope, Stop> {
    let (signature, header, sealed) = read_headers(input, limits)?;
    let mut checks = payload_checks(&signature, &header)?;
    let covers_header = |check: &Check| check.algorithm == Algorithm::Md5;
    if !sealed && !checks.iter().any(covers_header) {
        return Err(Problem::NoDigest("header").into());
    }
    if checks.is_empty() {
        return Err(Problem::NoDigest("payload").into());
    }
    let (payload_size, head) = stream(input, &mut checks)?;
    let failed = checks.into_iter().find_map(|check| check.failed());
    let compression = match failed {
        _ if input.limit() == 0 => Err(Problem::TooLarge { limit: limits.package }),
        Some(algorithm) => {
            let problem = explain(algorithm, stated_size(&signature, &header)?, payload_size);
            // A header without a digest of its own may be what is damaged.
            if sealed { Err(problem) } else { return Err(problem.into()) }
        }
        None => payload::compression(&header, &head),
    };
    Ok(Envelope { header, payload_size, compression })
}

/// The lead says nothing that the header does not say better, but it is what tells a package from any other file. Nothing may trust
/// a file before this: to the rpm program a text file is a list of paths to open.
fn read_lead(input: &mut impl Read) -> Result<(), Stop> {
    let mut lead = Vec::new();
    let whole = read_up_to(input, u64::from(LEAD_SIZE), &mut lead)?;
    let corrupt = |detail: String| Err(Problem::corrupt(Part::Lead, detail).into());
    match lead.as_slice() {
        [] => Err(Problem::Empty.into()),
        _ if !lead.starts_with(&RPM_MAGIC) => Err(Problem::NotRpm { looks_like: LooksLike::guess(&lead) }.into()),
        _ if !whole => Err(Problem::Truncated { part: Part::Lead }.into()),
        [_, _, _, _, major, ..] if !(3..=4).contains(major) => corrupt(format!("its version {major} is not 3 or 4")),
        _ if lead[78..80] != [0, 5] => corrupt("its kind of signature is not 5".to_owned()),
        _ => Ok(()),
    }
}

/// Checks the digests of the header, and says whether there is one.
fn check_header(signature: &Header, header: &Header) -> Result<bool, Problem> {
    let mut sealed = false;
    for (algorithm, tag) in [
        (Algorithm::Sha256, SignatureTag::RPMSIGTAG_SHA256),
        (Algorithm::Sha3_256, SignatureTag::RPMSIGTAG_SHA3_256),
        (Algorithm::Sha1, SignatureTag::RPMSIGTAG_SHA1),
    ] {
        if let Some(stated) = signature.text(tag)? {
            let mut check = Check::from_hex(algorithm, &stated);
            check.update(header.bytes());
            match check.failed() {
                Some(algorithm) => return Err(Problem::HeaderDigestMismatch { algorithm }),
                None => sealed = true,
            }
        }
    }
    Ok(sealed)
}

/// The digests that cover the payload.
fn payload_checks(signature: &Header, header: &Header) -> Result<Vec<Check>, Problem> {
    const SHA256: u64 = 8;
    let mut checks = Vec::new();
    for (algorithm, tag) in [
        (Algorithm::Sha256, IndexTag::RPMTAG_PAYLOADSHA256),
        (Algorithm::Sha512, IndexTag::RPMTAG_PAYLOAD_SHA512),
        (Algorithm::Sha3_256, IndexTag::RPMTAG_PAYLOAD_SHA3_256),
    ] {
        if let Some(stated) = header.text(tag)? {
            checks.push(Check::from_hex(algorithm, &stated));
        }
    }
    if let Some(algorithm) = header.number(IndexTag::RPMTAG_PAYLOADSHA256ALGO)?.filter(|algorithm| *algorithm != SHA256)
    {
        return Err(
            header.corrupt(IndexTag::RPMTAG_PAYLOADSHA256ALGO, format!("names the unknown algorithm {algorithm}"))
        );
    }
    if let Some(stated) = signature.binary(SignatureTag::RPMSIGTAG_MD5)? {
        let mut check = Check::new(Algorithm::Md5, stated.to_vec());
        check.update(header.bytes());
        checks.push(check);
    }
    Ok(checks)
}

/// Passes the rest of the file through the digests; answers its length and its first bytes.
fn stream(input: &mut impl Read, checks: &mut [Check]) -> io::Result<(u64, Vec<u8>)> {
    let mut head = Vec::new();
    read_up_to(input, payload::HEAD as u64, &mut head)?;
    checks.iter_mut().for_each(|check| check.update(&head));
    let mut size = head.len() as u64;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => return Ok((size, head)),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        checks.iter_mut().for_each(|check| check.update(&buffer[..count]));
        size += count as u64;
    }
}

/// How large the payload should be, where the package says so.
fn stated_size(signature: &Header, header: &Header) -> Result<Option<u64>, Problem> {
    if let Some(size) = header.number(IndexTag::RPMTAG_PAYLOADSIZE)? {
        return Ok(Some(size));
    }
    let both = match signature.number(SignatureTag::RPMSIGTAG_LONGSIZE)? {
        Some(size) => Some(size),
        None => signature.number(SignatureTag::RPMSIGTAG_SIZE)?,
    };
    Ok(both.and_then(|both| both.checked_sub(header.bytes().len() as u64)))
}

/// Why a digest does not match, as far as the sizes tell.
fn explain(algorithm: Algorithm, stated: Option<u64>, found: u64) -> Problem {
    match stated {
        Some(stated) if stated > found => Problem::PayloadTruncated { missing: stated - found },
        Some(stated) if stated < found => Problem::TrailingBytes { extra: found - stated },
        _ => Problem::PayloadDigestMismatch { algorithm },
    }
}
