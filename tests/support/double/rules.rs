//! What one double is: which dialect it speaks, whom it believes, and in what it differs from the textbook.
//!
//! The fields are plain: a test takes a ready-made set and changes what it is about.

/// Which service is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Alibaba Cloud OSS, its own REST interface.
    Oss,
    /// Amazon S3, and what calls itself compatible.
    S3,
}

impl Dialect {
    /// The beginning of the names of its own headers.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Oss => "x-oss-",
            Self::S3 => "x-amz-",
        }
    }

    /// The host under which buckets have names of their own.
    pub(crate) fn host(self) -> &'static str {
        match self {
            Self::Oss => "oss.localhost",
            Self::S3 => "s3.localhost",
        }
    }
}

/// What a server does with a feature it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stance {
    Honoured,
    /// As if it had not been asked for.
    Ignored,
    Refused,
}

/// What the `ETag` of an object uploaded in parts is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartsEtag {
    /// `md5-of-md5s-N`, as Amazon has it.
    OfMd5s,
    /// Nothing that could be computed from the content.
    Opaque,
}

/// What happens to a request that was signed for another region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WrongRegion {
    /// `301 PermanentRedirect` with `x-amz-bucket-region`.
    Redirected,
    /// `400 AuthorizationHeaderMalformed`.
    Malformed,
}

/// What is kept of an uploaded content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    Bytes,
    /// Length, CRC-64 and MD5. What is read back is zeros: compare the sums.
    Sums,
    /// Length and CRC-64 only, since MD5 runs at 0.4 GiB/s; its place in an `ETag` is taken by the CRC.
    LengthAndCrc,
}

/// The rules of one double.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) dialect: Dialect,
    pub(crate) region: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    /// The session token that has to come, and has to be signed.
    pub(crate) token: Option<String>,
    /// How many seconds the server's clock is ahead of this machine's.
    pub(crate) clock: i64,
    /// How many seconds a signature may be off.
    pub(crate) skew: i64,
    /// OSS: the old signature. New buckets refuse it.
    pub(crate) v1_signature: Stance,
    pub(crate) wrong_region: WrongRegion,
    /// How many keys a page has when nothing is said, and at most.
    pub(crate) page: (usize, usize),
    pub(crate) list_v2: Stance,
    /// `encoding-type=url`.
    pub(crate) encoding_type: Stance,
    pub(crate) put_status: u16,
    /// Bodies of objects without `Content-Length`, which OSS takes when they are chunked. Our product always says the length.
    pub(crate) unknown_length: Stance,
    /// S3: bodies with a checksum behind them (`STREAMING-UNSIGNED-PAYLOAD-TRAILER`).
    pub(crate) trailers: Stance,
    /// S3: `x-amz-checksum-*`.
    pub(crate) checksums: Stance,
    /// S3: `If-None-Match: *` on writes.
    pub(crate) conditional_writes: Stance,
    pub(crate) parts_etag: PartsEtag,
    pub(crate) part_minimum: u64,
    /// The largest body of one request.
    pub(crate) body_maximum: u64,
    /// The largest object that can be copied by one request.
    pub(crate) copy_maximum: u64,
    /// OSS: whether copies get a CRC-64.
    pub(crate) copies_have_crc: bool,
    /// Whether the removal of many objects has to say its MD5.
    pub(crate) delete_needs_md5: bool,
    /// S3: whether every request has to carry `x-amz-request-payer: requester`.
    pub(crate) requester_pays: bool,
    pub(crate) keep: Keep,
}

/// The access key of every ready-made set.
pub(crate) const ACCESS_KEY: &str = "canary-access-key";
/// And its secret.
pub(crate) const SECRET_KEY: &str = "canary-secret-key-1f2e3d";

const GIB: u64 = 1 << 30;

impl Rules {
    /// OSS as it is for a bucket made today, but for V1, which is taken.
    pub(crate) fn oss() -> Self {
        Self {
            dialect: Dialect::Oss,
            region: "cn-hangzhou".to_owned(),
            page: (100, 1000),
            parts_etag: PartsEtag::Opaque,
            part_minimum: 100 << 10,
            copy_maximum: GIB,
            delete_needs_md5: true,
            ..Self::s3()
        }
    }

    /// S3 as Amazon has it.
    pub(crate) fn s3() -> Self {
        Self {
            dialect: Dialect::S3,
            region: "us-east-1".to_owned(),
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
            token: None,
            clock: 0,
            skew: 900,
            v1_signature: Stance::Honoured,
            wrong_region: WrongRegion::Redirected,
            page: (1000, 1000),
            list_v2: Stance::Honoured,
            encoding_type: Stance::Honoured,
            put_status: 200,
            unknown_length: Stance::Refused,
            trailers: Stance::Honoured,
            checksums: Stance::Honoured,
            conditional_writes: Stance::Honoured,
            parts_etag: PartsEtag::OfMd5s,
            part_minimum: 5 << 20,
            body_maximum: 5 * GIB,
            copy_maximum: 5 * GIB,
            copies_have_crc: true,
            delete_needs_md5: false,
            requester_pays: false,
            keep: Keep::Bytes,
        }
    }

    /// The S3 layer of QingStor, from its documents and from what other tools learned about it.
    pub(crate) fn qingstor() -> Self {
        Self {
            region: "pek3a".to_owned(),
            wrong_region: WrongRegion::Malformed,
            list_v2: Stance::Ignored,
            put_status: 201,
            trailers: Stance::Refused,
            checksums: Stance::Ignored,
            conditional_writes: Stance::Ignored,
            parts_etag: PartsEtag::Opaque,
            part_minimum: 4 << 20,
            ..Self::s3()
        }
    }
}
