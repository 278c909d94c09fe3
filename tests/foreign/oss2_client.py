"""The older SDK of OSS, oss2: what the exercise needs of it."""

import oss2
import oss2.models


class Client:
    def __init__(self, version, endpoint, bucket, region, access_key, secret, token, virtual_host):
        if token:
            auth = oss2.StsAuth(access_key, secret, token, auth_version=version)
        else:
            auth = oss2.make_auth(access_key, secret, version)
        # Its CRC check is on by default. Strictness is about keys that begin with a question mark: ours may.
        self.bucket = oss2.Bucket(
            auth, endpoint, bucket, region=region, is_path_style=not virtual_host, is_verify_object_strict=False, connect_timeout=20
        )
        self.name = bucket
        # What V1 and V4 do with dots is the HTTP library's doing; slashes are encoded by this SDK.
        self.normalizes_dots = False

    def put(self, key, content, metadata=None, content_type=None, storage_class=None, tags=None, once=False):
        headers = {f"x-oss-meta-{name}": value for name, value in (metadata or {}).items()}
        for name, value in [("Content-Type", content_type), ("x-oss-storage-class", storage_class), ("x-oss-tagging", tags)]:
            if value:
                headers[name] = value
        if once:
            headers["x-oss-forbid-overwrite"] = "true"
        answer = self.bucket.put_object(key, content, headers=headers)
        assert answer.crc is not None, "no CRC came back"

    def get(self, key, byte_range=None, standard=False):
        headers = {"x-oss-range-behavior": "standard"} if standard else None
        return self.bucket.get_object(key, byte_range=byte_range, headers=headers).read()

    def head(self, key):
        found = self.bucket.head_object(key)
        metadata = {name[11:].lower(): value for name, value in found.headers.items() if name.lower().startswith("x-oss-meta-")}
        return {"size": found.content_length, "type": found.content_type, "metadata": metadata, "etag": found.etag,
                "crc": found.headers.get("x-oss-hash-crc64ecma")}

    def tags(self, key):
        return dict(self.bucket.get_object_tagging(key).tag_set.tagging_rule)

    def list(self, prefix="", page=100):
        return [(one.key, one.size) for one in oss2.ObjectIteratorV2(self.bucket, prefix=prefix, max_keys=page)]

    def list_v1(self, prefix="", page=100):
        return [(one.key, one.size) for one in oss2.ObjectIterator(self.bucket, prefix=prefix, max_keys=page)]

    def list_after(self, after):
        return [one.key for one in oss2.ObjectIteratorV2(self.bucket, start_after=after)]

    def list_folders(self, prefix):
        found = list(oss2.ObjectIteratorV2(self.bucket, prefix=prefix, delimiter="/", max_keys=2))
        return [one.key for one in found if one.is_prefix()], [one.key for one in found if not one.is_prefix()]

    def delete(self, key):
        self.bucket.delete_object(key)

    def delete_many(self, keys):
        return self.bucket.batch_delete_objects(keys).deleted_keys

    def begin(self, key):
        return self.bucket.init_multipart_upload(key).upload_id

    def put_part(self, key, upload, number, content):
        part = self.bucket.upload_part(key, upload, number, content)
        return oss2.models.PartInfo(number, part.etag, size=len(content), part_crc=part.crc)

    def copy_part(self, source, key, upload, number, first, last):
        part = self.bucket.upload_part_copy(self.name, source, (first, last), key, upload, number)
        return oss2.models.PartInfo(number, part.etag)

    def complete(self, key, upload, parts):
        self.bucket.complete_multipart_upload(key, upload, parts)

    def abort(self, key, upload):
        self.bucket.abort_multipart_upload(key, upload)

    def uploads(self):
        return [one.key for one in oss2.MultipartUploadIterator(self.bucket)]

    def parts(self, key, upload):
        return [(one.part_number, one.size) for one in oss2.PartIterator(self.bucket, key, upload)]

    def copy(self, source, key):
        self.bucket.copy_object(self.name, source, key)

    @staticmethod
    def refusal(error):
        """(status, code) of a refusal; anything else is raised."""
        if not isinstance(error, oss2.exceptions.ServerError):
            raise error
        return error.status, error.code
