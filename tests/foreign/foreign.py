#!/usr/bin/env python3
"""Object storage as clients see it that are not ours: the SDKs of Alibaba Cloud and of Amazon.

usage: foreign.py CLIENT exercise ENDPOINT BUCKET          everything the product relies on, in an empty bucket
       foreign.py CLIENT refused ENDPOINT BUCKET STATUS CODE   a write, which has to be refused so
       foreign.py CLIENT put ENDPOINT BUCKET TREE          every file of TREE becomes an object
       foreign.py CLIENT compare ENDPOINT BUCKET TREE      the objects are the files of TREE, in number, size and content

CLIENT is oss2-v1, oss2-v4, ossv2-v1, ossv2-v4, boto3 (checksums only where they must be) or boto3-default.
From the environment: FOREIGN_ACCESS_KEY, FOREIGN_SECRET_KEY, FOREIGN_REGION; FOREIGN_TOKEN; FOREIGN_PREFIX, which stands before
the keys of TREE; FOREIGN_ADDRESSING, `path` or `virtual`; FOREIGN_QUIRKS, names of what this server does in its own way.
With `virtual`, every name below `localhost` is 127.0.0.1.
"""

import hashlib
import importlib
import os
import pathlib
import socket
import sys

import exercise

CLIENTS = {
    "oss2-v1": ("oss2_client", "v1"), "oss2-v4": ("oss2_client", "v4"), "ossv2-v1": ("ossv2_client", "v1"),
    "ossv2-v4": ("ossv2_client", "v4"), "boto3": ("boto3_client", "when_required"), "boto3-default": ("boto3_client", "when_supported"),
}
LARGE = 8 << 20


def resolve_localhost():
    """Names below `localhost` are this machine, whatever the resolver says."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host, *arguments, **named):
        text = host.decode() if isinstance(host, bytes) else host
        return resolve("127.0.0.1" if text and text.endswith(".localhost") else host, *arguments, **named)

    socket.getaddrinfo = getaddrinfo


def files(tree):
    root = pathlib.Path(tree)
    prefix = os.environ.get("FOREIGN_PREFIX", "")
    return {prefix + path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}


def put(client, tree):
    for key, path in files(tree).items():
        content = path.read_bytes()
        if len(content) <= LARGE:
            client.put(key, content)
            continue
        upload = client.begin(key)
        starts = range(0, len(content), LARGE)
        parts = [client.put_part(key, upload, number, content[start:start + LARGE]) for number, start in enumerate(starts, 1)]
        client.complete(key, upload, parts)


def compare(client, tree):
    wanted = files(tree)
    found = dict(client.list(os.environ.get("FOREIGN_PREFIX", "")))
    assert sorted(found) == sorted(wanted), f"only there: {set(found) - set(wanted)}; missing: {set(wanted) - set(found)}"
    for key, path in wanted.items():
        content = path.read_bytes()
        assert found[key] == len(content), f"{key} has {found[key]} bytes in the place of {len(content)}"
        assert hashlib.sha256(client.get(key)).digest() == hashlib.sha256(content).digest(), f"{key} differs"
    print(len(wanted))


def main():
    name, command, endpoint, bucket, *rest = sys.argv[1:]
    module, version = CLIENTS[name]
    virtual_host = os.environ.get("FOREIGN_ADDRESSING") == "virtual"
    if virtual_host:
        resolve_localhost()
    client = importlib.import_module(module).Client(
        version, endpoint, bucket, os.environ["FOREIGN_REGION"], os.environ["FOREIGN_ACCESS_KEY"], os.environ["FOREIGN_SECRET_KEY"],
        os.environ.get("FOREIGN_TOKEN"), virtual_host,
    )
    if command == "exercise":
        quirks = set(os.environ.get("FOREIGN_QUIRKS", "").split())
        exercise.run(client, quirks | ({"s3"} if name.startswith("boto3") else set()))
    elif command == "refused":
        exercise.refused(client, (int(rest[0]), rest[1]), lambda: client.put("refused", b"content"))
    elif command == "put":
        put(client, rest[0])
    elif command == "compare":
        compare(client, rest[0])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
