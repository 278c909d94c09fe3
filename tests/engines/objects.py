"""What boto3 sees and writes in a bucket: an opinion on S3 that is not snapferry's own.

usage: objects.py URL BUCKET put      stdin: {"key": …, "file": …} a line
       objects.py URL BUCKET list PREFIX     stdout: {"key": …, "size": …, "sha256": …} a line, of what was read and not of what is claimed

It runs in moto's environment (fetch.sh moto). The key comes in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
"""

import hashlib
import json
import sys

import boto3
from botocore.config import Config

url, bucket, what = sys.argv[1:4]
config = Config(
    s3={"addressing_style": "path"},
    request_checksum_calculation="when_required",  # not every server takes a checksum behind the body
    response_checksum_validation="when_required",
    retries={"total_max_attempts": 1},
    proxies={},
)
s3 = boto3.client("s3", endpoint_url=url, region_name="us-east-1", config=config)

if what == "put":
    for line in sys.stdin:
        item = json.loads(line)
        with open(item["file"], "rb") as body:
            s3.put_object(Bucket=bucket, Key=item["key"], Body=body)
else:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=sys.argv[4]):
        for item in page.get("Contents", []):
            content = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
            size = len(content) if item["Size"] == len(content) else f"{item['Size']} listed, {len(content)} read"
            print(json.dumps({"key": item["Key"], "size": size, "sha256": hashlib.sha256(content).hexdigest()}))
