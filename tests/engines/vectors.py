#!/usr/bin/env python3
"""Writes golden signatures of OSS, made by the vendor's own SDKs, to the file named on the command line.

usage: $(tests/engines/python.sh)/bin/python tests/engines/vectors.py tests/vectors/oss.json

Both SDKs sign every case, V1 and V4, and have to agree wherever both can sign it. The time is fixed, so a second run writes
the same file. The packages are oss2 2.19.1 and alibabacloud-oss-v2 1.4.1 (python.sh pins them).
"""

import datetime
import json
import sys
from types import SimpleNamespace
from urllib.parse import quote

import oss2.auth
import oss2.utils
from alibabacloud_oss_v2.signer import SignerV1, SignerV4
from alibabacloud_oss_v2.types import Credentials, HttpRequest, SigningContext

REGION = "cn-hangzhou"
TIME = 1_702_743_657  # the moment of the vector in the vendor's Go SDK
KEYS = [
    "plain", "folder/a b", "plus+sign", "per%cent", "twice%2520", "hash#tag", "what?now", "a//b", "//", "/leading", "trailing/",
    "dots/../and/./dot", "naïve-ü", "数据/快照", "🦀", "tab\tline\nreturn\r", "bell\x07del\x7f", "quote'\"<>&", "tilde~star*(bang!)",
    "semi;colon:at@eq=dollar$comma,", "back\\slash^|`{}[]", "1234+-/123/1.txt", "a" * 300,
]
MD5 = "XrY7u+Ae7tCTyyK7j1rNww=="


def cases():
    """(method, bucket, key, query, headers)"""
    for number, key in enumerate(KEYS):
        yield ["GET", "HEAD", "PUT", "DELETE"][number % 4], "examplebucket", key, [], {}
        yield "PUT", "examplebucket", key, [["partNumber", str(number + 1)], ["uploadId", "0004B9895DBBB6EC98E36"]], {}
    for method in ["GET", "HEAD", "PUT", "DELETE"]:
        yield method, "examplebucket", "oss/object.txt", [], {}
    put = {"content-type": "text/plain; charset=utf-8", "content-md5": MD5}
    yield "PUT", "examplebucket", "typed", [], put
    yield "PUT", "examplebucket", "meta", [], {
        **put, "x-oss-meta-b": "two", "x-oss-meta-a": "one", "x-oss-meta-a-b": "three", "x-oss-meta-empty": "",
        "x-oss-storage-class": "IA",
    }
    yield "PUT", "examplebucket", "tags", [], {"x-oss-tagging": "a=1&b=x%20y", "x-oss-server-side-encryption": "AES256"}
    yield "PUT", "examplebucket", "archived", [], {"x-oss-storage-class": "ColdArchive", "content-type": "application/octet-stream"}
    yield "PUT", "examplebucket", "once", [], {"x-oss-forbid-overwrite": "true"}
    yield "PUT", "examplebucket", "slow", [], {"x-oss-traffic-limit": "819200"}
    yield "GET", "examplebucket", "ranged", [], {"x-oss-range-behavior": "standard"}
    yield "GET", "examplebucket", "told", [["response-content-type", "text/plain; a=b&c"]], {}
    yield "GET", "examplebucket", "tags", [["tagging", None]], {}
    yield "HEAD", "examplebucket", "little", [["objectMeta", None]], {}
    yield "PUT", "examplebucket", "copy", [], {"x-oss-copy-source": "/otherbucket/a%20b%2B%E6%95%B0"}
    yield "PUT", "examplebucket", "copy", [], {
        "x-oss-copy-source": "/otherbucket/a", "x-oss-metadata-directive": "REPLACE", "x-oss-meta-c": "d",
        "x-oss-copy-source-if-match": '"5B3C1A2E053D763E1B002CC607C5A0FE"',
    }
    yield "PUT", "examplebucket", "copied part", [["partNumber", "2"], ["uploadId", "7BA5+/="]], {
        "x-oss-copy-source": "/otherbucket/big", "x-oss-copy-source-range": "bytes=104857600-209715199",
    }
    yield "POST", "examplebucket", "parts", [["uploads", None]], {"content-type": "application/octet-stream"}
    yield "POST", "examplebucket", "parts", [["uploads", None], ["encoding-type", "url"]], {"x-oss-forbid-overwrite": "true"}
    yield "POST", "examplebucket", "parts", [["uploadId", "0004B9895DBBB6EC98E36"]], {"content-type": "application/xml"}
    yield "DELETE", "examplebucket", "parts", [["uploadId", "0004B9895DBBB6EC98E36"]], {}
    yield "GET", "examplebucket", "parts", [["uploadId", "0004B9895DBBB6EC98E36"], ["max-parts", "1000"], ["part-number-marker", "5"]], {}
    yield "POST", "examplebucket", None, [["delete", None]], {"content-md5": MD5, "content-type": "application/xml"}
    yield "POST", "examplebucket", None, [["delete", None], ["encoding-type", "url"]], {"content-md5": MD5}
    yield "GET", "examplebucket", None, [["uploads", None], ["max-uploads", "1000"], ["key-marker", "a/b c"], ["encoding-type", "url"]], {}
    yield "GET", "examplebucket", None, [], {}
    yield "GET", "examplebucket", None, [["prefix", "a/b c+d%/数"], ["marker", "a/b c+d%/数/1"], ["delimiter", "/"], ["max-keys", "1000"], ["encoding-type", "url"]], {}
    yield "GET", "examplebucket", None, [["list-type", "2"]], {}
    yield "GET", "examplebucket", None, [
        ["list-type", "2"], ["max-keys", "1000"], ["prefix", "indices/ü /"], ["encoding-type", "url"], ["start-after", "indices/ü /a+b&c=d"],
    ], {}
    yield "GET", "examplebucket", None, [
        ["list-type", "2"], ["max-keys", "1000"], ["prefix", "indices/"], ["encoding-type", "url"], ["continuation-token", "YWZ0ZXI6aQ+/=="],
    ], {}
    yield "GET", "examplebucket", None, [["location", None]], {}
    yield "PUT", "examplebucket", None, [], {"content-type": "application/xml"}
    yield "DELETE", "examplebucket", None, [], {}
    yield "GET", None, None, [], {}
    yield "GET", None, None, [["max-keys", "100"], ["prefix", "my-"]], {}


def moment():
    return datetime.datetime.fromtimestamp(TIME, datetime.timezone.utc)


class FrozenDatetime(datetime.datetime):
    @classmethod
    def utcnow(cls):
        return moment().replace(tzinfo=None)


def oss2_sign(version, method, bucket, key, query, headers, identity):
    access_key, secret, token = identity
    oss2.auth.datetime = FrozenDatetime
    oss2.utils.http_date = lambda *_: moment().strftime("%a, %d %b %Y %H:%M:%S GMT")
    request = SimpleNamespace(
        method=method, headers=dict(headers), params={name: value or "" for name, value in query}, region=REGION, product="oss",
        cloudbox_id=None,
    )
    if token:
        auth = oss2.StsAuth(access_key, secret, token, auth_version=version)
    elif version == "v4":
        auth = oss2.AuthV4(access_key, secret)
    else:
        auth = oss2.Auth(access_key, secret)
    auth._sign_request(request, bucket or "", key or "")
    return request.headers


def new_sign(version, method, bucket, key, query, headers, identity, additional=None):
    access_key, secret, token = identity
    pairs = [quote(name, safe="") + ("=" + quote(value, safe="") if value else "") for name, value in query]
    url = "http://examplebucket.oss.example/" + quote(key or "", safe="/") + ("?" + "&".join(pairs) if pairs else "")
    request = HttpRequest(method=method, url=url, headers=dict(headers))
    signer = SignerV4() if version == "v4" else SignerV1()
    signer.sign(SigningContext(
        product="oss", region=REGION, bucket=bucket, key=key, request=request, signing_time=moment(),
        credentials=Credentials(access_key, secret, token), additional_headers=additional,
    ))
    return dict(request.headers)


def case(version, sdk, method, bucket, key, query, headers, identity, **more):
    sign = oss2_sign if sdk == "oss2" else new_sign
    signed = sign(version, method, bucket, key, query, headers, identity, **more)
    signed = {name.lower(): value for name, value in signed.items()}
    authorization = signed.pop("authorization")
    access_key, secret, token = identity
    return {
        "version": version, "sdk": sdk, "method": method, "bucket": bucket, "key": key, "query": query,
        "headers": dict(sorted(signed.items())), "region": REGION, "access_key_id": access_key, "secret_access_key": secret,
        "session_token": token, "time": TIME, "authorization": authorization,
    }


def signature(text):
    """What a form of Authorization comes to; the SDKs write the fields of V4 with and without blanks."""
    return sorted(part.strip() for part in text.split(","))


def main():
    lasting = ("LTAI5tVectorKeyId", "vector/Secret+Key=0123456789", None)
    passing = ("STS.NVectorKeyId", "another-vector-secret", "CAIS/vector+token==with/every+kind=")
    found = []
    for version in ["v4", "v1"]:
        for one in cases():
            made = [case(version, sdk, *one, lasting) for sdk in ["oss2", "alibabacloud-oss-v2"]]
            relevant = [signature(vector["authorization"]) for vector in made]
            if relevant[0] != relevant[1]:
                print(f"the SDKs differ: {version} {one[:4]}", file=sys.stderr)
                found.extend(made)
            else:
                found.append(made[len(found) % 2])
        for one in list(cases())[::7]:
            found.append(case(version, "oss2", *one, passing))
            # The newer SDK sends the token of V1 in a header `security-token`, which is not signed: that is no vector.
            if version == "v4":
                found.append(case(version, "alibabacloud-oss-v2", *one, passing))
    for headers in [{"range": "bytes=0-9"}, {"range": "bytes=0-9", "host": "examplebucket.oss.localhost", "x-oss-meta-a": "b"}]:
        one = ("GET", "examplebucket", "a b", [], headers, lasting)
        found.append(case("v4", "alibabacloud-oss-v2", *one, additional={"host", "range", "x-oss-meta-a", "absent"}))
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(json.dumps(vector, ensure_ascii=True) for vector in found) + "\n]\n")
    print(f"{len(found)} vectors", file=sys.stderr)


if __name__ == "__main__":
    main()
