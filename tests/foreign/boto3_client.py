"""Amazon's SDK for Python, boto3: what the exercise needs of it."""

import boto3
import botocore.exceptions
from botocore.config import Config


class Client:
    """`version` is the integrity setting of the SDK: `when_required`, or `when_supported`, its own default."""

    def __init__(self, version, endpoint, bucket, region, access_key, secret, token, virtual_host):
        config = Config(
            s3={"addressing_style": "virtual" if virtual_host else "path"}, retries={"max_attempts": 1},
            request_checksum_calculation=version, response_checksum_validation=version, parameter_validation=True,
        )
        self.client = boto3.client(
            "s3", endpoint_url=endpoint, region_name=region, aws_access_key_id=access_key, aws_secret_access_key=secret,
            aws_session_token=token, config=config,
        )
        # Of all clients only this one keeps `..`: its paths do not go through the library's parser.
        self.bucket, self.normalizes_dots = bucket, False

    def put(self, key, content, metadata=None, content_type=None, storage_class=None, tags=None, once=False):
        more = {"ContentType": content_type, "StorageClass": storage_class, "Tagging": tags, "IfNoneMatch": "*" if once else None}
        more = {name: value for name, value in more.items() if value}
        self.client.put_object(Bucket=self.bucket, Key=key, Body=content, Metadata=metadata or {}, **more)

    def get(self, key, byte_range=None, standard=False):
        more = {}
        if byte_range:
            more["Range"] = "bytes=" + "-".join("" if end is None else str(end) for end in byte_range)
        return self.client.get_object(Bucket=self.bucket, Key=key, **more)["Body"].read()

    def head(self, key):
        found = self.client.head_object(Bucket=self.bucket, Key=key)
        return {"size": found["ContentLength"], "type": found["ContentType"], "metadata": found["Metadata"],
                "etag": found["ETag"].strip('"'), "crc": None}

    def tags(self, key):
        return {tag["Key"]: tag["Value"] for tag in self.client.get_object_tagging(Bucket=self.bucket, Key=key)["TagSet"]}

    def pages(self, operation, **arguments):
        return self.client.get_paginator(operation).paginate(Bucket=self.bucket, **arguments)

    def list(self, prefix="", page=100):
        pages = self.pages("list_objects_v2", Prefix=prefix, PaginationConfig={"PageSize": page})
        return [(one["Key"], one["Size"]) for answer in pages for one in answer.get("Contents", [])]

    def list_v1(self, prefix="", page=100):
        pages = self.pages("list_objects", Prefix=prefix, PaginationConfig={"PageSize": page})
        return [(one["Key"], one["Size"]) for answer in pages for one in answer.get("Contents", [])]

    def list_after(self, after):
        pages = self.pages("list_objects_v2", StartAfter=after)
        return [one["Key"] for answer in pages for one in answer.get("Contents", [])]

    def list_folders(self, prefix):
        folders, keys = [], []
        for answer in self.pages("list_objects", Prefix=prefix, Delimiter="/", PaginationConfig={"PageSize": 2}):
            folders.extend(one["Prefix"] for one in answer.get("CommonPrefixes", []))
            keys.extend(one["Key"] for one in answer.get("Contents", []))
        return folders, keys

    def delete(self, key):
        self.client.delete_object(Bucket=self.bucket, Key=key)

    def delete_many(self, keys):
        answer = self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in keys]})
        assert not answer.get("Errors"), answer
        return [one["Key"] for one in answer.get("Deleted", [])]

    def begin(self, key):
        return self.client.create_multipart_upload(Bucket=self.bucket, Key=key)["UploadId"]

    def put_part(self, key, upload, number, content):
        answer = self.client.upload_part(Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=number, Body=content)
        part = {"PartNumber": number, "ETag": answer["ETag"]}
        return part | {name: value for name, value in answer.items() if name.startswith("ChecksumC")}

    def copy_part(self, source, key, upload, number, first, last):
        answer = self.client.upload_part_copy(
            Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=number, CopySource={"Bucket": self.bucket, "Key": source},
            CopySourceRange=f"bytes={first}-{last}",
        )
        return {"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]}

    def complete(self, key, upload, parts):
        self.client.complete_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})

    def abort(self, key, upload):
        self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)

    def uploads(self):
        return [one["Key"] for answer in self.pages("list_multipart_uploads") for one in answer.get("Uploads", [])]

    def parts(self, key, upload):
        pages = self.pages("list_parts", Key=key, UploadId=upload)
        return [(one["PartNumber"], one["Size"]) for answer in pages for one in answer.get("Parts", [])]

    def copy(self, source, key):
        self.client.copy_object(Bucket=self.bucket, Key=key, CopySource={"Bucket": self.bucket, "Key": source})

    @staticmethod
    def refusal(error):
        """(status, code) of a refusal; anything else is raised."""
        if not isinstance(error, botocore.exceptions.ClientError):
            raise error
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
