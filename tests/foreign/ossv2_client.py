"""The newer SDK of OSS, alibabacloud-oss-v2: what the exercise needs of it."""

import alibabacloud_oss_v2 as oss


class Client:
    def __init__(self, version, endpoint, bucket, region, access_key, secret, token, virtual_host):
        # Its CRC checks are on by default.
        self.client = oss.Client(oss.config.Config(
            region=region, endpoint=endpoint, signature_version=version, use_path_style=not virtual_host,
            credentials_provider=oss.credentials.StaticCredentialsProvider(access_key, secret, token), retry_max_attempts=1,
        ))
        self.bucket = bucket
        # Slashes stay as they are in its paths, so the HTTP library takes `..` for a way up.
        self.normalizes_dots = True

    def put(self, key, content, metadata=None, content_type=None, storage_class=None, tags=None, once=False):
        answer = self.client.put_object(oss.PutObjectRequest(
            bucket=self.bucket, key=key, body=content, metadata=metadata, content_type=content_type, storage_class=storage_class,
            tagging=tags, forbid_overwrite=True if once else None,
        ))
        assert answer.hash_crc64 is not None, "no CRC came back"

    def get(self, key, byte_range=None, standard=False):
        text = None
        if byte_range:
            text = "bytes=" + "-".join("" if end is None else str(end) for end in byte_range)
        behavior = "standard" if standard else None
        answer = self.client.get_object(
            oss.GetObjectRequest(bucket=self.bucket, key=key, range_header=text, range_behavior=behavior)
        )
        with answer.body as body:
            return body.read()

    def head(self, key):
        found = self.client.head_object(oss.HeadObjectRequest(bucket=self.bucket, key=key))
        return {"size": found.content_length, "type": found.content_type, "metadata": dict(found.metadata or {}),
                "etag": found.etag.strip('"'), "crc": found.hash_crc64}

    def tags(self, key):
        answer = self.client.get_object_tagging(oss.GetObjectTaggingRequest(bucket=self.bucket, key=key))
        return {tag.key: tag.value for tag in answer.tag_set.tags}

    def list(self, prefix="", page=100):
        pages = self.client.list_objects_v2_paginator().iter_page(
            oss.ListObjectsV2Request(bucket=self.bucket, prefix=prefix, max_keys=page)
        )
        return [(one.key, one.size) for answer in pages for one in answer.contents or []]

    def list_v1(self, prefix="", page=100):
        pages = self.client.list_objects_paginator().iter_page(
            oss.ListObjectsRequest(bucket=self.bucket, prefix=prefix, max_keys=page)
        )
        return [(one.key, one.size) for answer in pages for one in answer.contents or []]

    def list_after(self, after):
        pages = self.client.list_objects_v2_paginator().iter_page(
            oss.ListObjectsV2Request(bucket=self.bucket, start_after=after)
        )
        return [one.key for answer in pages for one in answer.contents or []]

    def list_folders(self, prefix):
        request = oss.ListObjectsV2Request(bucket=self.bucket, prefix=prefix, delimiter="/", max_keys=2)
        folders, keys = [], []
        for answer in self.client.list_objects_v2_paginator().iter_page(request):
            folders.extend(one.prefix for one in answer.common_prefixes or [])
            keys.extend(one.key for one in answer.contents or [])
        return folders, keys

    def delete(self, key):
        self.client.delete_object(oss.DeleteObjectRequest(bucket=self.bucket, key=key))

    def delete_many(self, keys):
        answer = self.client.delete_multiple_objects(oss.DeleteMultipleObjectsRequest(
            bucket=self.bucket, encoding_type="url", objects=[oss.DeleteObject(key=key) for key in keys],
        ))
        return [one.key for one in answer.deleted_objects or []]

    def begin(self, key):
        return self.client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(bucket=self.bucket, key=key)).upload_id

    def put_part(self, key, upload, number, content):
        answer = self.client.upload_part(oss.UploadPartRequest(
            bucket=self.bucket, key=key, upload_id=upload, part_number=number, body=content,
        ))
        return oss.UploadPart(part_number=number, etag=answer.etag)

    def copy_part(self, source, key, upload, number, first, last):
        answer = self.client.upload_part_copy(oss.UploadPartCopyRequest(
            bucket=self.bucket, key=key, upload_id=upload, part_number=number, source_bucket=self.bucket, source_key=source,
            source_range=f"bytes={first}-{last}",
        ))
        return oss.UploadPart(part_number=number, etag=answer.etag)

    def complete(self, key, upload, parts):
        self.client.complete_multipart_upload(oss.CompleteMultipartUploadRequest(
            bucket=self.bucket, key=key, upload_id=upload, complete_multipart_upload=oss.CompleteMultipartUpload(parts=parts),
        ))

    def abort(self, key, upload):
        self.client.abort_multipart_upload(oss.AbortMultipartUploadRequest(bucket=self.bucket, key=key, upload_id=upload))

    def uploads(self):
        pages = self.client.list_multipart_uploads_paginator().iter_page(oss.ListMultipartUploadsRequest(bucket=self.bucket))
        return [one.key for answer in pages for one in answer.uploads or []]

    def parts(self, key, upload):
        pages = self.client.list_parts_paginator().iter_page(
            oss.ListPartsRequest(bucket=self.bucket, key=key, upload_id=upload)
        )
        return [(one.part_number, one.size) for answer in pages for one in answer.parts or []]

    def copy(self, source, key):
        self.client.copy_object(oss.CopyObjectRequest(
            bucket=self.bucket, key=key, source_bucket=self.bucket, source_key=source,
        ))

    @staticmethod
    def refusal(error):
        """(status, code) of a refusal; anything else is raised."""
        inner = error.unwrap() if isinstance(error, oss.exceptions.OperationError) else error
        if not isinstance(inner, oss.exceptions.ServiceError):
            raise error
        return inner.status_code, inner.code
